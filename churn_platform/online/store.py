"""The online store: publishing a month, and reading customers, on whichever database its URL names.

Here: the choice between the two databases. Publishing is synchronous, for a Dagster asset; reading is asynchronous, for
serving. Not here: which features there are (`tables.features`), or how a model sees them (`bundle`).

    sqlite:///path/to/online_store.db      one file, replaced as a whole by each publication
    postgresql://user@host/database        two tables of the same names

Both hold the publication in `online_month`, with its features' names and kinds in order, and each customer in
`online_customers`: the key, and the features' values in that order, without names, as a msgpack array with nil for what
is unknown. A reader sees one whole publication or the next, never rows of two in one answer, nor rows by the names of
another. What a version before 0.2 has published is never read: the next publication replaces it, whatever its month.
PostgreSQL's part is imported when the URL asks for it, and psycopg with it.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from churn_platform.months import Month
from churn_platform.online import publishing, sqlite
from churn_platform.online.publishing import Features, Rows
from churn_platform.online.types import OnlineStoreError, Publication, Reader, StoreUnavailableError


def publish(url: str, month: Month, features: Features, rows: Rows) -> Publication:
    """Replace everything that the store holds with these customers, each with the values of these features, in order.

    `rows` is consumed once, in a stream; key order is fastest. The month that the store holds may be published again, a
    later one always, and publishers wait for each other. Which values a feature may have is not checked here.

    A damaged publication is replaced in PostgreSQL, where the tables are the platform's own. A file that cannot be read
    as a store is never overwritten, since it may be anybody's: StoreUnavailableError says to move it away.

    Raises OlderMonthError when the store holds a newer month, StoreUnavailableError, and OnlineStoreError for
    rows that cannot be published (none at all, a customer twice, too many or too few values, or one that msgpack cannot
    hold); the store then stays as it was.
    """
    if _is_postgres(url):
        from churn_platform.online import postgres

        return postgres.publish(url, month, features, rows)
    return sqlite.publish(_path(url), month, features, rows)


def require_newest(url: str, month: Month) -> None:
    """Raise OlderMonthError where the store holds a newer month than this one, as `publish` does.

    What cannot be read is no newer month: `publish` says what is wrong with it.
    """
    with suppress(StoreUnavailableError):
        publishing.refuse_older(month, published(url))


def published(url: str) -> Publication | None:
    """What the store holds, or None where nothing was ever published. Raises StoreUnavailableError."""
    if _is_postgres(url):
        from churn_platform.online import postgres

        return postgres.published(url)
    return sqlite.published(_path(url))


def erase(url: str, customers: Collection[str]) -> int:
    """Take these customers out of what is published, and say how many were there; 0 where nothing is published.

    Readers notice, as they do when the month is published again. All others stay, even if that is nobody. What an
    earlier version has published goes as a whole, since nobody reads it. Publishers wait.
    Raises StoreUnavailableError and OnlineStoreError.
    """
    if _is_postgres(url):
        from churn_platform.online import postgres

        return postgres.erase(url, customers)
    return sqlite.erase(_path(url), customers)


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
