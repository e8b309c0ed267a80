"""Published tables: the lake's months in PostgreSQL, for analysts who work there.

Here: a lake table of one month copied into a table that is partitioned by as_of, atomically, and the view on its newest
month. Not here: what the tables mean (`catalog`), or what serving looks up (`online`).

A month appears, or is replaced, in one transaction, and neither waits for readers nor makes them wait: a new partition
is filled before it is attached, and a replaced month's rows are deleted and copied again. Exchanging the partition
would be twice as fast, but locks the whole table: it would wait for the longest query, and all later queries for it.

    features                 PARTITION BY LIST (as_of), PRIMARY KEY (as_of, key)
    features_2024_01         one partition a month
    features_live            the view on the newest month
    published_months         what is published: table, as_of, rows, the SHA-256 of the lake's file, when
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, LiteralString

import psycopg
from psycopg import sql

from churn_platform.faults import Fault
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.online.connecting import PUBLISH_SECONDS, transaction
from churn_platform.tables.catalog import CatalogTable
from churn_platform.tables.features import AS_OF

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    Connection = psycopg.Connection[tuple[Any, ...]]

URL_SETTING = "CHURN_POSTGRES_URL"

_LOCK_SECONDS = 30  # how long a change of columns may wait for queries, and make later ones wait behind it
ADVISORY_LOCK = 5_120_241_164
"""Any number that other programs on the database do not lock."""
_BATCH = 20_000

_RECORDS = """
CREATE TABLE IF NOT EXISTS published_months (
    table_name text, as_of date, rows bigint NOT NULL, sha256 text NOT NULL, published_at timestamptz NOT NULL,
    PRIMARY KEY (table_name, as_of))
"""


class NotPublishedError(Fault):
    """A month that PostgreSQL did not take; what was published stays. The message says why and what to do."""


class PostgresUnavailableError(NotPublishedError):
    """PostgreSQL cannot be reached or is too busy at present; it may take the month later."""


@dataclass(frozen=True)
class PublishedMonth:
    """A month as published: its rows, the SHA-256 of the lake's file, and whether that was published before."""

    rows: int
    sha256: str
    unchanged: bool


def publish(
    url: str, lake: Lake, table: CatalogTable, month: Month, seconds: float = PUBLISH_SECONDS
) -> PublishedMonth:
    """Publish a month of the lake's table, replacing what was published of it; the same content again does nothing.

    Publishers wait for each other; all of it is over within `seconds`. Columns that are new in the lake are added;
    those that are gone stay, and are null. Raises MissingTableError, PostgresUnavailableError, and NotPublishedError
    where a column's type has changed or the rows do not fit.
    """
    lake.require(table.source, month)
    with _connection(url, table, month, seconds) as connection:
        writer = _Writer(connection, table, month)
        with lake.path(table.source, month).open("rb") as file:  # under the lock, so that the newest comes last
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if (rows := writer.published(digest)) is not None:
                return PublishedMonth(rows, digest, unchanged=True)
            return PublishedMonth(writer.write(file, digest), digest, unchanged=False)


def withdraw(url: str, table: CatalogTable, month: Month, seconds: float = PUBLISH_SECONDS) -> bool:
    """Remove what was published of a month that the lake no longer has, and say whether there was anything.

    Raises PostgresUnavailableError and NotPublishedError.
    """
    with _connection(url, table, month, seconds) as connection:
        return _Writer(connection, table, month).remove()


@contextmanager
def _connection(url: str, table: CatalogTable, month: Month, seconds: float) -> Iterator[Connection]:
    """A transaction with the lock, committed when the block ends well."""
    try:
        with transaction(url, seconds) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{_LOCK_SECONDS}s")))
            connection.execute(_RECORDS)
            yield connection
    except psycopg.OperationalError as error:
        reason = (
            f"the PostgreSQL of {URL_SETTING} cannot be used at present: {_line(error)}: start it, or correct the URL"
        )
        raise PostgresUnavailableError(f"{table.name} of {month} is not published: {reason}") from None
    except psycopg.Error as error:
        raise NotPublishedError(
            f"{table.name} of {month} is not published: PostgreSQL refuses it: {_line(error)}"
        ) from error


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())


class _Writer:
    """One month of one table, within a transaction that holds the lock."""

    def __init__(self, connection: Connection, table: CatalogTable, month: Month) -> None:
        self._connection = connection
        self._table = table
        self._month = month
        self._live = f"{table.name}_live"
        self._partition = f"{table.name}_{month.year:04d}_{month.number:02d}"

    def published(self, digest: str) -> int | None:
        """How many rows of this content are published, or None where different content is, or none."""
        found = self._connection.execute(
            "SELECT rows FROM published_months WHERE table_name = %s AND as_of = %s AND sha256 = %s",
            (self._table.name, self._month.as_of, digest),
        ).fetchone()
        there = self._has_partition() and self._exists(self._live)  # unless they were dropped by hand
        return int(found[0]) if found and there else None

    def remove(self) -> bool:
        """Delete the month's rows and its record, and say whether it had any."""
        gone = self._connection.execute(
            "DELETE FROM published_months WHERE table_name = %s AND as_of = %s", (self._table.name, self._month.as_of)
        )
        if there := self._has_partition():
            self._run("DELETE FROM {partition}")
        return bool(gone.rowcount) and there

    def write(self, file: BinaryIO, digest: str) -> int:
        """Copy a Parquet file into the month's partition, and return its row count."""
        from pyarrow.parquet import ParquetFile

        parquet = ParquetFile(file)
        types = {AS_OF: "date"} | {field.name: self._type_of(field) for field in parquet.schema_arrow}
        self._follow(types)
        replaced = self._has_partition()
        self._run("DELETE FROM {partition}" if replaced else "CREATE TABLE {partition} (LIKE {table})")
        rows = self._copy(parquet, types)
        self._run("ANALYZE {partition}")  # so that the first query is planned as well as later ones
        if not replaced:
            self._run("ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES IN ({as_of})")
        self._connection.execute(
            "INSERT INTO published_months VALUES (%s, %s, %s, %s, now()) ON CONFLICT (table_name, as_of) DO UPDATE"
            " SET rows = EXCLUDED.rows, sha256 = EXCLUDED.sha256, published_at = EXCLUDED.published_at",
            (self._table.name, self._month.as_of, rows, digest),
        )
        return rows

    def _type_of(self, field: pa.Field) -> str:
        """PostgreSQL's name of a Parquet column's type."""
        import pyarrow.types as known

        for name, is_such in (
            ("text", known.is_string),
            ("boolean", known.is_boolean),
            ("bigint", known.is_integer),
            ("double precision", known.is_floating),
            ("date", known.is_date),
        ):
            if is_such(field.type):
                return name
        raise NotPublishedError(
            f"{self._table.name}.{field.name} of {self._month} is {field.type} in the lake, which cannot be published:"
            " make it text, a boolean, a number or a date"
        )

    def _follow(self, types: dict[str, str]) -> None:
        """Make the table and the view hold these columns, and say what they mean."""
        present = self._columns()
        if not present:
            self._run(
                "CREATE TABLE {table} (as_of date, {key} text, PRIMARY KEY (as_of, {key})) PARTITION BY LIST (as_of)",
                key=sql.Identifier(self._table.key),
            )
            self._connection.execute("DELETE FROM published_months WHERE table_name = %s", (self._table.name,))
            present = self._columns()
        for name in types.keys() & present.keys():
            if types[name] != present[name]:
                raise NotPublishedError(
                    f"{self._table.name}.{name} is {present[name]} in PostgreSQL, but {types[name]} in the lake's"
                    f" {self._month}. The lake keeps every month: run DROP TABLE {self._table.name} CASCADE in psql,"
                    f" then materialize published/{self._table.name} for all months"
                )
        new = [name for name in types if name not in present]
        for name in new:
            self._run(
                "ALTER TABLE {table} ADD COLUMN {column} {type}", column=sql.Identifier(name), type=sql.SQL(types[name])
            )
        if new or not self._exists(self._live):
            self._run(
                "CREATE OR REPLACE VIEW {live} AS SELECT * FROM {table} WHERE as_of = (SELECT max(as_of) FROM {table})"
            )
        self._describe(present.keys() | types.keys())

    def _describe(self, columns: AbstractSet[str]) -> None:
        """Say what the table, the view and their columns mean, as comments."""
        self._run("COMMENT ON TABLE {table} IS {text}", text=sql.Literal(self._table.meaning))
        newest = f"The newest month of {self._table.name}. {self._table.meaning}"
        self._run("COMMENT ON VIEW {live} IS {text}", text=sql.Literal(newest))
        for name, meaning in self._table.meanings().items():
            if name in columns:
                for relation in (self._table.name, self._live):
                    column = sql.Identifier(relation, name)
                    self._run("COMMENT ON COLUMN {column} IS {text}", column=column, text=sql.Literal(meaning))

    def _copy(self, parquet: ParquetFile, types: dict[str, str]) -> int:
        """Copy all rows into the partition, with one batch in memory at a time."""
        columns = sql.SQL(", ").join(map(sql.Identifier, types))
        command = self._composed("COPY {partition} ({columns}) FROM STDIN (FORMAT binary)", columns=columns)
        cursor = self._connection.cursor()
        with cursor.copy(command) as copy:
            copy.set_types(list(types.values()))
            for batch in parquet.iter_batches(_BATCH):
                known = dict(zip(batch.schema.names, batch.columns, strict=True))
                as_of = [self._month.as_of] * batch.num_rows
                values = [known[name].to_pylist() if name in known else as_of for name in types]
                for row in zip(*values, strict=True):
                    copy.write_row(row)
        return cursor.rowcount

    def _columns(self) -> dict[str, str]:
        """The published table's columns and their types; empty where there is no partitioned table of that name."""
        found = self._connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class t ON t.oid = attrelid"
            " WHERE t.oid = to_regclass(%s) AND t.relkind = 'p' AND attnum > 0 AND NOT attisdropped",
            (self._table.name,),
        )
        return dict(found.fetchall())

    def _exists(self, relation: str) -> bool:
        return self._connection.execute("SELECT to_regclass(%s)", (relation,)).fetchone() != (None,)

    def _has_partition(self) -> bool:
        found = self._connection.execute(
            "SELECT FROM pg_inherits WHERE inhparent = to_regclass(%s) AND inhrelid = to_regclass(%s)",
            (self._table.name, self._partition),
        )
        return found.fetchone() is not None

    def _run(self, statement: LiteralString, **parts: sql.Composable) -> None:
        self._connection.execute(self._composed(statement, **parts))

    def _composed(self, statement: LiteralString, **parts: sql.Composable) -> sql.Composed:
        return sql.SQL(statement).format(
            table=sql.Identifier(self._table.name),
            live=sql.Identifier(self._live),
            partition=sql.Identifier(self._partition),
            as_of=sql.Literal(self._month.as_of),
            **parts,
        )
