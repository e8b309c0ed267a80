"""The online store on PostgreSQL: publishing in one transaction, and a reader that outlives lost connections.

Here: what only PostgreSQL needs. Not here: connecting and its deadlines (`connecting`), the store's meaning, its types
and errors (`types`), what may be published (`publishing`), and the choice between the two databases (`store`, through
which alone this module is used).

A publication is a number that all its rows carry; readers join on the current one. So a publication neither locks
readers out nor mixes with the next one, and the transaction that replaces rows also deletes the old ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING

import psycopg

from churn_platform.months import Month
from churn_platform.online.connecting import PUBLISH_SECONDS, Questions, transaction
from churn_platform.online.publishing import Encoded, Features, Rows, new_publication, now, refuse_older
from churn_platform.online.types import (
    EARLIER,
    READ_PUBLICATION,
    EarlierStoreError,
    OnlineStoreError,
    Publication,
    Row,
    RowSchema,
    StoreUnavailableError,
    is_text,
    publication_of,
    schema_of,
)

if TYPE_CHECKING:
    from churn_platform.online.connecting import Connection

NAME = "the online store's PostgreSQL (CHURN_ONLINE_STORE_URL, or CHURN_POSTGRES_URL without it)"

_ADVISORY_LOCK = 5_120_241_163  # any number that other programs on the database do not lock
_LOOK_SECONDS = 5.0

_TABLES = """
CREATE TABLE IF NOT EXISTS online_month (
    publication bigint PRIMARY KEY, month text NOT NULL, as_of text NOT NULL, customers bigint NOT NULL,
    published_at text NOT NULL, features text NOT NULL);
CREATE TABLE IF NOT EXISTS online_customers (
    publication bigint NOT NULL, customer text NOT NULL, features bytea NOT NULL,
    PRIMARY KEY (publication, customer))
"""
_HOLDS_EARLIER = (
    "SELECT count(*) = 2 FROM pg_attribute WHERE NOT attisdropped AND (attrelid, attname) IN"
    " ((to_regclass(%s), %s), (to_regclass(%s), %s))"
)
_EARLIER = tuple(chain.from_iterable(EARLIER))
_DROP_EARLIER = f"DROP TABLE {', '.join(table for table, _ in EARLIER)}"  # in the order in which readers lock them
_COUNT_AGAIN = (
    "UPDATE online_month m SET published_at = %s,"
    " customers = (SELECT count(*) FROM online_customers c WHERE c.publication = m.publication)"
)
_READ_ROWS = (
    "SELECT c.customer, c.features, CASE WHEN m.published_at = %s THEN NULL ELSE to_json(m) END FROM online_month m"
    " JOIN online_customers c ON c.publication = m.publication WHERE c.customer = ANY(%s)"
)
_READ_FIRST = (
    "SELECT c.customer FROM online_month m JOIN online_customers c ON c.publication = m.publication"
    " ORDER BY c.customer LIMIT %s"
)


def publish(url: str, month: Month, features: Features, rows: Rows, seconds: float = PUBLISH_SECONDS) -> Publication:
    """See `store.publish`. One transaction: readers see the old publication until it commits."""
    encoded = Encoded(features, rows)
    with _told(f"{month} is not published"), transaction(url, seconds) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
        cursor.execute(_TABLES)
        with suppress(StoreUnavailableError):  # what cannot be right is replaced
            refuse_older(month, _held(connection))
        newest = cursor.execute("SELECT coalesce(max(publication), 0) FROM online_month").fetchone() or (0,)
        number = newest[0] + 1
        with cursor.copy("COPY online_customers (publication, customer, features) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "text", "bytea"])
            for row in encoded:
                copy.write_row((number, *row))
        publication = new_publication(month, features, encoded.count)
        cursor.execute("DELETE FROM online_month")
        cursor.execute("DELETE FROM online_customers WHERE publication <> %s", (number,))
        cursor.execute("INSERT INTO online_month VALUES (%s, %s, %s, %s, %s, %s)", (number, *publication.stored))
        cursor.execute("ANALYZE online_customers")
        if _holds_earlier(connection):  # a program that still reads it waits only for the commit
            cursor.execute(_DROP_EARLIER)
    return publication


def published(url: str) -> Publication | None:
    """See `store.published`."""
    with _told("nobody knows which month is published"), transaction(url, _LOOK_SECONDS) as connection:
        ((made,),) = connection.execute("SELECT to_regclass('online_month') IS NOT NULL").fetchall()
        held = _held(connection) if made else None
        if held is None and _holds_earlier(connection):
            raise EarlierStoreError
        return held


def erase(url: str, customers: Collection[str]) -> int:
    """See `store.erase`. One transaction: readers see all of them, or none."""
    gone = [customer for customer in customers if is_text(customer)]
    with _told("customers are not erased"), transaction(url, PUBLISH_SECONDS) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
        if _holds_earlier(connection):
            connection.execute(_DROP_EARLIER)
        if connection.execute("SELECT to_regclass('online_customers')").fetchone() == (None,):
            return 0
        erased = connection.execute("DELETE FROM online_customers WHERE customer = ANY(%s)", (gone,)).rowcount
        if erased:
            connection.execute(_COUNT_AGAIN, (now(),))
    return erased


def _held(connection: Connection) -> Publication | None:
    found = connection.execute(READ_PUBLICATION).fetchone()
    return publication_of(found) if found else None


def _holds_earlier(connection: Connection) -> bool:
    ((found,),) = connection.execute(_HOLDS_EARLIER, _EARLIER).fetchall()
    return bool(found)


def make_tables(url: str) -> None:
    """See `store.make_tables`."""
    with _told("the online store's tables cannot be made sure of"), transaction(url, PUBLISH_SECONDS) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
        connection.execute(_TABLES)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what the database raises into a sentence that begins with what has not happened."""
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        raise OnlineStoreError(f"{what}: each customer must occur once: {error}") from error
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise StoreUnavailableError(
            f"{what}, since {NAME} cannot be used at present: {reason}: start it, or correct the URL"
        ) from error
    except psycopg.DataError as error:
        raise OnlineStoreError(f"{what}: {error}") from error
    except psycopg.Error as error:  # its own text may hold the URL's password
        reason = error.diag.message_primary or type(error).__name__
        raise OnlineStoreError(f"{what}, since {NAME} refuses it: {reason}") from error


class PostgresReader:
    """Reads over one connection, within `timeout` seconds each time.

    Customers that are asked for while a query is under way go together into the next one, so a query's cost is shared
    by all who wait, and the load on the database does not grow with the number of clients.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._questions = Questions(url, timeout, NAME)
        # When the publication was made that was read last, and what its rows share.
        self._known = ("", RowSchema("", (), ()))
        self._waiting: dict[str, asyncio.Future[Row | None]] = {}
        self._drain: asyncio.Task[None] | None = None

    async def publication(self) -> Publication | None:
        """What the store holds now."""
        if found := await self._questions.ask(READ_PUBLICATION):
            return publication_of(found[0])
        if await self._questions.ask(_HOLDS_EARLIER, _EARLIER) == [(True,)]:
            raise EarlierStoreError
        return None

    async def get(self, customer: str) -> Row | None:
        """One customer, looked up together with all others that are being asked for."""
        future = self._waiting.get(customer)
        if future is None:
            future = self._waiting[customer] = asyncio.get_running_loop().create_future()
            if self._drain is None:
                self._drain = asyncio.create_task(self._answer())
        return await asyncio.shield(future)  # another request may wait for the same answer

    async def get_many(self, customers: Sequence[str]) -> dict[str, Row]:
        """Several customers, in one query and so of one publication."""
        published_at, schema = self._known  # another query may learn of a newer one meanwhile
        asked = [customer for customer in customers if is_text(customer)]
        found = await self._questions.ask(_READ_ROWS, (published_at, asked)) or []
        if found and (told := found[0][2]):  # it is not the one that was known
            schema = schema_of(told["as_of"], told["features"])
            self._known = told["published_at"], schema
        return {customer: Row(schema, values) for customer, values, _ in found}

    async def first(self, count: int) -> list[str]:
        """The first customers of the newest publication."""
        return [customer for (customer,) in await self._questions.ask(_READ_FIRST, (count,)) or ()]

    async def close(self) -> None:
        """Answer those who wait, then disconnect."""
        if self._drain is not None:
            await self._drain
        await self._questions.close()

    async def _answer(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                try:
                    rows = await self.get_many(list(batch))
                except Exception as error:
                    for future in batch.values():
                        future.set_exception(error)
                        future.exception()  # marks it as seen, even if the client has gone
                else:
                    for customer, future in batch.items():
                        future.set_result(rows.get(customer))
        finally:
            self._drain = None
