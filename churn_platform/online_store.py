"""The online store: the newest month's features of every active customer, one indexed read away.

Here: publishing a month (synchronous, for a Dagster asset) and reading customers (asynchronous, for serving), on SQLite
and on PostgreSQL. Not here: which features there are (`features`), nor how a model sees them (`bundle`).

    sqlite:///path/to/online_store.db      one file, replaced as a whole by each publication
    postgresql://user@host/database        the tables `online_publication` and `online_features`

Both hold one row per customer: `user_id`, `as_of` and `features`, a JSON object of values by feature name. A reader
sees one whole publication or the next, never rows of two in one answer. PostgreSQL's part is `online_postgres`, which
is imported when the URL asks for it, and psycopg with it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from churn_platform.faults import Fault
from churn_platform.months import Month

if TYPE_CHECKING:
    from churn_platform.bundle import Value

_LOCK_SECONDS = 600.0  # longer than publishing a million customers takes


class OnlineStoreError(Fault):
    """The online store could not do what was asked; the message says why and never holds a password."""


class OlderMonth(OnlineStoreError):
    """A publication was refused because the store holds a newer month."""


class StoreUnavailable(OnlineStoreError):
    """The store cannot be reached at present."""


class Publication(msgspec.Struct, frozen=True):
    """What the store holds: the month, its last day, how many customers, and when it was published (UTC)."""

    month: str
    as_of: str
    customers: int
    published_at: str


class Row(NamedTuple):
    """One customer: the day that the features describe, and a JSON object of values by feature name."""

    as_of: str
    features: bytes


class Reader(Protocol):
    """How serving reads a store. Every method but `close` raises StoreUnavailable."""

    async def publication(self) -> Publication | None:
        """What the store holds now, or None where nothing was ever published."""

    async def get(self, user_id: str) -> Row | None:
        """One customer, or None where the customer is not active."""

    async def get_many(self, user_ids: Sequence[str]) -> dict[str, Row]:
        """The active ones among these customers, all of one publication."""

    async def close(self) -> None:
        """Give the connections back."""


def publish(url: str, month: Month, rows: Iterable[tuple[str, Mapping[str, Value]]]) -> Publication:
    """Put these customers and their features in the place of everything that the store holds.

    `rows` is consumed once, in a stream; key order is fastest. The month that is there may be published again, a later
    one always, and publishers wait for each other. Raises OlderMonth when the store holds a newer month,
    StoreUnavailable, and OnlineStoreError for rows that cannot be (none at all, a customer twice, a value that is not
    JSON); the store is then as it was. Unknown numbers (NaN) are stored as null.
    """
    if _is_postgres(url):
        from churn_platform import online_postgres

        return online_postgres.publish(url, month, rows)
    return _publish_sqlite(_path(url), month, rows)


def open_reader(url: str, timeout: float = 1.0) -> Reader:
    """The reader of a store. Nothing is opened yet, so the store may still be absent. `timeout` is in seconds."""
    if _is_postgres(url):
        from churn_platform import online_postgres

        return online_postgres.PostgresReader(url, timeout)
    return SqliteReader(_path(url))


def _is_postgres(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://"))


def _path(url: str) -> Path:
    if not url.startswith("sqlite:///"):
        raise OnlineStoreError(
            "CHURN_ONLINE_STORE_URL, or else CHURN_POSTGRES_URL, must start with sqlite:/// or postgresql://"
        )
    return Path(url.removeprefix("sqlite:///"))


def refuse_older(month: Month, published: str | None) -> None:
    """Raise OlderMonth where a newer month is published."""
    if published is not None and Month.parse(published) > month:
        raise OlderMonth(f"the online store holds {published}, so {month} is not published over it")


def is_text(user_id: str) -> bool:
    """Whether a database could hold this id at all: half a surrogate pair is no text, and PostgreSQL knows no NUL."""
    try:
        return b"\0" not in user_id.encode()
    except UnicodeEncodeError:
        return False


class Encoded:
    """The rows as they are stored, counted while they stream by."""

    def __init__(self, month: Month, rows: Iterable[tuple[str, Mapping[str, Value]]]) -> None:
        self.count = 0
        self._as_of = month.as_of.isoformat()
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        encode = msgspec.json.Encoder().encode
        for user_id, features in self._rows:
            try:
                yield user_id, self._as_of, encode(features).decode()
            except TypeError as error:
                raise OnlineStoreError(f"the features of {user_id} cannot be stored: {error}") from error
            self.count += 1


def new_publication(month: Month, customers: int) -> Publication:
    """What to record of rows that have all been written. Raises OnlineStoreError when there were none."""
    if customers == 0:
        raise OnlineStoreError(f"{month} has no active customers, and an empty store would serve nobody")
    return Publication(
        str(month), month.as_of.isoformat(), customers, datetime.now(UTC).isoformat(timespec="microseconds")
    )


# SQLite: a publication is a file that is complete before it takes its name, and never changes afterwards.

_SQLITE_TABLES = """
CREATE TABLE online_publication (
    month TEXT NOT NULL, as_of TEXT NOT NULL, customers INTEGER NOT NULL, published_at TEXT NOT NULL);
CREATE TABLE online_features (user_id TEXT NOT NULL PRIMARY KEY, as_of TEXT NOT NULL, features TEXT NOT NULL);
"""
READ_PUBLICATION = "SELECT month, as_of, customers, published_at FROM online_publication"


def _connect_sqlite(path: Path) -> sqlite3.Connection:
    """A published file. It never changes, so SQLite needs neither locks nor a journal beside it."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    connection.text_factory = bytes  # features are JSON for msgspec, which reads bytes
    return connection


def _read_publication(connection: sqlite3.Connection) -> Publication:
    month, as_of, customers, published_at = connection.execute(READ_PUBLICATION).fetchone()
    return Publication(month.decode(), as_of.decode(), customers, published_at.decode())


def _publish_sqlite(path: Path, month: Month, rows: Iterable[tuple[str, Mapping[str, Value]]]) -> Publication:
    path.parent.mkdir(parents=True, exist_ok=True)
    # An exclusive SQLite transaction is a lock that works on every system and that a crash gives back.
    with closing(sqlite3.connect(path.with_name(f"{path.name}.lock"), timeout=_LOCK_SECONDS)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        if path.exists():
            try:
                with closing(_connect_sqlite(path)) as present:
                    published = _read_publication(present).month
            except (sqlite3.Error, TypeError) as error:
                raise StoreUnavailable(
                    f"{path} is not an online store; move it away and publish again: {error}"
                ) from error
            refuse_older(month, published)
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)  # what a publication that crashed has left
        try:
            publication = _write_sqlite(temporary, month, rows)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return publication


def _write_sqlite(path: Path, month: Month, rows: Iterable[tuple[str, Mapping[str, Value]]]) -> Publication:
    encoded = Encoded(month, rows)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SQLITE_TABLES}")
        try:
            connection.executemany("INSERT INTO online_features VALUES (?, ?, ?)", encoded)
        except sqlite3.IntegrityError as error:
            raise OnlineStoreError(f"{month} cannot be published, each customer must be there once: {error}") from error
        publication = new_publication(month, encoded.count)
        connection.execute("INSERT INTO online_publication VALUES (?, ?, ?, ?)", msgspec.structs.astuple(publication))
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
        """Look at the file, and open it where it is another one than before."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            await self.close()
            return None
        identity = (status.st_dev, status.st_ino, status.st_mtime_ns)
        if identity != self._identity:
            try:
                connection = _connect_sqlite(self._path)
                publication = _read_publication(connection)
            except (sqlite3.Error, TypeError) as error:
                raise StoreUnavailable(f"{self._path} cannot be read: {error}") from error
            await self.close()
            self._connection, self._publication, self._identity = connection, publication, identity
        return self._publication

    async def get(self, user_id: str) -> Row | None:
        """One customer of the open file."""
        if not is_text(user_id):
            return None
        found = self._read("SELECT as_of, features FROM online_features WHERE user_id = ?", (user_id,))
        return Row(found[0][0].decode(), found[0][1]) if found else None

    async def get_many(self, user_ids: Sequence[str]) -> dict[str, Row]:
        """Several customers of the open file."""
        user_ids = [user_id for user_id in user_ids if is_text(user_id)]
        marks = ",".join("?" * len(user_ids))
        found = self._read(
            f"SELECT user_id, as_of, features FROM online_features WHERE user_id IN ({marks})", tuple(user_ids)
        )
        return {user_id.decode(): Row(as_of.decode(), features) for user_id, as_of, features in found}

    async def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._publication = self._identity = None

    def _read(self, sql: str, parameters: tuple[str, ...]) -> list[Any]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._path} cannot be read: {error}") from error
