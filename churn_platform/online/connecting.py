"""Connecting to a PostgreSQL so that nobody waits for ever: whatever the server does, work on it ends in time.

Here: a transaction with a deadline, for publishing; any work within a time, for decisions; questions with a deadline
over one kept connection, for serving. Not here: what is written or asked (`postgres`, `tables.published`,
`champion.postgres`, `serving`).

A server can take a query and never answer it: frozen, or behind a cable that was pulled. No setting of PostgreSQL or of
libpq notices that, and cancelling the query waits for the same server. So the client's own end of the line is shut.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg

from churn_platform.online.types import StoreUnavailableError

if TYPE_CHECKING:
    Connection = psycopg.Connection[tuple[Any, ...]]

PUBLISH_SECONDS = 300.0
"""How long publishing a month may take, including the wait for other publishers: a million customers take a minute."""

_CONNECT_SECONDS = 5
_RETRY_SECONDS = 0.25  # after a failed attempt, all who waited get its answer instead of trying again one by one


@contextmanager
def transaction(url: str, seconds: float) -> Iterator[Connection]:
    """A transaction, committed when the block ends well, all of it within `seconds` after a connection is there.

    Raises psycopg.OperationalError, also where the time is over.
    """
    connection = psycopg.connect(url, connect_timeout=min(_CONNECT_SECONDS, math.ceil(seconds)))
    with within(connection, seconds), connection:
        # So that the server stops as well, a moment later, and gives its locks back.
        connection.execute("SELECT set_config('statement_timeout', %s, true)", (f"{(seconds + 1) * 1000:.0f}ms",))
        yield connection


@contextmanager
def within(connection: Connection, seconds: float) -> Iterator[None]:
    """Work on a connection, over within `seconds`. Raises psycopg.OperationalError, which says where it was late."""
    late = threading.Event()

    def end() -> None:
        late.set()  # before the block can notice
        _shut(line)

    with _line(connection) as line:
        over = threading.Timer(seconds, end)
        over.start()
        try:
            yield
        except psycopg.OperationalError as error:
            if late.is_set():
                raise psycopg.OperationalError(f"it did not finish within {seconds:g} seconds") from error
            raise
        finally:
            over.cancel()
            over.join()


class Questions:
    """Asks over one connection, which is opened when needed and again after each loss.

    `name` is what a message calls the server, and `timeout` how many seconds an answer may take.
    """

    def __init__(self, url: str, timeout: float, name: str) -> None:
        self._url = url
        self._timeout = timeout
        self._name = name
        self._connection: psycopg.AsyncConnection | None = None
        self._lock = asyncio.Lock()
        self._down: tuple[float, str] | None = None  # when the last attempt failed (loop time), and why

    async def ask(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]] | None:
        """The rows, or None where there is no such table. Raises StoreUnavailableError."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            if self._down is not None and loop.time() < self._down[0] + _RETRY_SECONDS:
                # Those who waited for the last attempt need not try again.
                raise StoreUnavailableError(self._down[1])
            deadline = loop.time() + self._timeout
            while True:
                kept = self._connection is not None  # it may have died unnoticed: worth a second attempt
                try:
                    found = await self._asked(sql, parameters, deadline)
                except psycopg.errors.UndefinedTable:
                    found = None
                except (psycopg.Error, TimeoutError, OSError) as error:
                    await self.close()
                    late = loop.time() >= deadline
                    if kept and not late:
                        continue
                    told = f"no answer within {self._timeout:g} seconds" if late else type(error).__name__
                    reason = f"{self._name} does not answer: {told}: start it, or correct the URL"
                    self._down = (loop.time(), reason)
                    raise StoreUnavailableError(reason) from error
                self._down = None
                return found

    async def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _asked(self, sql: str, parameters: tuple[object, ...], deadline: float) -> list[tuple[Any, ...]]:
        if self._connection is None:
            async with asyncio.timeout_at(deadline):
                self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        with _line(self._connection) as line:
            over = asyncio.get_running_loop().call_at(deadline, _shut, line)
            try:
                return await (await self._connection.execute(sql, parameters)).fetchall()
            finally:
                over.cancel()


def _line(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> socket.socket:
    """The connection's socket, in a copy that outlives it."""
    return socket.socket(fileno=os.dup(connection.fileno()))


def _shut(line: socket.socket) -> None:
    """Whoever waits for the other end is told at once that it has gone."""
    with suppress(OSError):  # it had gone already
        line.shutdown(socket.SHUT_RDWR)
