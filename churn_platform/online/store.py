"""The online store: publishing a month, and reading customers, on whichever database its URL names.

Here: the choice between the two databases. Publishing is synchronous, for a Dagster asset; reading is asynchronous, for
serving. Not here: which features there are (`tables.features`), or how a model sees them (`bundle`).

    sqlite:///path/to/online_store.db      one file, replaced as a whole by each publication
    postgresql://user@host/database        the tables `online_publication` and `online_features`

Both hold one row per customer: `user_id`, `as_of` and `features`, a JSON object of values by feature name. A reader
sees one whole publication or the next, never rows of two in one answer. PostgreSQL's part is imported when the URL asks
for it, and psycopg with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from churn_platform.months import Month
from churn_platform.online import sqlite
from churn_platform.online.types import OnlineStoreError, Publication, Reader

if TYPE_CHECKING:
    from churn_platform.bundle import Value


def publish(url: str, month: Month, rows: Iterable[tuple[str, Mapping[str, Value]]]) -> Publication:
    """Replace everything that the store holds with these customers and their features.

    `rows` is consumed once, in a stream; key order is fastest. The month that the store holds may be published again, a
    later one always, and publishers wait for each other. Raises OlderMonthError when the store holds a newer month,
    StoreUnavailableError, and OnlineStoreError for rows that cannot be published (none at all, a customer twice, or a
    value that is not JSON); the store then stays as it was. Unknown numbers (NaN) are stored as null.
    """
    if _is_postgres(url):
        from churn_platform.online import postgres

        return postgres.publish(url, month, rows)
    return sqlite.publish(_path(url), month, rows)


def make_tables(url: str) -> None:
    """Make the tables of a PostgreSQL that has none yet. Raises StoreUnavailableError and OnlineStoreError."""
    if _is_postgres(url):
        from churn_platform.online import postgres

        postgres.make_tables(url)


def open_reader(url: str, timeout: float = 1.0) -> Reader:
    """The reader of a store. Nothing is opened yet, so the store may still be absent. `timeout` is in seconds."""
    if _is_postgres(url):
        from churn_platform.online import postgres

        return postgres.PostgresReader(url, timeout)
    return sqlite.SqliteReader(_path(url))


def _is_postgres(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://"))


def _path(url: str) -> Path:
    if not url.startswith("sqlite:///"):
        raise OnlineStoreError(
            "CHURN_ONLINE_STORE_URL, or CHURN_POSTGRES_URL without it, must start with sqlite:/// or postgresql://"
        )
    return Path(url.removeprefix("sqlite:///"))
