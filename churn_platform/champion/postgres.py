"""The book in PostgreSQL: the ledger's receipts where several hosts may decide.

Here: what only PostgreSQL needs: its tables and lock, deadlines, and taking over the files of an earlier version. Not
here: what a book is (`books`, through whose protocol this is used).

    receipts         number bigint PRIMARY KEY, receipt text: the bytes that the file would have
    receipt_intent   at most one row: the receipt of the decision that is not finished

The lock belongs to a connection that is held while a decision is made, and everything is written through it: who has
lost the connection has lost the lock, and writes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

from churn_platform.champion.books import Book, BookError
from churn_platform.online.connecting import within

URL_SETTING = "CHURN_POSTGRES_URL"

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 10
LOCK_SECONDS = 120
"""How long a decision waits for another one, which may be fetching a bundle."""

_LOCK = 5_120_241_165  # any numbers that other programs on the database do not lock
_MAKING_LOCK = 5_120_241_166

_TABLES: tuple[LiteralString, ...] = (
    "CREATE TABLE receipts (number bigint PRIMARY KEY, receipt text NOT NULL)",
    "CREATE TABLE receipt_intent (single boolean PRIMARY KEY DEFAULT true CHECK (single), receipt text NOT NULL)",
)
_CONFIRM: LiteralString = (
    "WITH done AS (DELETE FROM receipt_intent RETURNING receipt) INSERT INTO receipts SELECT %s, receipt FROM done"
)

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresBook:
    """Two tables. `earlier` are the receipts from before, which are copied when the tables are made, and stay."""

    def __init__(self, url: str, earlier: Book) -> None:
        self._url = url
        self._earlier = earlier
        self._held = threading.local()  # sensors share a home, each in its own thread

    def make_tables(self) -> None:
        """Make them where they are missing, as anybody does who comes first; a role that only reads could not."""
        with self._connected():
            pass

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Across hosts. A lost connection ends it. Raises BookError where it does not come free in LOCK_SECONDS."""
        with self._connected() as connection:
            self._run(connection, f"SET statement_timeout = '{LOCK_SECONDS}s'")
            self._run(connection, "SELECT pg_advisory_lock(%s)", (_LOCK,), seconds=LOCK_SECONDS + STATEMENT_SECONDS)
            self._run(connection, f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
            self._held.connection = connection
            try:
                yield
            finally:
                self._held.connection = None

    def receipts(self) -> dict[int, bytes]:
        """One query."""
        found = self._ask("SELECT number, receipt FROM receipts ORDER BY number")
        return {number: receipt.encode() for number, receipt in found}

    def intent(self) -> bytes | None:
        """The only row of its table."""
        found = self._ask("SELECT receipt FROM receipt_intent")
        return str(found[0][0]).encode() if found else None

    def intend(self, data: bytes) -> None:
        """Committed at once, as everything here is."""
        self._ask("INSERT INTO receipt_intent (receipt) VALUES (%s)", (data.decode(),))

    def confirm(self, number: int) -> None:
        """One statement, so that there is never both or neither."""
        self._ask(_CONFIRM, (number,))

    def withdraw(self) -> None:
        """The next decision may take its number."""
        self._ask("DELETE FROM receipt_intent")

    def name(self, number: int) -> str:
        """As a file would be called."""
        return self._earlier.name(number)

    def place(self, number: int) -> str:
        """The row."""
        return f"receipt {number} in the table receipts of {URL_SETTING}"

    def _ask(self, statement: LiteralString, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """A statement's rows; on the connection that holds the lock, if this thread does."""
        if (held := getattr(self._held, "connection", None)) is not None:
            return self._run(held, statement, values)
        with self._connected() as connection:
            return self._run(connection, statement, values)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection to a database that has the tables."""
        with _told():
            connection = psycopg.connect(self._url, connect_timeout=CONNECT_SECONDS, autocommit=True)
        try:
            self._run(connection, f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
            if self._lacks_tables(connection):
                self._make(connection)
            yield connection
        finally:
            connection.close()

    def _make(self, connection: Connection) -> None:
        """Make them with what was there before, all or nothing. Of several who come first, one does."""
        self._run(connection, "SELECT pg_advisory_lock(%s)", (_MAKING_LOCK,))
        if self._lacks_tables(connection):  # asked in a transaction that began under the lock, or it may see the past
            before, intent = self._earlier.receipts(), self._earlier.intent()
            with _told(), within(connection, LOCK_SECONDS), connection.transaction():
                for statement in _TABLES:
                    connection.execute(statement)
                for number, data in before.items():
                    connection.execute("INSERT INTO receipts VALUES (%s, %s)", (number, self._text(number, data)))
                if intent is not None:
                    connection.execute("INSERT INTO receipt_intent (receipt) VALUES (%s)", (self._text(0, intent),))
        self._run(connection, "SELECT pg_advisory_unlock(%s)", (_MAKING_LOCK,))

    def _lacks_tables(self, connection: Connection) -> bool:
        return bool(self._run(connection, "SELECT to_regclass('receipt_intent') IS NULL")[0][0])

    def _text(self, number: int, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            what = self._earlier.place(number) if number else "the intent of the next receipt"
            raise BookError(f"{what} is not text: restore it from a backup, so that PostgreSQL can take it") from error

    def _run(
        self,
        connection: Connection,
        statement: LiteralString,
        values: tuple[object, ...] = (),
        seconds: float = STATEMENT_SECONDS + 5,
    ) -> list[tuple[Any, ...]]:
        """Its rows. The server ends a statement that is late; the deadline is for a server that does not answer."""
        with _told(), within(connection, seconds):
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def _told() -> Iterator[None]:
    """Turn whatever PostgreSQL or the driver raises into a sentence."""
    try:
        yield
    except psycopg.Error as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise BookError(
            f"the receipts in PostgreSQL ({URL_SETTING}) cannot be used now: {reason} (mend that, then run this again)"
        ) from error
