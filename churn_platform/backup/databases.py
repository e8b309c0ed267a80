"""Databases: what a PostgreSQL database holds, as files, and those files as a database again.

Here: its plain tables, with their keys, indexes, sequences and triggers, and their rows as of one moment. Not here:
partitioned tables and views, which analysts read: the lake has their rows, and `restoring` publishes them again.

SQLAlchemy reads and writes the tables' definitions, and PostgreSQL's COPY their rows. So no program of PostgreSQL's has
to be there, in the server's own version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition AND NOT tgisinternal
    ORDER BY t.oid
"""
_CONSTRAINTS = """
    SELECT relname, contype, count(*) FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
    WHERE relnamespace = %s::regnamespace AND relname = ANY(%s) GROUP BY 1, 2 ORDER BY 1, 2
"""
_OTHERS = """
    SELECT relname FROM pg_class WHERE relkind IN ('p', 'v', 'm') AND relnamespace = 'public'::regnamespace
    UNION SELECT 'the schema ' || nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$|public$)'
"""
_GRANTED = """
    SELECT DISTINCT grantee FROM information_schema.role_table_grants
    WHERE table_schema = 'public' AND grantee NOT IN (grantor, 'PUBLIC', 'serving') ORDER BY 1
"""
_TRIAL = "churn_backup_trial"
_MOVE = "move them to a database or schema of their own"
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
    """One open connection, in a transaction that sees one moment. Raises DatabaseError."""

    def __init__(self, connection: sqlalchemy.Connection, name: str, url: str) -> None:
        self._connection = connection
        self._url = url
        self.name = name
        self.place = without_secrets(url)
        driver: psycopg.Connection[tuple[Any, ...]] = connection.connection.driver_connection  # type: ignore[assignment]
        self._driver = driver
        with self._told():
            for statement in (*_PLAINLY, "SELECT"):  # the moment is that of the first query
                self._ask(statement)

    def published(self) -> list[tuple[str, str]]:
        """The tables and months that analysts see, as `features` and `2024-01-31`."""
        with self._told():
            if self._ask("SELECT to_regclass('published_months')") == [(None,)]:
                return []
            found = self._ask("SELECT table_name, as_of FROM published_months ORDER BY as_of, table_name")
            return [(str(name), str(day)) for name, day in found]

    def column(self, table: str, column: str) -> list[str]:
        """A column's values; none where there is no such table."""
        with self._told():
            if self._ask("SELECT to_regclass(%s)", (table,)) == [(None,)]:
                return []
            query = sql.SQL("SELECT DISTINCT {} FROM {}").format(sql.Identifier(column), sql.Identifier(table))
            return [str(value) for (value,) in self._driver.execute(query)]

    def is_empty(self) -> bool:
        """Whether there is no table."""
        with self._told():
            return self._ask(_ANYTHING) == [(0,)]

    def left_out(self) -> list[str]:
        """What there is besides what `write` takes and publishing makes again: views, tables, rights of others."""
        with self._told():
            made = {name for table, _ in self.published() for name in (table, f"{table}_live")}
            others = {str(name) for (name,) in self._ask(_OTHERS)} - made
            return [*sorted(others), *(f"what {role} may do" for (role,) in self._ask(_GRANTED))]

    def write(self, folder: Path) -> None:
        """Write its tables and rows to files, if a database can be made of them again."""
        with self._told():
            (folder / "rows").mkdir(parents=True)
            last = tuple(str(statement) for query in (_FUNCTIONS, _TRIGGERS) for (statement,) in self._ask(query))
            schema = Schema(tuple(self._tables()), last)
            self._try(schema)
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
        with self._told():
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

    def change_places(self, change: Callable[[str], str]) -> None:
        """Change the paths among all texts."""
        with self._told():
            for table, column in self._ask(_TEXTS):
                names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
                search = sql.SQL("SELECT ctid, {column} FROM {table} WHERE strpos({column}, '/') > 0").format(**names)
                update = sql.SQL("UPDATE {table} SET {column} = %s WHERE ctid = %s").format(**names)
                for row, text in self._driver.execute(search).fetchall():
                    if (changed := change(text)) != text:
                        self._driver.execute(update, (changed, row))

    def commit(self) -> None:
        """Keep what was read."""
        with self._told():
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
                tuple(Sequence(column, last) for column, last in self._ask(_SEQUENCES, (table.name,)) if last),
            )

    def _try(self, schema: Schema) -> None:
        """Make the tables in a place of their own, which is taken back, and see that nothing of them is missing."""
        names = [table.name for table in schema.tables]
        before = self._ask(_CONSTRAINTS, ("public", names))
        with psycopg.connect(self._url, connect_timeout=_CONNECT_SECONDS) as trial:
            try:
                trial.execute(f"CREATE SCHEMA {_TRIAL}")
                trial.execute(f"SET LOCAL search_path TO {_TRIAL}")
                for statement in (statement for table in schema.tables for statement in table.statements):
                    trial.execute(statement)
                after = trial.execute(_CONSTRAINTS, (_TRIAL, names)).fetchall()
            except psycopg.Error as error:
                raise DatabaseError(f"{self._whole}: {_line(error)}: {_MOVE}") from error
            finally:
                trial.rollback()
        if after != before:
            tables = sorted({str(table) for table, *_ in set(before) ^ set(after)})
            raise DatabaseError(f"{self._whole}: constraints of {', '.join(tables)} cannot be made again: {_MOVE}")

    @property
    def _whole(self) -> str:
        return f"the PostgreSQL database {self.place} ({self.name}) has tables that no backup can hold"

    def _ask(self, statement: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        cursor = self._driver.execute(statement, tuple(values) or None)
        return cursor.fetchall() if cursor.description else []

    def _told(self) -> AbstractContextManager[None]:
        return _told(self.name, self.place)


def _copying(command: LiteralString, table: TableDump) -> sql.Composed:
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    return sql.SQL(command).format(sql.Identifier(table.name), columns)


@contextmanager
def opened(urls: Mapping[str, str]) -> Iterator[list[Database]]:
    """Connections to these databases, by their names, each in a transaction that sees what was there as it began.

    They begin one after the other. URLs are libpq's. Raises DatabaseError.
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
            with _told(name, without_secrets(url)):
                connection = stack.enter_context(engine.connect())
            databases.append(Database(connection, name, url))
        yield databases


@contextmanager
def _told(name: str, place: str) -> Iterator[None]:
    import sqlalchemy

    try:
        yield
    except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        raise DatabaseError(
            f"the PostgreSQL database {place} ({name}) cannot be used: {_line(error)}: mend that, then run this again"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", error)).split())
