"""The lake: JSON documents, and one Parquet file per table and month, replaced atomically and readable by everything.

Here: paths, the engine (DuckDB through Ibis), atomic writes and content hashes. Not here: which tables there are
(`tables.names`), or what they mean.
Everything that depends on the engine is in this file, so another Ibis engine can take its place.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from churn_platform.contracts import Contract
from churn_platform.faults import Fault
from churn_platform.files import replacing, replacing_all, sha256_of
from churn_platform.files.scratch import scratch
from churn_platform.months import Month

if TYPE_CHECKING:
    import ibis
    import pandas as pd
    import pyarrow as pa
    from ibis.backends.duckdb import Backend
    from pyarrow.parquet import ParquetFile

T = TypeVar("T")

_MONTH = re.compile(r"\d{4}-\d{2}")
_WRITER = re.compile(r"DuckDB version v([0-9.]+)")


def engine() -> str:
    """The engine that writes here now, as `Lake.written_by` names it."""
    return f"DuckDB {version('duckdb')}"


class MissingTableError(Fault):
    """A month's table or document is not in the lake; the message says what to run first."""


class DamagedTableError(Fault):
    """A table's file is cut or damaged; the message names it and says how to make it again."""


class DocumentError(Fault):
    """A month's document cannot be read; the message names its file and says how to make it again."""


@dataclass(frozen=True)
class Written:
    """A file of the lake: its row count and the SHA-256 of its bytes, in hexadecimal."""

    path: Path
    rows: int
    sha256: str


def opened(path: Path) -> ParquetFile:
    """A Parquet file, of which only the footer is read yet. Raises DamagedTableError."""
    import pyarrow.parquet as pq

    with undamaged(path):
        return pq.ParquetFile(path)


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Turn what the engines say of a file that cannot be read to its end into a DamagedTableError."""
    import duckdb
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, duckdb.Error) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if error.errno is not None:  # Arrow's own have no number
            raise
        raise _damaged(path, error) from error


def picked(path: Path, columns: list[str], key: str, values: Collection[str]) -> pa.Table:
    """These columns of a Parquet file's rows whose key is one of the values, in the file's order.

    The rows are picked while they are read: of all others nothing but the key is looked at. Raises DamagedTableError.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with opened(path) as file:
        wanted = pa.array(list(values), type=file.schema_arrow.field(key).type)
    with undamaged(path):
        # Its path is only a path: no columns where a folder is named such as `env=prod`.
        return pq.read_table(path, columns=columns, filters=pc.field(key).isin(wanted), partitioning=None)


def _damaged(path: Path, error: Exception) -> DamagedTableError:
    reason = str(error).splitlines()[0]
    command = f"churn close {path.stem}" if _MONTH.fullmatch(path.stem) else "churn retrain"
    return DamagedTableError(f"{path} is damaged: {reason}; make it again with {command}")


def row_count(path: Path) -> int:
    """How many rows a Parquet file has, from its footer. Raises DamagedTableError."""
    with opened(path) as file:
        return int(file.metadata.num_rows)


def _evaluate(table: ibis.Table, file: Path, path: Path) -> Written:
    """Write an expression's rows into a file that is to become `path`."""
    table.to_parquet(file, compression="zstd")
    return Written(path, row_count(file), sha256_of(file))


class Lake:
    """One company's tables, under one folder. `name` is a table's folder below it, such as `landed/users`."""

    PLACE = "file_row_number"
    """What the engine calls the column with a row's place in its file."""

    def __init__(self, root: Path, contract: Contract) -> None:
        self.root = root
        self.contract = contract

    @cached_property
    def engine(self) -> Backend:
        """The connection that reads Parquet and evaluates expressions."""
        import ibis

        return ibis.duckdb.connect()

    def path(self, name: str, month: Month, ending: str = ".parquet") -> Path:
        """Where a month's table is or will be; with another ending, its document."""
        return self.root / name / f"{month}{ending}"

    def has(self, name: str, month: Month) -> bool:
        """Whether the month's table is there."""
        return self.path(name, month).exists()

    def months(self, name: str) -> tuple[Month, ...]:
        """The months that have this table, oldest first."""
        return tuple(sorted(Month.parse(path.stem) for path in (self.root / name).glob("*.parquet")))

    def require(self, name: str, month: Month) -> None:
        """Raise MissingTableError unless the month's table is there."""
        if not self.has(name, month):
            raise MissingTableError(f"{name} of {month} is not there: close {month} first (churn close {month})")

    def read(self, name: str, month: Month) -> ibis.Table:
        """The month's table as an Ibis expression. Raises MissingTableError and DamagedTableError."""
        self.require(name, month)
        return self.read_file(self.path(name, month))

    def read_file(self, path: Path, *, places: bool = False) -> ibis.Table:
        """Any Parquet file as an Ibis expression, with each row's place in it, from 0, as a column where asked for.

        Raises DamagedTableError.
        """
        with undamaged(path):
            # Its path is only a path: neither a pattern, nor columns where a folder is named such as `env=prod`.
            return self.engine.read_parquet(glob.escape(str(path)), hive_partitioning=False, file_row_number=places)

    def frame(self, name: str, month: Month) -> pd.DataFrame:
        """The month's table in memory, in the file's row order. Raises MissingTableError."""
        frame: pd.DataFrame = self.read(name, month).to_pandas()
        return frame

    def rows(self, name: str, month: Month) -> int:
        """The month's row count. Raises MissingTableError."""
        self.require(name, month)
        return row_count(self.path(name, month))

    def written_by(self, name: str, month: Month) -> str:
        """The engine that wrote the month's table, such as `DuckDB 1.5.6`; empty where that is unknown."""
        self.require(name, month)
        with opened(self.path(name, month)) as file:
            found = _WRITER.match(file.metadata.created_by or "")
        return f"DuckDB {found[1]}" if found else ""

    def write(
        self, name: str, month: Month, table: ibis.Table, built_from: Iterable[tuple[str, Month]] = ()
    ) -> Written:
        """Evaluate an expression, and replace the month's table with the result.

        The expression must order its rows: the same rows in the same order give the same bytes. The hashes of the
        tables in `built_from` are kept beside it, for `is_stale`.
        """
        inputs = self._hashes(built_from)
        written = self.write_file(self.path(name, month), table)
        # After the table: a crash between the two leaves the table stale, and building it again repairs that.
        self.write_document(name, month, inputs)
        return written

    def is_stale(self, name: str, month: Month, built_from: Iterable[tuple[str, Month]] | None = None) -> bool:
        """Whether what the month's table was built from has changed since, or is not known.

        Where `built_from` is given, also whether it was built from other tables than these. Raises DocumentError.
        """
        inputs = self.document(name, month, dict[str, str])
        if inputs is None:
            return True
        return inputs != self._hashes(self.built_from(name, month) if built_from is None else built_from)

    def built_from(self, name: str, month: Month) -> list[tuple[str, Month]]:
        """The tables that the month's table was built from, as far as that is known. Raises DocumentError."""
        inputs = self.document(name, month, dict[str, str]) or {}
        return [(source, Month.parse(key)) for source, _, key in (name.rpartition("/") for name in inputs)]

    def _hashes(self, tables: Iterable[tuple[str, Month]]) -> dict[str, str]:
        return {f"{name}/{month}": self.sha256(name, month) for name, month in tables}

    def sha256(self, name: str, month: Month) -> str:
        """The SHA-256 of the month's table; empty where there is none."""
        return sha256_of(self.path(name, month)) if self.has(name, month) else ""

    def write_file(self, path: Path, table: ibis.Table) -> Written:
        """Evaluate an expression into a Parquet file of any name, atomically."""
        with replacing(path) as temporary:
            return _evaluate(table, temporary, path)

    @contextmanager
    def replacing(self, month: Month, tables: Mapping[str, ibis.Table]) -> Iterator[dict[str, Written]]:
        """Evaluate expressions by the names of the month's tables, and replace them all when the block ends well.

        If one cannot be evaluated or written, or the block fails, every table stays as it is. What was written is
        in place only after the block.
        """
        paths = {name: self.path(name, month) for name in tables}
        with replacing_all(paths.values()) as temporaries:
            yield {
                name: _evaluate(tables[name], temporary, path)
                for (name, path), temporary in zip(paths.items(), temporaries, strict=True)
            }

    def remove(self, name: str, month: Month) -> None:
        """Remove the month's table and document, where they are there."""
        for ending in (".parquet", ".json"):
            self.path(name, month, ending).unlink(missing_ok=True)

    def addressed(self, name: str, sha256: str) -> Path:
        """Where the file with this content is or will be."""
        return self.root / name / f"{sha256}.parquet"

    def write_addressed(self, name: str, table: ibis.Table) -> Written:
        """Evaluate an expression into a file that is named after its content, and so never changes."""
        folder = self.root / name
        with scratch(folder) as made:
            written = self.write_file(made / "rows.parquet", table)
            place = self.addressed(name, written.sha256)
            if not place.exists():  # rows of it may have been erased since
                written.path.replace(place)
        return Written(place, written.rows, written.sha256)

    def write_document(self, name: str, month: Month, record: msgspec.Struct | dict[str, str]) -> Path:
        """Replace the month's JSON document with a record, atomically."""
        path = self.path(name, month, ".json")
        with replacing(path) as temporary:
            temporary.write_bytes(msgspec.json.encode(record))
        return path

    def document(self, name: str, month: Month, kind: type[T], made_by: str = "churn close") -> T | None:
        """The month's JSON document as the record that was written, or None if there is none.

        `made_by` is the command that makes it. Raises DocumentError.
        """
        path = self.path(name, month, ".json")
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DocumentError(f"{path} cannot be read: {error}; make it again with {made_by} {month}") from error

    def require_document(self, name: str, month: Month, kind: type[T], made_by: str) -> T:
        """The month's JSON document, which the command `made_by` makes. Raises MissingTableError and DocumentError."""
        found = self.document(name, month, kind, made_by)
        if found is None:
            raise MissingTableError(f"{name} of {month} is not there: run {made_by} {month} first")
        return found
