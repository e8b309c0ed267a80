"""Databases: what a PostgreSQL database holds, as files, and those files as a database again.

Here: its plain tables, with their keys, indexes, sequences and triggers, and their rows as of one moment. Not here:
partitioned tables and views, which analysts read: the lake has their rows, and `restoring` publishes them again.

SQLAlchemy reads and writes the tables' definitions, and PostgreSQL's COPY their rows. So no program of PostgreSQL's has
to be there, in the server's own version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import msgspec
import psycopg
from psycopg import sql

from churn_platform.faults import Fault
from churn_platform.settings.urls import without_secrets

if TYPE_CHECKING:
    import sqlalchemy

_SCHEMA = "schema.json"
_CONNECT_SECONDS = 10
# So that text means the same in every database, as pg_dump sees to it.
_PLAINLY = (
    "SET client_encoding = 'UTF8'",
    "SET datestyle = 'ISO'",
    "SET intervalstyle = 'postgres'",
    "SET extra_float_digits = 1",
)
_PLAIN_TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition
"""
_ANYTHING = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')"
_SEQUENCES = """
    SELECT attname, pg_sequence_last_value(pg_get_serial_sequence(quote_ident(relname), attname)::regclass)
    FROM pg_attribute JOIN pg_class t ON t.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relname = %s AND attnum > 0 AND NOT attisdropped
      AND pg_get_serial_sequence(quote_ident(relname), attname) IS NOT NULL
"""

_FUNCTIONS = """
    SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e') ORDER BY oid
"""
_TRIGGERS = """
    SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
    WHERE relnamespace = 'public'::regnamespace AND NOT tgisinternal ORDER BY t.oid
"""
_SET_SEQUENCE = "SELECT setval(pg_get_serial_sequence(quote_ident(%s), %s), %s)"
_TEXTS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type IN ('text', 'character varying')
"""


class DatabaseError(Fault):
    """A PostgreSQL database that cannot be taken or filled; the message says which one, and what to do."""


class Sequence(msgspec.Struct, frozen=True):
    """The last number that a column was given."""

    column: str
    last: int


class TableDump(msgspec.Struct, frozen=True):
    """A table: the statements that make it, its columns in the order of its rows, and its sequences."""

    name: str
    statements: tuple[str, ...]
    columns: tuple[str, ...]
    sequences: tuple[Sequence, ...]


class Schema(msgspec.Struct, frozen=True):
    """A database's tables, and the statements that come last, once they have their rows: functions and triggers."""

    tables: tuple[TableDump, ...]
    last: tuple[str, ...]


class Database:
    """One open connection, in a transaction that sees one moment."""

    def __init__(self, connection: sqlalchemy.Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        driver: psycopg.Connection[tuple[Any, ...]] = connection.connection.driver_connection  # type: ignore[assignment]
        self._driver = driver
        for statement in (*_PLAINLY, "SELECT"):  # the moment is that of the first query
            self._ask(statement)

    def published(self) -> list[tuple[str, str]]:
        """The tables and months that analysts see, as `features` and `2024-01-31`."""
        if self._ask("SELECT to_regclass('published_months')") == [(None,)]:
            return []
        found = self._ask("SELECT table_name, as_of FROM published_months ORDER BY as_of, table_name")
        return [(str(name), str(day)) for name, day in found]

    def is_empty(self) -> bool:
        """Whether there is no table."""
        return self._ask(_ANYTHING) == [(0,)]

    def write(self, folder: Path) -> None:
        """Write its tables and rows to files."""
        (folder / "rows").mkdir(parents=True)
        last = tuple(str(statement) for query in (_FUNCTIONS, _TRIGGERS) for (statement,) in self._ask(query))
        schema = Schema(tuple(self._tables()), last)
        (folder / _SCHEMA).write_bytes(msgspec.json.format(msgspec.json.encode(schema)))
        for table in schema.tables:
            with (
                (folder / "rows" / table.name).open("wb") as file,
                self._driver.cursor().copy(_copying("COPY {} ({}) TO STDOUT", table)) as copy,
            ):
                for data in copy:
                    file.write(data)

    def read(self, folder: Path) -> None:
        """Make the tables, with their rows, of the files that `write` wrote."""
        schema = msgspec.json.decode((folder / _SCHEMA).read_bytes(), type=Schema)
        for table in schema.tables:
            for statement in table.statements:
                self._ask(statement)
            with (
                (folder / "rows" / table.name).open("rb") as file,
                self._driver.cursor().copy(_copying("COPY {} ({}) FROM STDIN", table)) as copy,
            ):
                while data := file.read(1 << 20):
                    copy.write(data)
            for given in table.sequences:
                self._ask(_SET_SEQUENCE, (table.name, given.column, given.last))
        for statement in schema.last:
            self._ask(statement)

    def replace(self, before: str, after: str) -> None:
        """Replace a part of every text, wherever it is."""
        for table, column in self._ask(_TEXTS):
            change = sql.SQL("UPDATE {} SET {column} = replace({column}, %s, %s) WHERE strpos({column}, %s) > 0")
            statement = change.format(sql.Identifier(table), column=sql.Identifier(column))
            self._driver.execute(statement, (before, after, before))

    def commit(self) -> None:
        """Keep what was read."""
        self._driver.commit()

    def _tables(self) -> Iterator[TableDump]:
        """The plain tables, each after those that it refers to."""
        from sqlalchemy import MetaData
        from sqlalchemy.dialects import postgresql
        from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

        plainly = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # others double each %
        found = MetaData()
        plain = {str(name) for (name,) in self._ask(_PLAIN_TABLES)} - {"published_months"}  # which publishing writes
        found.reflect(self._connection, only=sorted(plain))
        for table in found.sorted_tables:
            indexes = sorted(table.indexes, key=lambda index: str(index.name))
            making: list[ExecutableDDLElement] = [CreateTable(table), *map(CreateIndex, indexes)]
            yield TableDump(
                str(table.name),
                tuple(str(one.compile(dialect=plainly)).strip() for one in making),
                tuple(str(column.name) for column in table.columns if column.computed is None),
                tuple(self._sequences(table.name)),
            )

    def _sequences(self, table: str) -> Iterator[Sequence]:
        for column, last in self._ask(_SEQUENCES, (table,)):
            if last is not None:
                yield Sequence(column, last)

    def _ask(self, statement: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        cursor = self._driver.execute(statement, tuple(values) or None)
        return cursor.fetchall() if cursor.description else []


def _copying(command: LiteralString, table: TableDump) -> sql.Composed:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    return sql.SQL(command).format(sql.Identifier(table.name), columns)


@contextmanager
def opened(urls: dict[str, str]) -> Iterator[list[Database]]:
    """Connections to these databases, by their names, each in a transaction that sees what was there as it began.

    They begin one after the other. Raises DatabaseError.
    """
    import sqlalchemy

    with ExitStack() as stack:
        databases = []
        for name, url in urls.items():
            engine = sqlalchemy.create_engine(
                sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"),
                poolclass=sqlalchemy.NullPool,
                isolation_level="REPEATABLE READ",
                connect_args={"connect_timeout": _CONNECT_SECONDS},
            )
            stack.enter_context(_told(name, url))
            databases.append(Database(stack.enter_context(engine.connect()), name))
        yield databases


@contextmanager
def _told(name: str, url: str) -> Iterator[None]:
    import sqlalchemy

    try:
        yield
    except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        place = f"{without_secrets(url)} ({name})"
        raise DatabaseError(f"the PostgreSQL database {place} cannot be used: {reason}") from error
