"""Parsing: one file of a drop as a typed table, and where in the file each value is.

Here: CSV and Parquet into DuckDB with the contract's types, structural faults, line numbers. Not here: where files are
(`drops`), whether values keep the contract (`expectations`, `landing`).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from churn_platform.contracts import Column, Kind, Table
from churn_platform.intake.drops import DropError
from churn_platform.intake.records import RecordsError, Unreadable, agreeing, records, sound

if TYPE_CHECKING:
    import duckdb
    import ibis
    import pyarrow as pa
    from ibis.backends.duckdb import Backend

_BLOCK = 2**31 - 1
"""The most bytes that Arrow takes in at once."""

ROW = "file_row"
"""The column that numbers the rows that could be read, from 0, in the file's order."""

_TYPED = {
    Kind.TEXT: "{}",
    Kind.CATEGORY: "{}",
    Kind.BOOLEAN: "TRY_CAST({} AS BOOLEAN)",
    # Through DOUBLE, since 3.0 is a whole number and CAST would silently round 3.5 to 4; 2^53 keeps it exact.
    Kind.INTEGER: "CASE WHEN abs(TRY_CAST({0} AS DOUBLE)) <= 9007199254740992 AND "
    "TRY_CAST({0} AS DOUBLE) = trunc(TRY_CAST({0} AS DOUBLE)) THEN TRY_CAST({0} AS DOUBLE)::BIGINT END",
    Kind.NUMBER: "CASE WHEN isfinite(TRY_CAST({0} AS DOUBLE)) THEN TRY_CAST({0} AS DOUBLE) END",
    # Parquet's dates may be timestamps at midnight. DuckDB would read 'epoch' too, and 24-01-05 as in the year 24.
    Kind.DATE: "CASE WHEN regexp_full_match({0}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}( 00:00:00)?') "
    "THEN CAST(try_strptime({0}[:10], '%Y-%m-%d') AS DATE) END",
}
_TYPES = {
    Kind.TEXT: "VARCHAR",
    Kind.CATEGORY: "VARCHAR",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.DATE: "DATE",
}
_WRONG_TYPE = {
    Kind.BOOLEAN: "is not True or False",
    Kind.INTEGER: "is not a whole number",
    Kind.NUMBER: "is not a number",
    Kind.DATE: "is not a date such as 2024-01-31",
}


_Read = tuple[tuple[str, ...], list[Unreadable], Sequence[int]]
"""A file's columns, the lines that are no row of it, and the line or number of each row."""


@dataclass(frozen=True)
class Parsed:
    """A file as read. `typed` has ROW and the contract's columns, absent optional ones as unknown."""

    table: Table
    path: Path
    typed: ibis.Table
    unreadable: tuple[Unreadable, ...]
    _starts: Sequence[int]
    _raw: str
    _columns: tuple[str, ...]
    _con: duckdb.DuckDBPyConnection

    def wrong_types(self) -> Iterator[tuple[int, str, str]]:
        """The row, column and rule of each value that is there but not of its column's type."""
        for column in self.table.columns:
            if column.kind in _WRONG_TYPE and column.name in self._columns:
                found = self._con.execute(
                    f"SELECT {ROW} FROM {self._raw} WHERE {column.name} IS NOT NULL AND "
                    f"({_TYPED[column.kind].format(column.name)}) IS NULL ORDER BY {ROW}"
                ).fetchall()
                for (row,) in found:
                    yield row, column.name, _WRONG_TYPE[column.kind]

    def values(self, rows: Iterable[int]) -> dict[int, dict[str, str | None]]:
        """The text of these rows as it is in the file, by row and column."""
        columns = ", ".join(self._columns)
        found = self._con.execute(
            f"SELECT {ROW}, {columns} FROM {self._raw} WHERE {ROW} IN (SELECT unnest(?::BIGINT[]))", [sorted(rows)]
        ).fetchall()
        return {row: dict(zip(self._columns, values, strict=True)) for row, *values in found}

    def lines(self, rows: Iterable[int]) -> dict[int, int]:
        """The line on which each of these rows starts, from 1, the header included; in a Parquet file its number."""
        return {row: self._starts[row] for row in rows}


def parse(engine: Backend, path: Path, table: Table) -> Parsed:
    """Read a table's file with the contract's types. Raises DropError for a structural fault.

    Encodings other than UTF-8, missing, unknown or repeated columns, and files without rows are structural. A value
    of a wrong type is not: it is unknown in `typed`, and `wrong_types` reports it.
    """
    con: duckdb.DuckDBPyConnection = engine.con
    raw, typed = f"raw_{table.name}", f"typed_{table.name}"
    names, unreadable, starts = (_read_parquet if path.suffix == ".parquet" else _read_csv)(con, path, table, raw)
    columns = ", ".join(f"{_typed(column, names)} AS {column.name}" for column in table.columns)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {typed} AS SELECT {ROW}, {columns} FROM {raw} ORDER BY {ROW}")
    [(rows,)] = con.execute(f"SELECT count(*) FROM {typed}").fetchall()
    if not rows and not unreadable:
        raise DropError(f"{path.name}: {table.name} has a header but no rows")
    return Parsed(table, path, engine.table(typed), tuple(unreadable), starts, raw, names, con)


def _typed(column: Column, names: Sequence[str]) -> str:
    return _TYPED[column.kind].format(column.name) if column.name in names else f"NULL::{_TYPES[column.kind]}"


def _check_columns(path: Path, table: Table, names: Sequence[str]) -> None:
    """Raise DropError unless these are the contract's columns, in any order, optional ones there or not."""
    known = {column.name for column in table.columns}
    faults = {
        "lacks": [c.name for c in table.columns if c.name not in names and not c.optional],
        "has unknown": [name for name in names if name not in known],
        "repeats": sorted({name for name in names if names.count(name) > 1}),
    }
    for fault, columns in faults.items():
        if columns:
            plural = "s" if len(columns) > 1 else ""
            raise DropError(f"{path.name}: table {table.name} {fault} column{plural} {', '.join(columns)}")


@contextmanager
def _readable(path: Path, table: Table) -> Iterator[None]:
    """Turn what readers raise on a broken file into a DropError."""
    import duckdb
    import pyarrow as pa

    try:
        yield
    except RecordsError as error:
        raise DropError(f"{path.name}: table {table.name} {error}") from error
    except (duckdb.Error, pa.ArrowException, OSError, EOFError, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DropError(f"{path.name}: table {table.name} cannot be read: {reason}") from error


def _read_csv(con: duckdb.DuckDBPyConnection, path: Path, table: Table, raw: str) -> _Read:
    """Read a CSV file as text into `raw`."""
    with _readable(path, table):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found = records(data)
    if not found.header:
        raise DropError(f"{path.name}: table {table.name} is empty: not even a header")
    _check_columns(path, table, found.header)
    body = sound(data, found.unreadable)
    with _readable(path, table):
        rows = _rows(body, found.header)
    if rows.num_rows != len(
        found.starts
    ):  # two readers, one truth: the records are not what one of them takes them for
        same = agreeing(body, zip(*(rows[name].to_pylist() for name in found.header), strict=True))
        raise DropError(
            f"{path.name}: table {table.name} has {len(found.starts):,} records, but {rows.num_rows:,} rows were read; "
            f"they differ from line {found.starts[min(same, len(found.starts) - 1)]} on"
        )
    con.register("rows_read", rows)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {raw} AS FROM rows_read")
    con.unregister("rows_read")
    return found.header, found.unreadable, found.starts


def _rows(data: bytes, names: Sequence[str]) -> pa.Table:
    """The rows after the header as text, blanks as null, and ROW."""
    import pyarrow as pa
    from pyarrow import csv

    rows = csv.read_csv(
        pa.py_buffer(data),
        csv.ReadOptions(column_names=names, block_size=min(len(data) + 1, _BLOCK)),  # a block holds the longest record
        csv.ParseOptions(newlines_in_values=b'"' in data),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""], check_utf8=False
        ),
    ).slice(1)
    return rows.append_column(ROW, pa.array(np.arange(rows.num_rows)))


def _read_parquet(con: duckdb.DuckDBPyConnection, path: Path, table: Table, raw: str) -> _Read:
    """Read a Parquet file as text into `raw`, so that its values are judged like a CSV's."""
    with _readable(path, table):
        described = con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        names = tuple(name for name, *_ in described)
        _check_columns(path, table, names)
        columns = ", ".join(f"{name}::VARCHAR AS {name}" for name in names)
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {raw} AS SELECT row_number() OVER () - 1 AS {ROW}, {columns} "
            f"FROM read_parquet(?)",
            [str(path)],
        )
    [(rows,)] = con.execute(f"SELECT count(*) FROM {raw}").fetchall()
    return names, [], range(1, rows + 1)
