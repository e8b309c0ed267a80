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

from churn_platform.backup import queries
from churn_platform.faults import Fault
from churn_platform.settings.urls import without_secrets

if TYPE_CHECKING:
    import sqlalchemy

_SCHEMA = "schema.json"
_CONNECT_SECONDS = 10
_LOCK_SECONDS = 30
_TRIAL = "churn_backup_trial"
_MOVE = "move them to a database or schema of their own"


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
            for statement in queries.PLAINLY:
                self._ask(statement)
            plain = [str(name) for (name,) in self._ask(queries.PLAIN_TABLES)]
            driver.commit()
            # Whoever empties a table waits: TRUNCATE keeps no row for those who still see it. The moment is that of the
            # first query after the locks.
            self._ask(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
            for name in plain:
                driver.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(sql.Identifier(name)))
            self._ask("SELECT")

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
            return self._ask(queries.ANYTHING) == [(0,)]

    def left_out(self) -> list[str]:
        """What there is besides what `write` takes and publishing makes again: views, tables, rights of others."""
        with self._told():
            made = {name for table, _ in self.published() for name in (table, f"{table}_live")}
            others = {str(name) for (name,) in self._ask(queries.OTHERS)} - made
            return [*sorted(others), *(f"what {role} may do" for (role,) in self._ask(queries.GRANTED))]

    def write(self, folder: Path) -> None:
        """Write its tables and rows to files, if a database can be made of them again."""
        with self._told():
            (folder / "rows").mkdir(parents=True)
            lasting = [*self._ask(queries.FUNCTIONS), *self._ask(queries.TRIGGERS)]
            schema = Schema(tuple(self._tables()), tuple(str(statement) for (statement,) in lasting))
            self._try(schema)
            (folder / _SCHEMA).write_bytes(msgspec.json.format(msgspec.json.encode(schema)))
            for number, table in enumerate(schema.tables, start=1):
                with (
                    (folder / "rows" / str(number)).open("wb") as file,
                    self._driver.cursor().copy(_copying("COPY {} ({}) TO STDOUT", table)) as copy,
                ):
                    for data in copy:
                        file.write(data)

    def read(self, folder: Path) -> None:
        """Make the tables, with their rows, of the files that `write` wrote."""
        with self._told():
            schema = msgspec.json.decode((folder / _SCHEMA).read_bytes(), type=Schema)
            for number, table in enumerate(schema.tables, start=1):
                for statement in table.statements:
                    self._ask(statement)
                with (
                    (folder / "rows" / str(number)).open("rb") as file,
                    self._driver.cursor().copy(_copying("COPY {} ({}) FROM STDIN", table)) as copy,
                ):
                    while data := file.read(1 << 20):
                        copy.write(data)
                for given in table.sequences:
                    self._ask(queries.SET_SEQUENCE, (table.name, given.column, given.last))
            for statement in schema.last:
                self._ask(statement)

    def change_places(self, change: Callable[[str], str]) -> None:
        """Change the paths among all texts."""
        with self._told():
            for table, column in self._ask(queries.TEXTS):
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
        plain = {str(name) for (name,) in self._ask(queries.PLAIN_TABLES)}
        plain.discard("published_months")  # which publishing writes
        found.reflect(self._connection, only=sorted(plain))
        for table in found.sorted_tables:
            indexes = sorted(table.indexes, key=lambda index: str(index.name))
            making: list[ExecutableDDLElement] = [CreateTable(table), *map(CreateIndex, indexes)]
            yield TableDump(
                str(table.name),
                tuple(str(one.compile(dialect=plainly)).strip() for one in making),
                tuple(str(column.name) for column in table.columns if column.computed is None),
                tuple(Sequence(*found) for found in self._ask(queries.SEQUENCES, (table.name,)) if found[1]),
            )

    def _try(self, schema: Schema) -> None:
        """Make the tables in a place of their own, which is taken back, and see that nothing of them is missing."""
        names = [table.name for table in schema.tables]
        before = self._driver.execute(queries.CONSTRAINTS, {"schema": "public", "tables": names}).fetchall()
        with psycopg.connect(self._url, connect_timeout=_CONNECT_SECONDS) as trial:
            try:
                trial.execute(f"CREATE SCHEMA {_TRIAL}")
                trial.execute(f"SET LOCAL search_path TO {_TRIAL}")
                for statement in (statement for table in schema.tables for statement in table.statements):
                    trial.execute(statement)
                after = trial.execute(queries.CONSTRAINTS, {"schema": _TRIAL, "tables": names}).fetchall()
            except psycopg.Error as error:
                raise DatabaseError(f"{self._whole}: {_line(error)}: {_MOVE}") from error
            finally:
                trial.rollback()
        if after != before:
            tables = sorted({str(table) for table, *_ in set(before) ^ set(after)})
            raise DatabaseError(f"{self._whole}: constraints or indexes of {', '.join(tables)}: {_MOVE}")

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
