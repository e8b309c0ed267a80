"""The online store on PostgreSQL: publishing in one transaction, and a reader that outlives lost connections.

Here: what only PostgreSQL needs. Not here: connecting and its deadlines (`connecting`), the store's meaning, its types
and errors (`types`), and the choice between the two databases (`store`, through which alone this module is used).

A publication is a number that all its rows carry; readers join on the current one. So a publication neither locks
readers out nor mixes with the next one, and the transaction that replaces rows also deletes the old ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import psycopg

from churn_platform.months import Month
from churn_platform.online.connecting import PUBLISH_SECONDS, Questions, transaction
from churn_platform.online.types import (
    READ_PUBLICATION,
    Encoded,
    OnlineStoreError,
    Publication,
    Row,
    StoreUnavailableError,
    is_text,
    new_publication,
    publication_of,
    refuse_older,
)

if TYPE_CHECKING:
    from churn_platform.bundle import Value

NAME = "the online store's PostgreSQL (CHURN_ONLINE_STORE_URL, or CHURN_POSTGRES_URL without it)"

_ADVISORY_LOCK = 5_120_241_163  # any number that other programs on the database do not lock

_POSTGRES_TABLES = """
CREATE TABLE IF NOT EXISTS online_publication (
    publication bigint PRIMARY KEY, month text NOT NULL, as_of text NOT NULL, customers bigint NOT NULL,
    published_at text NOT NULL);
CREATE TABLE IF NOT EXISTS online_features (
    publication bigint NOT NULL, user_id text NOT NULL, as_of text NOT NULL, features text NOT NULL,
    PRIMARY KEY (publication, user_id))
"""
_READ_FEATURES = (
    "SELECT f.user_id, f.as_of, f.features FROM online_publication p"
    " JOIN online_features f ON f.publication = p.publication WHERE f.user_id = ANY(%s)"
)
_READ_FIRST = (
    "SELECT f.user_id FROM online_publication p JOIN online_features f ON f.publication = p.publication"
    " ORDER BY f.user_id LIMIT %s"
)


def publish(
    url: str, month: Month, rows: Iterable[tuple[str, Mapping[str, Value]]], seconds: float = PUBLISH_SECONDS
) -> Publication:
    """See `store.publish`. One transaction: readers see the old publication until it commits."""
    encoded = Encoded(month, rows)
    with _told(f"{month} is not published"), transaction(url, seconds) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
        cursor.execute(_POSTGRES_TABLES)
        present = cursor.execute("SELECT publication, month FROM online_publication").fetchone()
        refuse_older(month, present[1] if present else None)
        number = present[0] + 1 if present else 1
        with cursor.copy("COPY online_features (publication, user_id, as_of, features) FROM STDIN") as copy:
            for row in encoded:
                copy.write_row((number, *row))
        publication = new_publication(month, encoded.count)
        cursor.execute("DELETE FROM online_publication")
        cursor.execute("DELETE FROM online_features WHERE publication <> %s", (number,))
        cursor.execute(
            "INSERT INTO online_publication VALUES (%s, %s, %s, %s, %s)",
            (number, *msgspec.structs.astuple(publication)),
        )
        cursor.execute("ANALYZE online_features")
    return publication


def make_tables(url: str) -> None:
    """See `store.make_tables`."""
    with _told("the online store's tables cannot be made sure of"), transaction(url, PUBLISH_SECONDS) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
        connection.execute(_POSTGRES_TABLES)


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
        self._waiting: dict[str, asyncio.Future[Row | None]] = {}
        self._drain: asyncio.Task[None] | None = None

    async def publication(self) -> Publication | None:
        """What the store holds now."""
        found = await self._questions.ask(READ_PUBLICATION)
        return publication_of(found[0]) if found else None

    async def get(self, user_id: str) -> Row | None:
        """One customer, looked up together with all others that are being asked for."""
        future = self._waiting.get(user_id)
        if future is None:
            future = self._waiting[user_id] = asyncio.get_running_loop().create_future()
            if self._drain is None:
                self._drain = asyncio.create_task(self._answer())
        return await asyncio.shield(future)  # another request may wait for the same answer

    async def get_many(self, user_ids: Sequence[str]) -> dict[str, Row]:
        """Several customers, in one query and so of one publication."""
        known = [user_id for user_id in user_ids if is_text(user_id)]
        found = await self._questions.ask(_READ_FEATURES, (known,))
        return {user_id: Row(as_of, features.encode()) for user_id, as_of, features in found or ()}

    async def first(self, count: int) -> list[str]:
        """The first customers of the newest publication."""
        found = await self._questions.ask(_READ_FIRST, (count,))
        return [user_id for (user_id,) in found or ()]

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
                    for user_id, future in batch.items():
                        future.set_result(rows.get(user_id))
        finally:
            self._drain = None
