"""The online store on SQLite: a publication is a file that is complete before it gets its name, and never changes.

Here: what only SQLite needs. Not here: the store's meaning, its types and errors (`types`), what may be published
(`publishing`), and the choice between the two databases (`store`, through which alone this module is used).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from churn_platform.months import Month
from churn_platform.online.publishing import Encoded, Features, Rows, new_publication, now, refuse_older
from churn_platform.online.types import (
    EARLIER,
    READ_PUBLICATION,
    EarlierStoreError,
    OnlineStoreError,
    Publication,
    Row,
    StoreUnavailableError,
    is_text,
    publication_of,
)

_LOCK_SECONDS = 600.0  # longer than publishing a million customers takes

_TABLES = """
CREATE TABLE online_month (
    month TEXT NOT NULL, as_of TEXT NOT NULL, customers INTEGER NOT NULL, published_at TEXT NOT NULL,
    features TEXT NOT NULL);
CREATE TABLE online_customers (customer TEXT NOT NULL PRIMARY KEY, features BLOB NOT NULL) WITHOUT ROWID;
"""
_HAS_COLUMN = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"


def _connect(path: Path) -> sqlite3.Connection:
    """A published file. It never changes, so SQLite needs neither locks nor a journal beside it."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def _read_publication(connection: sqlite3.Connection) -> Publication:
    """Raises StoreUnavailableError, and EarlierStoreError among them, and sqlite3.Error."""
    if all(connection.execute(_HAS_COLUMN, place).fetchone() for place in EARLIER):
        raise EarlierStoreError
    return publication_of(connection.execute(READ_PUBLICATION).fetchone() or ())


def published(path: Path) -> Publication | None:
    """See `store.published`."""
    if not path.exists():
        return None
    try:
        with closing(_connect(path)) as present:
            return _read_publication(present)
    except EarlierStoreError:
        raise
    except (sqlite3.Error, StoreUnavailableError) as error:
        raise StoreUnavailableError(
            f"{path} is not an online store; move it away and publish again: {error}"
        ) from error


def _texts(customers: Collection[str]) -> list[tuple[str]]:
    return [(customer,) for customer in customers if is_text(customer)]


def publish(path: Path, month: Month, features: Features, rows: Rows) -> Publication:
    """See `store.publish`. Publishers wait for each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        with suppress(EarlierStoreError):
            refuse_older(month, published(path))
        with _replacing(path) as temporary:
            return _write(temporary, month, features, rows)


def erase(path: Path, customers: Collection[str]) -> int:
    """See `store.erase`. The others are copied to a new file: in one that has changed, what has gone may be left."""
    if not path.exists() and not _new(path).exists():
        return 0
    with _locked(path):
        _new(path).unlink(missing_ok=True)
        try:
            present = published(path)
        except EarlierStoreError:
            path.unlink()
            return 0
        if present is None or not (gone := _count(path, customers)):
            return 0
        with _replacing(path) as temporary:
            _copy(path, temporary, customers)
    return gone


def _count(path: Path, customers: Collection[str]) -> int:
    """How many of these customers a file holds."""
    query = "SELECT count(*) FROM online_customers WHERE customer = ?"
    with closing(_connect(path)) as present, _told(path):
        return sum(number for customer in _texts(customers) for (number,) in present.execute(query, customer))


def _copy(path: Path, temporary: Path, customers: Collection[str]) -> None:
    """Write a file with all that another one holds, but for these customers."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(temporary.absolute().as_uri(), uri=True)) as made, _told(path):
        made.executescript(
            f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; {_TABLES}"
        )
        made.execute("ATTACH ? AS present", (uri,))
        made.execute("CREATE TEMPORARY TABLE gone (customer TEXT PRIMARY KEY)")
        made.executemany("INSERT OR IGNORE INTO gone VALUES (?)", _texts(customers))
        made.execute(
            "INSERT INTO online_customers SELECT customer, features FROM present.online_customers"
            " WHERE customer NOT IN gone ORDER BY customer"
        )
        made.execute(
            "INSERT INTO online_month SELECT month, as_of, (SELECT count(*) FROM main.online_customers), ?, features"
            " FROM present.online_month",
            (now(),),
        )
        made.commit()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # An exclusive SQLite transaction is a lock that works on every system and that a crash releases.
    with closing(sqlite3.connect(path.with_name(f"{path.name}.lock"), timeout=_LOCK_SECONDS)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new file that takes the store's place when the block ends well. Call it under the lock."""
    temporary = _new(path)
    temporary.unlink(missing_ok=True)  # left behind by a publication that crashed
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"{path} cannot be read: {error}") from error


def _write(path: Path, month: Month, features: Features, rows: Rows) -> Publication:
    encoded = Encoded(features, rows)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}")
        try:
            connection.executemany("INSERT INTO online_customers VALUES (?, ?)", encoded)
        except sqlite3.IntegrityError as error:
            raise OnlineStoreError(f"{month} cannot be published: each customer must occur once: {error}") from error
        publication = new_publication(month, features, encoded.count)
        connection.execute("INSERT INTO online_month VALUES (?, ?, ?, ?, ?)", publication.stored)
        connection.commit()
    return publication


class SqliteReader:
    """Reads the file on the event loop: one indexed read of a local file takes microseconds.

    `publication` notices a new file and opens it; between two calls every read is of the same publication.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int, int] | None = None
        self._connection: sqlite3.Connection | None = None
        self._publication: Publication | None = None

    async def publication(self) -> Publication | None:
        """Look at the file, and open it if it is not the same one as before."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            await self.close()
            return None
        identity = (status.st_dev, status.st_ino, status.st_mtime_ns)
        if identity != self._identity:
            with ExitStack() as opened:
                try:
                    connection = opened.enter_context(closing(_connect(self._path)))
                    publication = _read_publication(connection)
                except EarlierStoreError:
                    raise
                except (sqlite3.Error, StoreUnavailableError) as error:
                    raise StoreUnavailableError(f"{self._path} cannot be read: {error}") from error
                opened.pop_all()  # it stays open
            await self.close()
            self._connection, self._publication, self._identity = connection, publication, identity
        return self._publication

    async def get(self, customer: str) -> Row | None:
        """One customer of the open file."""
        return (await self.get_many((customer,))).get(customer)

    async def get_many(self, customers: Sequence[str]) -> dict[str, Row]:
        """Several customers of the open file."""
        if self._publication is None:
            return {}
        schema = self._publication.schema
        customers = [customer for customer in customers if is_text(customer)]
        marks = ",".join("?" * len(customers))
        found = self._read(f"SELECT customer, features FROM online_customers WHERE customer IN ({marks})", customers)
        return {customer: Row(schema, values) for customer, values in found}

    async def first(self, count: int) -> list[str]:
        """The first customers of the open file."""
        found = self._read("SELECT customer FROM online_customers ORDER BY customer LIMIT ?", (count,))
        return [customer for (customer,) in found]

    async def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._publication = self._identity = None

    def _read(self, sql: str, parameters: Sequence[str | int]) -> list[Any]:
        if self._connection is None:
            return []
        with _told(self._path):
            return self._connection.execute(sql, parameters).fetchall()
