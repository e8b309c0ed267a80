"""Proofs: rows that are kept by content, so that each can be proved later, and any of them erased.

Here: keeping rows with a proof beside them, checking them by it, and erasing some. Not here: which rows those are
(`training_set`), what is computed again from them (`champion.verifying`), or whom to erase (`erasure`).

Beside a file of rows, named by the SHA-256 that it had when it was written, stands its proof, `SHA256.proof.parquet`, a
row for each: `position` (from 0, in the file's order), `salt` (16 random bytes) and `sha256` (32 bytes). A row's hash
is the SHA-256 of its salt, as 32 hexadecimal digits, and its text. The root is the SHA-256 of the text of the columns
and of every row's hash in order. Whoever knows the root can tell that any row is as it was, without the others.

To erase a row is to remove it from its file and to make its salt null: its hash stays, so the root still proves the
rest, and without the salt nobody can find the row by trying out values. The file keeps its name, by which receipts
know it, although its bytes are others.

The texts depend neither on an engine nor on how Parquet holds the values. The columns' is JSON without blanks, such as
`[["user_id","text"],["fee","number"]]`. A row's is its values in that order with `;` between them, in UTF-8: a number
as the bits of its IEEE 754 double in capital hexadecimal without leading zeros, an integer in decimal, `true` or
`false`, a date as 2024-01-31, a text after its length in bytes and `:`, and `-` where the value is unknown.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from churn_platform.faults import Fault
from churn_platform.files import locked, replacing, sha256_of
from churn_platform.intake.casting import quoted
from churn_platform.lake import DamagedTableError, Lake
from churn_platform.modelling.recipe import KeptRows
from churn_platform.shown import counted

if TYPE_CHECKING:
    import ibis
    import ibis.expr.datatypes as dt
    import pyarrow as pa

SALT = 16
"""How many random bytes stand before a row's text: too many to be tried out."""

ENDING = ".proof.parquet"

_TEXTS = {
    "number": "to_hex({0}::DOUBLE::BIT::BIGINT)",
    "integer": "{0}::VARCHAR",
    "boolean": "CASE WHEN {0} THEN 'true' WHEN NOT {0} THEN 'false' END",
    "date": "strftime({0}, '%Y-%m-%d')",
    "text": "strlen({0}) || ':' || {0}",
}
"""The text of a column's values in DuckDB's SQL, null for unknown ones, by the kind in the columns' text."""


class ProofError(Fault):
    """Kept rows that are not as they were kept, or are not there; the message names the file and what changed."""

    lasting = True


def keep(lake: Lake, name: str, table: ibis.Table) -> KeptRows:
    """Keep an expression's rows in the folder `name`, with a proof; the same rows keep the one that they have.

    Raises ProofError where that is not theirs.
    """
    return prove(lake, name, lake.write_addressed(name, table).sha256)


def prove(lake: Lake, name: str, sha256: str) -> KeptRows:
    """The same for rows that are in their place already, as those of earlier versions are, which had no proofs."""
    path = lake.addressed(name, sha256)
    with locked(path.parent / ".lock"):
        is_new = not _proof(path).exists()
        if is_new:
            if sha256_of(path) != sha256:
                raise ProofError(f"{path}: was changed, and has no proof beside it: restore both files from a backup")
            _write(lake, path)
        with _sides(lake, path) as (rows, proof):
            if not is_new:
                _refuse_changed(lake, path, rows, proof)
            count, root = _root(lake, rows, proof)
    return KeptRows(sha256, count, root)


def check(lake: Lake, name: str, kept: KeptRows) -> int:
    """How many of the rows have been erased, once the others are proved to be those that were kept. Raises ProofError.

    A file that is gone, a value, row, column, salt or hash that is not as it was: each is told.
    """
    path = lake.addressed(name, kept.sha256)
    with _sides(lake, path) as (rows, proof):
        there = _refuse_changed(lake, path, rows, proof)
        count, root = _root(lake, rows, proof)
        if (count, root) != (kept.rows, kept.root):
            raise ProofError(
                f"{path}: its root is {root[:12]} over {counted(count, 'row')}, and was {kept.root[:12]} over"
                f" {counted(kept.rows, 'row')}: the proof beside it or the columns were changed; restore both files"
                " from a backup"
            )
    return count - there


def erase(lake: Lake, name: str, sha256: str, key: str, customers: Collection[str]) -> int:
    """Erase these customers' rows, and say how many there were. Raises ProofError.

    Both files are written anew beside the old ones and then moved into their places, the rows first. Whoever comes
    after a kill moves what is left, or begins anew where not both had been written.
    """
    import pyarrow as pa

    path = lake.addressed(name, sha256)
    with locked(path.parent / ".lock"):
        _move(path)
        with _sides(lake, path) as (rows, proof):
            there, known = rows.count().to_pyarrow().as_py(), proof["salt"].count().to_pyarrow().as_py()
            if there != known:  # some would lose another one's salt
                raise _miscounted(path, there, known)
            asked = pa.table({"customer": pa.array(list(customers), pa.string())})
            places = _asked(
                lake,
                f"SELECT {Lake.PLACE} AS place FROM {quoted(rows.get_name())}"
                f" WHERE {quoted(key)} IN (SELECT customer FROM asked)",
                asked=asked,
            )
            if places.num_rows:
                _stage(lake, path, rows, proof, places)
        _move(path)
    return int(places.num_rows)


def _miscounted(path: Path, there: int, known: int) -> ProofError:
    return ProofError(
        f"{path}: it has {counted(there, 'row')}, and its proof is of {known:,}: restore both files from a backup"
    )


def _stage(lake: Lake, path: Path, rows: ibis.Table, proof: ibis.Table, places: pa.Table) -> None:
    """Write both files without the rows in these places."""
    left = rows.filter(rows[Lake.PLACE].notin(places["place"].to_pylist())).order_by(Lake.PLACE).drop(Lake.PLACE)
    new_rows, new_proof = _staged(path)
    lake.write_file(new_rows, left)
    name = quoted(proof.get_name())
    salts = _asked(
        lake,
        f"""
        WITH known AS (
            SELECT position, row_number() OVER (ORDER BY position) - 1 AS place FROM {name} WHERE salt IS NOT NULL
        ), erased AS (SELECT position FROM known JOIN places USING (place))
        SELECT position, CASE WHEN position NOT IN (FROM erased) THEN salt END AS salt, sha256 FROM {name}
        ORDER BY position
        """,
        places=places,
    )
    _write_proof(new_proof, salts)


def _move(path: Path) -> None:
    """Move what was written anew into its place: both files, or the second where a kill came between."""
    new_rows, new_proof = _staged(path)
    if new_proof.exists():
        if new_rows.exists():
            new_rows.replace(path)
        new_proof.replace(_proof(path))
    new_rows.unlink(missing_ok=True)  # by itself it was written before a kill, and nobody knows whether to its end


def _staged(path: Path) -> tuple[Path, Path]:
    """Where both files are written anew."""
    return path.with_suffix(".erasing"), _proof(path).with_suffix(".erasing")


def _proof(path: Path) -> Path:
    return path.with_suffix(ENDING)


@contextmanager
def _sides(lake: Lake, path: Path) -> Iterator[tuple[ibis.Table, ibis.Table]]:
    """The rows, with their places in the file, and their proof. Raises ProofError where one cannot be read."""
    for file in (path, _proof(path)):
        if not file.exists():
            raise ProofError(f"{file} is not there: restore it from a backup")
    try:
        yield lake.read_file(path, places=True), lake.read_file(_proof(path))
    except DamagedTableError as error:
        reason = str(error.__cause__).splitlines()[0]
        raise ProofError(f"{path} or its proof cannot be read: {reason}: restore both files from a backup") from error


def _write(lake: Lake, path: Path) -> None:
    """Make the rows' proof, with new salts."""
    import numpy as np
    import pyarrow as pa

    rows = lake.read_file(path, places=True)
    count = rows.count().to_pyarrow().as_py()
    salt = pa.FixedSizeBinaryArray.from_buffers(pa.binary(SALT), count, [None, pa.py_buffer(os.urandom(SALT * count))])
    made = _asked(
        lake,
        f"SELECT position, salt, {_HASH} AS sha256 FROM ({_texts(rows)}) JOIN salts ON position = place"
        " ORDER BY position",
        salts=pa.table({"position": np.arange(count), "salt": salt}),
    )
    _write_proof(_proof(path), made)


def _write_proof(file: Path, proof: pa.Table) -> None:
    import pyarrow.parquet as pq

    with replacing(file) as temporary:
        pq.write_table(proof, temporary, compression="none", use_dictionary=False)  # what is random cannot be packed


def _refuse_changed(lake: Lake, path: Path, rows: ibis.Table, proof: ibis.Table) -> int:
    """How many rows are there, each of which has its hash. Raises ProofError."""
    told = _asked(
        lake,
        f"""
        WITH known AS (
            SELECT sha256, salt, row_number() OVER (ORDER BY position) - 1 AS place
            FROM {quoted(proof.get_name())} WHERE salt IS NOT NULL
        ), compared AS (
            SELECT place, text IS NOT NULL AS is_there, salt IS NOT NULL AS is_known, {_HASH} = sha256 AS is_same
            FROM ({_texts(rows)}) FULL JOIN known USING (place)
        )
        SELECT count(*) FILTER (is_there) AS there, count(*) FILTER (is_known) AS known,
            count(*) FILTER (is_there AND is_known AND NOT is_same) AS changed,
            min(place) FILTER (is_there AND is_known AND NOT is_same) AS first FROM compared
        """,
    ).to_pylist()[0]
    if told["changed"]:
        changed, first = told["changed"], told["first"] + 1
        words = "that is not as it was" if changed == 1 else "that are not as they were"
        raise ProofError(
            f"{path}: row {first:,} is the first of {counted(changed, 'row')} {words} kept: restore it from a backup"
        )
    if told["there"] != told["known"]:
        raise _miscounted(path, told["there"], told["known"])
    return int(told["there"])


def _root(lake: Lake, rows: ibis.Table, proof: ibis.Table) -> tuple[int, str]:
    """How many rows were kept, erased ones counted, and the root over their hashes."""
    import pyarrow as pa

    found = _asked(lake, f"SELECT sha256 FROM {quoted(proof.get_name())} ORDER BY position")
    digest = hashlib.sha256(msgspec.json.encode(list(_kinds(rows).items())))
    for hashes in found["sha256"].cast(pa.binary(32)).chunks:
        start = hashes.offset * 32
        digest.update(memoryview(hashes.buffers()[1])[start : start + len(hashes) * 32])
    return found.num_rows, digest.hexdigest()


def _kinds(rows: ibis.Table) -> dict[str, str]:
    return {name: _kind(name, found) for name, found in rows.schema().items() if name != Lake.PLACE}


def _kind(name: str, found: dt.DataType) -> str:
    asked = {
        "number": found.is_floating(),
        "integer": found.is_integer(),
        "boolean": found.is_boolean(),
        "date": found.is_date(),
        "text": found.is_string(),
    }
    kind = next((kind for kind, holds in asked.items() if holds), None)
    if kind is None:
        raise ProofError(f"column {name} is of the type {found}, of which no proof is made")
    return kind


_HASH = "unhex(sha256(concat(lower(hex(salt)), text)))"


def _texts(rows: ibis.Table) -> str:
    """The query for the rows' texts and places."""
    texts = (f"coalesce({_TEXTS[kind].format(quoted(name))}, '-')" for name, kind in _kinds(rows).items())
    return f"SELECT {Lake.PLACE} AS place, concat_ws(';', {', '.join(texts)}) AS text FROM {quoted(rows.get_name())}"


def _asked(lake: Lake, sql: str, **tables: pa.Table) -> pa.Table:
    """The engine's answer to a query, which may name these tables too."""
    import duckdb

    connection = lake.engine.con
    for name, table in tables.items():
        connection.register(name, table)
    try:
        return connection.execute(sql).to_arrow_table()
    except duckdb.Error as error:
        raise DamagedTableError(f"kept rows cannot be read: {error}") from error
    finally:
        for name in tables:
            connection.unregister(name)
