"""Sniffing: a file that nobody has declared, or a folder of its parts, as a table of texts.

Here: its encoding, delimiter and header. Not here: what its name says (`file_names`), reading its rows
(`intake.reading`), or what its values are (`habits`, `judging`).
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from churn_platform.company.declaration import ColumnName, Kind
from churn_platform.company.past import AS_OF
from churn_platform.contracts import Column, Table, TableFile
from churn_platform.faults import Fault, placing
from churn_platform.intake import mistaken
from churn_platform.intake.casting import quoted
from churn_platform.intake.drops import WRITING, files
from churn_platform.intake.names import ENDINGS
from churn_platform.intake.parsing import parts_of
from churn_platform.intake.reading import read
from churn_platform.months import Month
from churn_platform.proposing.file_names import YEAR, month_of, stem_of, table_name
from churn_platform.shown import counted, inert

if TYPE_CHECKING:
    import duckdb

Delimiter = Literal[",", ";", "\t", "|"]
_DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t", "|")
_BEGINNING = 2**16
"""How many letters of a file are looked at for its delimiter."""


class UnfitError(Fault):
    """Files for which no declaration can be proposed; the message names file and column, and says what to do."""

    lasting = True


@dataclass(frozen=True)
class Sheet:
    """A file as text: a table `name` of DuckDB with these columns, where blanks are null, and a number `file_row`.

    `month` is the one that this is, if it is known.
    """

    name: str
    path: Path
    month: Month | None
    columns: tuple[str, ...]
    rows: int
    delimiter: Delimiter = ","
    encoding: str = "utf-8"

    @property
    def sql(self) -> str:
        """The table's name in SQL."""
        return _sql(self.name)

    @property
    def parquet(self) -> bool:
        """Whether its values had types."""
        return self.path.suffix == ".parquet"


def sheets(con: duckdb.DuckDBPyConnection, paths: Sequence[Path], broken: float) -> tuple[Sheet, ...]:
    """Every file as a table of DuckDB, the share `broken` of whose lines may be such.

    Raises UnfitError, DropError or PlaceError for one that is no table.
    """
    found: list[Sheet] = []
    for path in paths:
        sheet = _sheet(con, path, broken)
        if twin := next((other for other in found if sheet.name == other.name), None):
            raise UnfitError(
                f"{twin.path} and {path} would both be the table {sheet.name}: "
                "name the files of one month, one for each table"
            )
        found.append(sheet)
    return tuple(found)


def _sheet(con: duckdb.DuckDBPyConnection, path: Path, broken: float) -> Sheet:
    import pyarrow as pa

    stem = stem_of(path)
    if not stem or stem.startswith(".") or not stem.isprintable():
        raise UnfitError(f"{path} cannot be a table's file: its name has to end with {' or '.join(ENDINGS)}")
    parts = _parts(path)
    name = table_name(stem)
    delimiter: Delimiter = ","
    encoding = "utf-8"
    if path.suffix != ".parquet":
        delimiter, encoding = _written(parts, name)
    columns = _header(parts[0], delimiter, encoding)
    _check_header(path, columns)
    table = Table(
        name,
        "",
        tuple(Column(column, Kind.TEXT, "") for column in columns),
        file=TableFile(stem, columns, delimiter, encoding=encoding),
    )
    with placing(path):
        texts = [(part, read(con, part, str(part.relative_to(path.parent)), table)) for part in parts]
    rows = pa.concat_tables([text.rows.select(columns) for _, text in texts])
    if not rows.num_rows:
        raise UnfitError(f"{path} has a header but no rows: name a file of a month with customers")
    unreadable = [(part, line) for part, text in texts for line in text.unreadable]
    if len(unreadable) > broken * rows.num_rows:
        part, first = unreadable[0]
        where = f"line {first.line}" if part == path else f"line {first.line} of {inert(part.name)}"
        told = f"{counted(len(unreadable), 'line')} that cannot be read, first {where}: {first.reason}"
        raise UnfitError(f"{path} has {told}; mend them")
    con.register("sheet_read", rows)
    con.execute(
        f"CREATE OR REPLACE TABLE {_sql(name)} AS SELECT *, row_number() OVER () AS {quoted(ROW)} FROM sheet_read"
    )
    con.unregister("sheet_read")
    _check_values(con, path, name, columns)
    return Sheet(name, path, month_of(path), columns, rows.num_rows, delimiter, encoding)


def _parts(path: Path) -> list[Path]:
    """The files that a table consists of: the file itself, or its parts. Raises UnfitError and DropError."""
    if not files(path):
        raise UnfitError(f"{path} is no file, nor a folder of parts: name the CSV or Parquet files of one month")
    if (path / WRITING).exists():
        raise UnfitError(f"{path} is still being written: {WRITING} is in it")
    return [part for _, part in parts_of(path)]


ROW = "file_row"
"""The number of each row of a sheet, from 1."""
_OWN = (ROW, AS_OF, "last_seen")
"""What a table gets while it is taken in, so that not even an ignored column may be called so."""


def _sql(name: str) -> str:
    return quoted(f"sheet {name}")  # no table of DuckDB's own is called so


def _written(parts: Sequence[Path], name: str) -> tuple[Delimiter, str]:
    """The delimiter and encoding of a CSV file, or of its parts."""
    data = [_unpacked(part, name) for part in parts]
    for encoding in ("utf-8", "cp1252"):
        if all(_decodes(part, encoding) for part in data):
            return max(_DELIMITERS, key=lambda delimiter: _widths(data[0], encoding, delimiter)), encoding
    raise UnfitError(f"{parts[0]} is neither UTF-8 nor cp1252 text: save it as UTF-8")


def _unpacked(path: Path, name: str) -> bytes:
    with placing(path):
        data = path.read_bytes()
    if not data:
        raise UnfitError(f"{path} is empty: not even a header")
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise UnfitError(f"{path} cannot be unpacked by gzip: {error}") from error
    if told := mistaken.for_csv(Table(name, "", ()), data):
        raise UnfitError(f"{path} {told}")
    return data


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _widths(data: bytes, encoding: str, delimiter: str) -> tuple[bool, float, int]:
    """How well a delimiter makes a table: has it columns at all, the share of rows as wide as the header, its width."""
    text = io.StringIO(data[: 4 * _BEGINNING].decode(encoding, "ignore")[:_BEGINNING].lstrip("\ufeff"), newline="")
    try:
        rows = [row for row in csv.reader(text, delimiter=delimiter) if row][:200]
    except csv.Error:
        return False, 0.0, 0
    width = len(rows[0]) if rows else 0
    whole = rows[:-1] if len(rows) > 2 else rows  # the last one may be cut
    return width > 1, sum(len(row) == width for row in whole) / max(len(whole), 1), width


def _header(path: Path, delimiter: str, encoding: str) -> tuple[str, ...]:
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        try:
            with placing(path):
                return tuple(parquet.read_schema(path).names)
        except pa.ArrowException as error:
            raise UnfitError(f"{path} is no Parquet file: {inert(error)}") from error
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        beginning = file.read(4 * _BEGINNING).decode(encoding, "ignore").lstrip("\ufeff")
    try:
        return tuple(
            next((row for row in csv.reader(io.StringIO(beginning, newline=""), delimiter=delimiter) if row), ())
        )
    except csv.Error as error:
        raise UnfitError(f"{path} has a header that cannot be read: {error}") from error


def _check_header(path: Path, columns: Sequence[str]) -> None:
    """Raises UnfitError for names that no declaration takes: intake stops at a column that is not declared."""
    if not columns:
        raise UnfitError(f"{path} has no columns")
    if blank := [place for place, name in enumerate(columns, 1) if not name.strip()]:
        raise UnfitError(f"{path} has no name for column {blank[0]}: name it, or write the file without an index")
    seen = Counter(name.lower() for name in columns)
    if twice := [name for name in columns if seen[name.lower()] > 1]:
        raise UnfitError(
            f"{path} has more than one column {inert(twice[0])}, capitals and small letters being the same: "
            "give each another name"
        )
    for name in columns:
        if name.lower() in _OWN:
            raise UnfitError(f"{path} has a column {name}, as the platform's own tables do: give it another name")
        if not _fits(name):
            raise UnfitError(
                f"{path} has a column '{inert(name)}', which cannot be declared: give it a name that begins with a "
                "letter or digit and has at most 63 letters, digits, spaces and common signs"
            )


def _fits(name: str) -> bool:
    try:
        msgspec.convert(name, ColumnName)
    except msgspec.ValidationError:
        return False
    return name.isprintable()


def _check_values(con: duckdb.DuckDBPyConnection, path: Path, table: str, columns: Sequence[str]) -> None:
    """Raises UnfitError where the first line is a row: its values then stand in their columns again."""
    again = sum(_is_value(con, table, column) for column in columns)
    if again * 2 >= len(columns):
        raise UnfitError(f"{path} has no header: its first line is a row, with {inert(columns[0])}; write one above it")


def _is_value(con: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    if re.fullmatch(r"-?[0-9]+([.,][0-9]+)?", column) and not re.fullmatch(YEAR, column):
        return True
    found = con.execute(f"SELECT 1 FROM {_sql(table)} WHERE {quoted(column)} = ? LIMIT 1", [column]).fetchone()
    return found is not None
