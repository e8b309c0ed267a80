"""Parsing: one file of a drop as a typed table, and where in the file each value is.

Here: CSV and Parquet into DuckDB with the contract's types, structural faults, line numbers. Not here: where files are
(`drops`), whether values keep the contract (`expectations`, `landing`).
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from churn_platform.contracts import Column, Kind, Table
from churn_platform.intake.drops import DropError

if TYPE_CHECKING:
    import duckdb
    import ibis
    from ibis.backends.duckdb import Backend

csv.field_size_limit(sys.maxsize)  # a stray quote can turn a whole file into one field, which Python would not read

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
    # Parquet's dates may be timestamps at midnight. DuckDB takes the words 'infinity' and 'epoch' for dates too.
    Kind.DATE: "CASE WHEN regexp_matches({0}, '^[0-9]') "
    "THEN CAST(try_strptime({0}, ['%Y-%m-%d', '%Y-%m-%d 00:00:00']) AS DATE) END",
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


@dataclass(frozen=True)
class Unreadable:
    """A line without the header's number of fields; `line` counts from 1, the header included."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class Parsed:
    """A file as read. `typed` has ROW and the contract's columns, absent optional ones as unknown."""

    table: Table
    path: Path
    typed: ibis.Table
    unreadable: tuple[Unreadable, ...]
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
        """The line on which each of these rows starts: from 1 in a CSV, header included; the row's number in a Parquet.

        Reads the file once more, so ask only where something is broken.
        """
        wanted = set(rows)
        if self.path.suffix == ".parquet":
            return {row: row + 1 for row in wanted}
        unreadable = {line.line for line in self.unreadable}
        rows = (start for start, fields in _records(self.path) if fields and start not in unreadable)
        return {row: start for row, start in enumerate(rows, start=-1) if row in wanted}  # row -1 is the header


def parse(engine: Backend, path: Path, table: Table) -> Parsed:
    """Read a table's file with the contract's types. Raises DropError for a structural fault.

    Encodings other than UTF-8, missing, unknown or repeated columns, and files without rows are structural. A value
    of a wrong type is not: it is unknown in `typed`, and `wrong_types` reports it.
    """
    con: duckdb.DuckDBPyConnection = engine.con
    raw, typed = f"raw_{table.name}", f"typed_{table.name}"
    names, unreadable = (_read_parquet if path.suffix == ".parquet" else _read_csv)(con, path, table, raw)
    columns = ", ".join(f"{_typed(column, names)} AS {column.name}" for column in table.columns)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {typed} AS SELECT {ROW}, {columns} FROM {raw} ORDER BY {ROW}")
    [(rows,)] = con.execute(f"SELECT count(*) FROM {typed}").fetchall()
    if not rows and not unreadable:
        raise DropError(f"{path.name}: {table.name} has a header but no rows")
    return Parsed(table, path, engine.table(typed), tuple(unreadable), raw, names, con)


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

    try:
        yield
    except UnicodeDecodeError as error:
        raise DropError(f"{path.name}: table {table.name} is not UTF-8 text") from error
    except (duckdb.Error, OSError, EOFError, csv.Error, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DropError(f"{path.name}: table {table.name} cannot be read: {reason}") from error


def _open(path: Path) -> TextIO:
    """A CSV file as text, decompressed, without its byte-order mark."""
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.GzipFile(path), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """A CSV file's records, blank ones too, each with the line that it starts on: quoted breaks make some longer."""
    with _open(path) as file:
        reader, start = csv.reader(file), 1
        for fields in reader:
            yield start, fields
            start = reader.line_num + 1


def _read_csv(
    con: duckdb.DuckDBPyConnection, path: Path, table: Table, raw: str
) -> tuple[tuple[str, ...], list[Unreadable]]:
    """Read a CSV file as text into `raw`; return its columns and the lines that cannot be read."""
    with _readable(path, table), _open(path) as file:
        names = next(csv.reader(file), [])
        if path.suffix == ".gz":
            while file.read(1 << 20):  # to the end: DuckDB does not verify the checksum
                pass
    if not names:
        raise DropError(f"{path.name}: table {table.name} is empty: not even a header")
    _check_columns(path, table, names)
    rejects = f"rejects_{table.name}"
    con.execute(f"DROP TABLE IF EXISTS {rejects}; DROP TABLE IF EXISTS {rejects}_scans")
    with _readable(path, table):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {raw} AS SELECT row_number() OVER () - 1 AS {ROW}, * FROM read_csv(?, "
            f"header=true, auto_detect=false, delim=',', quote='\"', escape='\"', columns=?, store_rejects=true, "
            f"rejects_table='{rejects}', rejects_scan='{rejects}_scans')",
            [str(path), dict.fromkeys(names, "VARCHAR")],
        )
    rejected = con.execute(
        f"SELECT line, any_value(csv_line), any_value(error_message), bool_or(error_type = 'INVALID ENCODING') "
        f"FROM {rejects} GROUP BY line ORDER BY line"
    ).fetchall()
    for record, _, _, misencoded in rejected:
        if misencoded:
            raise DropError(f"{path.name}: table {table.name} is not UTF-8 text: line {record}")
    starts = [start for start, _ in _records(path)] if rejected else []  # DuckDB counts records, people count lines
    unreadable = [Unreadable(starts[n - 1], text.strip(), why.splitlines()[0]) for n, text, why, _ in rejected]
    if (line := _stray_quote(con, path, raw, names, unreadable)) is not None:
        raise DropError(f"{path.name}: table {table.name} has a quote on line {line} that swallows the lines after it")
    return tuple(names), unreadable


def _stray_quote(
    con: duckdb.DuckDBPyConnection, path: Path, raw: str, names: Sequence[str], unreadable: Iterable[Unreadable]
) -> int | None:
    """The line of a quote that is closed lines later or never, or None.

    The rows that it swallows would be lost, and count as one broken row, well within the tolerance.
    """
    if (line := next((u.line for u in unreadable if len(u.text.splitlines()) > 1), None)) is not None:
        return line
    swallowed = " OR ".join(f"regexp_matches({name}, '[\\r\\n][^\\r\\n]+[\\r\\n]')" for name in names)
    if not con.execute(f"SELECT 1 FROM {raw} WHERE {swallowed} LIMIT 1").fetchall():
        return None
    return next(start for start, fields in _records(path) if any(len(field.splitlines()) > 2 for field in fields))


def _read_parquet(
    con: duckdb.DuckDBPyConnection, path: Path, table: Table, raw: str
) -> tuple[tuple[str, ...], list[Unreadable]]:
    """Read a Parquet file as text into `raw`, so that its values are judged like a CSV's; return its columns."""
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
    return names, []
