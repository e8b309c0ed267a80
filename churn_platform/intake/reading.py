"""Reading: a CSV or Parquet file's rows as text, each with its place in the file.

Here: the two formats, faults of a file's structure. Not here: what a record of a CSV file is (`records`), types and the
parts of a table (`parsing`).
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from churn_platform.contracts import Table
from churn_platform.intake import mistaken
from churn_platform.intake.casting import quoted
from churn_platform.intake.drops import DropError
from churn_platform.intake.records import RecordsError, Unreadable, agreeing, header_of, records, sound
from churn_platform.shown import inert

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BLOCK = 2**31 - 1
"""The most bytes that Arrow takes in at once."""

_BEGINNING = 2**18
"""How many bytes of a CSV file are looked at for its header alone."""


@dataclass(frozen=True)
class Text:
    """A file's columns and rows as text, blanks as null, and the lines that are no rows.

    `lines` has the line on which each row starts, from 1 with the header; in a Parquet file the row's number.
    """

    rows: pa.Table
    lines: Sequence[int]
    unreadable: Sequence[Unreadable] = ()


def read(con: duckdb.DuckDBPyConnection, path: Path, name: str, table: Table) -> Text:
    """Read a table's file, or a part of it, that messages call `name`. Raises DropError for a structural fault."""
    return _parquet(con, path, name, table) if path.suffix == ".parquet" else _csv(path, name, table)


def read_header(path: Path, name: str, table: Table) -> None:
    """Read no more than a file's header. Raises DropError where that is not the table's, as `read` does."""
    written = table.file
    with _readable(name, table):
        if path.suffix == ".parquet":
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                _sound_header(table, file.schema_arrow.names)
            return
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
            beginning = opened.read(_BEGINNING)
        # What is cut off at the end may be half a letter.
        data = codecs.getincrementaldecoder(written.encoding)("replace").decode(beginning).encode()
        if told := mistaken.for_csv(table, data):
            raise RecordsError(told)
        _sound_header(table, header_of(data, written.delimiter))


@contextmanager
def _readable(name: str, table: Table) -> Iterator[None]:
    """Turn what readers raise on a broken file into a DropError."""
    import duckdb
    import pyarrow as pa

    try:
        yield
    except RecordsError as error:
        raise DropError(f"{name}: table {table.name} {error}") from error
    except (duckdb.Error, pa.ArrowException, OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        reason = inert((str(error).splitlines() or [type(error).__name__])[0], 200)
        raise DropError(f"{name}: table {table.name} cannot be read: {reason}") from error


def _csv(path: Path, name: str, table: Table) -> Text:
    written = table.file
    with _readable(name, table):
        data = _as_utf8(_unpacked(path), written.encoding)
        if told := mistaken.for_csv(table, data):
            raise RecordsError(told)
        found = records(data, written.delimiter)
        header = _sound_header(table, found.header)
    body = sound(data, found.unreadable)
    with _readable(name, table):
        rows = _rows(body, header, written.delimiter)
    if rows.num_rows != len(found.starts):  # one of the two readers is wrong, and nobody knows which
        same = agreeing(body, written.delimiter, zip(*(rows[column].to_pylist() for column in header), strict=True))
        raise DropError(
            f"{name}: table {table.name} has {len(found.starts):,} records, but {rows.num_rows:,} rows were read; "
            f"they differ from line {found.starts[min(same, len(found.starts) - 1)]} on"
        )
    return Text(_known(_own(rows, table), written.null_values), found.starts, found.unreadable)


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    if not data.startswith(b"\x1f\x8b"):
        raise gzip.BadGzipFile("it is not compressed by gzip, but its name ends with .gz")
    return gzip.decompress(data)


def _sound_header(table: Table, names: Sequence[str]) -> tuple[str, ...]:
    """A file's columns by the names that they have now. Raises RecordsError where they are not the table's."""
    if not names:
        raise RecordsError("is empty: not even a header")
    header = _as_called_now(table, names)
    if told := mistaken.columns(table, header):
        raise RecordsError(told)
    return header


def _as_called_now(table: Table, names: Sequence[str]) -> tuple[str, ...]:
    """A file's columns by the names that they have now. Where two have had one there, it is the one that counts."""
    there = {column.name for column in table.columns if table.month is None or column.counts_in(table.month)}
    taken = there | {old for old, new in table.file.renamed if new in there}
    renamed = ((old, new) for old, new in table.file.renamed if new in there or old not in taken)
    now = {old: new for old, new in renamed if new not in names}
    if other := mistaken.passed_over(table):
        now = {table.key.name: other, **now, mistaken.key_of(table): table.key.name}
    return tuple(now.get(name, name) for name in names)


def _own(rows: pa.Table, table: Table) -> pa.Table:
    """The rows without the column that only looks like the key."""
    return rows.select([name for name in rows.column_names if name != mistaken.passed_over(table)])


def _as_utf8(data: bytes, encoding: str) -> bytes:
    """The text in UTF-8, whatever its own encoding. Raises RecordsError."""
    if codecs.lookup(encoding).name == "utf-8":
        return data  # `records` says on which line it is none
    try:
        return data.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise RecordsError(f"is not {encoding} text: {error.reason} at byte {error.start:,}") from error


def _known(rows: pa.Table, null_values: Sequence[str]) -> pa.Table:
    """The rows with nothing where one of these values stands."""
    if not null_values:
        return rows
    import pyarrow as pa
    import pyarrow.compute as pc

    blank = pa.array(null_values, pa.string())
    return pa.table(
        {
            name: pc.if_else(pc.is_in(rows[name], blank), pa.scalar(None, pa.string()), rows[name])
            for name in rows.column_names
        }
    )


def _rows(data: bytes, columns: Sequence[str], delimiter: str) -> pa.Table:
    """The rows after the header as text, blanks as null."""
    import pyarrow as pa
    from pyarrow import csv

    text = dict.fromkeys(columns, pa.string())
    rows: pa.Table = csv.read_csv(
        pa.py_buffer(data),
        # A block holds the longest record.
        csv.ReadOptions(column_names=columns, block_size=min(len(data) + 1, _BLOCK)),
        csv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in data),
        csv.ConvertOptions(column_types=text, strings_can_be_null=True, null_values=[""], check_utf8=False),
    )
    return rows.slice(1)


def _parquet(con: duckdb.DuckDBPyConnection, path: Path, name: str, table: Table) -> Text:
    """Its values become text, so that they are judged like a CSV's."""
    from pyarrow import parquet

    with _readable(name, table):
        # Not by DuckDB, which takes brackets in a path for a pattern, and key=value/ for a column.
        with parquet.ParquetFile(path) as file:
            header = _sound_header(table, file.schema_arrow.names)
            found = _own(file.read().rename_columns(list(header)), table)
        found.validate(full=True)  # texts are UTF-8
        con.register("parquet_read", found)
        columns = ", ".join(f"{quoted(column)}::VARCHAR AS {quoted(column)}" for column in found.column_names)
        rows = con.execute(f"SELECT {columns} FROM parquet_read").to_arrow_table()
        con.unregister("parquet_read")
    return Text(_known(rows, table.file.null_values), range(1, rows.num_rows + 1))
