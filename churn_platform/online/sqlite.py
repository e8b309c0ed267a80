"""The online store on SQLite: a publication is a file that is complete before it gets its name, and never changes.

Here: what only SQLite needs. Not here: the store's meaning, its types and errors (`types`), and the choice between the
two databases (`store`, through which alone this module is used).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from churn_platform.months import Month
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

_LOCK_SECONDS = 600.0  # longer than publishing a million customers takes

_TABLES = """
CREATE TABLE online_publication (
    month TEXT NOT NULL, as_of TEXT NOT NULL, customers INTEGER NOT NULL, published_at TEXT NOT NULL);
CREATE TABLE online_features (user_id TEXT NOT NULL PRIMARY KEY, as_of TEXT NOT NULL, features TEXT NOT NULL);
"""


def _connect(path: Path) -> sqlite3.Connection:
    """A published file. It never changes, so SQLite needs neither locks nor a journal beside it."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    connection.text_factory = bytes  # features are JSON for msgspec, which reads bytes
    return connection


def _read_publication(connection: sqlite3.Connection) -> Publication:
    row = connection.execute(READ_PUBLICATION).fetchone() or ()
    return publication_of([value.decode(errors="replace") if isinstance(value, bytes) else value for value in row])


def publish(path: Path, month: Month, rows: Iterable[tuple[str, Mapping[str, Value]]]) -> Publication:
    """See `store.publish`. Publishers wait for each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # An exclusive SQLite transaction is a lock that works on every system and that a crash releases.
    with closing(sqlite3.connect(path.with_name(f"{path.name}.lock"), timeout=_LOCK_SECONDS)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        if path.exists():
            try:
                with closing(_connect(path)) as present:
                    published = _read_publication(present).month
            except (sqlite3.Error, StoreUnavailableError) as error:
                raise StoreUnavailableError(
                    f"{path} is not an online store; move it away and publish again: {error}"
                ) from error
            refuse_older(month, published)
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)  # left behind by a publication that crashed
        try:
            publication = _write(temporary, month, rows)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return publication


def _write(path: Path, month: Month, rows: Iterable[tuple[str, Mapping[str, Value]]]) -> Publication:
    encoded = Encoded(month, rows)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}")
        try:
            connection.executemany("INSERT INTO online_features VALUES (?, ?, ?)", encoded)
        except sqlite3.IntegrityError as error:
            raise OnlineStoreError(f"{month} cannot be published: each customer must occur once: {error}") from error
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
                except (sqlite3.Error, StoreUnavailableError) as error:
                    raise StoreUnavailableError(f"{self._path} cannot be read: {error}") from error
                opened.pop_all()  # it stays open
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

    async def first(self, count: int) -> list[str]:
        """The first customers of the open file."""
        found = self._read("SELECT user_id FROM online_features ORDER BY user_id LIMIT ?", (count,))
        return [user_id.decode() for (user_id,) in found]

    async def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._publication = self._identity = None

    def _read(self, sql: str, parameters: tuple[str | int, ...]) -> list[Any]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"{self._path} cannot be read: {error}") from error
