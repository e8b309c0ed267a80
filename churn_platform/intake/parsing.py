"""Parsing: a table's file, or the parts of it, as a typed table, and where each row is.

Here: parts put together, places, and leaving out who was erased. Not here: where files are (`drops`), their formats
(`reading`), from text to a type (`casting`), whether values keep the contract (`rules`, `landing`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from churn_platform.company.declaration import Kind
from churn_platform.contracts import Column, Table
from churn_platform.intake.casting import Cast, cast_of, quoted
from churn_platform.intake.drops import DropError, files
from churn_platform.intake.reading import Text, read
from churn_platform.intake.records import Unreadable, fields_of
from churn_platform.shown import inert
from churn_platform.tombstones import Tombstones

if TYPE_CHECKING:
    import duckdb
    import ibis
    from ibis.backends.duckdb import Backend

ROW = "file_row"
"""The column that numbers the rows that could be read, from 0, in the file's order."""

_TYPES = {
    Kind.TEXT: "VARCHAR",
    Kind.CATEGORY: "VARCHAR",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.DATE: "DATE",
}


@dataclass(frozen=True)
class Place:
    """Where a row is: `part` names the file in a table's folder, and is empty where the table is one file.

    `line` counts from 1 in a CSV file, its header included, and is the row's number in a Parquet file.
    """

    part: str
    line: int


@dataclass(frozen=True)
class Parsed:
    """A table's file as read. `typed` has ROW and the contract's columns: unknown where absent, or not of this month.

    `parts` are the files that it consists of, in the order of their rows. `erased` counts the rows of customers who
    were erased, which are in nothing but the counting of lines.
    """

    table: Table
    path: Path
    typed: ibis.Table
    parts: dict[str, Text]
    erased: int
    _raw: str
    _columns: tuple[str, ...]
    _casts: Mapping[str, Cast]
    _con: duckdb.DuckDBPyConnection

    @property
    def readable(self) -> int:
        """How many rows could be read."""
        return int(self.typed.count().to_pyarrow().as_py())

    @property
    def unreadable(self) -> dict[Place, Unreadable]:
        """The lines that are no rows."""
        return {Place(part, line.line): line for part, text in self.parts.items() for line in text.unreadable}

    def wrong_types(self) -> Iterator[tuple[int, str, str]]:
        """The row, column and rule of each value that is there but not of its column's type."""
        for name, cast in self._casts.items():
            if cast.wrong:
                found = self._con.execute(
                    f"SELECT {ROW} FROM {self._raw} WHERE {quoted(name)} IS NOT NULL AND ({cast.sql}) IS NULL"
                    f" ORDER BY {ROW}"
                ).fetchall()
                for (row,) in found:
                    yield row, name, cast.wrong

    def values(self, rows: Iterable[int]) -> dict[int, dict[str, str | None]]:
        """The text of these rows as it is in the file, by row and column."""
        columns = ", ".join(map(quoted, self._columns))
        found = self._con.execute(
            f"SELECT {ROW}, {columns} FROM {self._raw} WHERE {ROW} IN (SELECT unnest(?::BIGINT[]))", [sorted(rows)]
        ).fetchall()
        return {row: dict(zip(self._columns, values, strict=True)) for row, *values in found}

    def places(self, rows: Iterable[int]) -> dict[int, Place]:
        """Where each of these rows starts."""
        parts = list(self.parts.items())
        firsts = [0, *accumulate(len(text.lines) for _, text in parts)]
        found = {}
        for row in rows:
            n = bisect_right(firsts, row) - 1
            part, text = parts[n]
            found[row] = Place(part, text.lines[row - firsts[n]])
        return found


def parse(engine: Backend, path: Path, table: Table, tombstones: Tombstones | None = None) -> Parsed:
    """Read a table's file, or its folder of parts, with the contract's types. Raises DropError for a structural fault.

    Rows of customers who have a tombstone are left out, as if the file had none, and so are lines that name them.
    Encodings other than UTF-8, missing, unknown or repeated columns, and files without rows are structural. A value
    of a wrong type is not: it is unknown in `typed`, and `wrong_types` reports it.
    """
    import pyarrow as pa

    con: duckdb.DuckDBPyConnection = engine.con
    raw, typed = f"raw_{table.name}", f"typed_{table.name}"
    parts = {part: read(con, file, name_of(path, part), table) for part, file in parts_of(path)}
    names = next(iter(parts.values())).rows.column_names
    for part, text in parts.items():
        if sorted(text.rows.column_names) != sorted(names):
            raise DropError(f"{name_of(path, part)}: table {table.name} has other columns here than in its first part")
    rows = pa.concat_tables([text.rows.select(names) for text in parts.values()])
    if not rows.num_rows and not any(text.unreadable for text in parts.values()):
        raise DropError(f"{path.name}: {table.name} has a header but no rows")
    con.register("rows_read", rows.append_column(ROW, pa.array(np.arange(rows.num_rows))))
    con.execute(f"CREATE OR REPLACE TEMP TABLE {raw} AS FROM rows_read")
    con.unregister("rows_read")
    counting = [column for column in table.columns if table.month is None or column.counts_in(table.month)]
    read_from = [column for column in counting if column.name in names]
    casts = {column.name: cast_of(column, table.file, path.suffix == ".parquet") for column in read_from}
    columns = ", ".join(f"{_typed(column, casts)} AS {quoted(column.name)}" for column in table.columns)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {typed} AS SELECT {ROW}, {columns} FROM {raw} ORDER BY {ROW}")
    erased = 0
    if tombstones and tombstones.hashes:
        erased = _leave_out(con, raw, typed, table.key.name, tombstones)
        place = names.index(table.key.name)
        sound = {part: _without_lines(text, place, table.file.delimiter, tombstones) for part, text in parts.items()}
        erased += sum(len(parts[part].unreadable) - len(text.unreadable) for part, text in sound.items())
        parts = sound
    return Parsed(table, path, engine.table(typed), parts, erased, raw, tuple(names), casts, con)


def _leave_out(con: duckdb.DuckDBPyConnection, raw: str, typed: str, key: str, tombstones: Tombstones) -> int:
    """Take the rows of customers who were erased out of both tables; returns how many there were."""
    found = con.execute(
        f"SELECT {ROW} FROM {typed} WHERE {tombstones.sql(quoted(key))} IN (SELECT unnest(?::VARCHAR[]))",
        [list(tombstones.hashes)],
    ).fetchall()
    rows = [row for (row,) in found]
    for name in (raw, typed):
        con.execute(f"DELETE FROM {name} WHERE {ROW} IN (SELECT unnest(?::BIGINT[]))", [rows])
    return len(rows)


def _without_lines(text: Text, place: int, delimiter: str, tombstones: Tombstones) -> Text:
    """The same without unreadable lines that have the key of somebody who was erased in its place."""
    keys = {line: fields_of(line.text, delimiter)[place : place + 1] for line in text.unreadable}
    return replace(text, unreadable=[line for line in text.unreadable if not tombstones.among(keys[line])])


def name_of(path: Path, part: str) -> str:
    """What messages call a table's file, or a part of it."""
    return f"{path.name}/{inert(part)}" if part else path.name


def parts_of(path: Path) -> list[tuple[str, Path]]:
    """The parts of a table by name; one without a name where it is one file. Raises DropError for what is no part."""
    if not path.is_dir():
        return [("", path)]
    endings = (".parquet",) if path.suffix == ".parquet" else (".csv", ".csv.gz")
    for found in sorted(path.iterdir()):
        if found.name[0] not in "._" and not (found.is_file() and found.name.endswith(endings)):
            raise DropError(
                f"{path.name}: '{inert(found.name)}' in it is no part of the table: all of its parts are files in this "
                f"folder whose names end with {' or '.join(endings)}"
            )
    parts = files(path)
    # Spark leaves a part without a single byte where it had no row to write.
    return [(part.name, part) for part in parts if part.stat().st_size] or [(part.name, part) for part in parts[:1]]


def _typed(column: Column, casts: Mapping[str, Cast]) -> str:
    return casts[column.name].sql if column.name in casts else f"NULL::{_TYPES[column.kind]}"
