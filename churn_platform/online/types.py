"""Types: what every online store holds and how it is read, whatever the database.

Here: errors, a publication, a customer's row, the reader's methods, and the rules that both databases keep. Not here:
either database (`sqlite`, `postgres`), or choosing between them (`store`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from churn_platform.faults import Fault
from churn_platform.months import Month

if TYPE_CHECKING:
    from churn_platform.bundle import Value

READ_PUBLICATION = "SELECT month, as_of, customers, published_at FROM online_publication"


class OnlineStoreError(Fault):
    """The online store could not do what was asked; the message says why and never holds a password."""


class OlderMonthError(OnlineStoreError):
    """A publication was refused because the store holds a newer month."""


class StoreUnavailableError(OnlineStoreError):
    """The store cannot be reached at present."""


class Publication(msgspec.Struct, frozen=True):
    """What the store holds: the month, its last day, how many customers, and when it was published (UTC)."""

    month: str
    as_of: str
    customers: int
    published_at: str


def publication_of(row: Sequence[object]) -> Publication:
    """What a store's row says about its publication. Raises StoreUnavailableError where it cannot be right."""
    try:
        found = msgspec.convert(dict(zip(Publication.__struct_fields__, row, strict=True)), Publication)
        Month.parse(found.month)
    except ValueError as error:
        raise StoreUnavailableError(
            f"the online store's publication is not as expected: {error}: materialize online_features again"
        ) from error
    return found


class Row(NamedTuple):
    """One customer: the day that the features describe, and a JSON object of values by feature name."""

    as_of: str
    features: bytes


class Reader(Protocol):
    """How serving reads a store. Every method but `close` raises StoreUnavailableError."""

    async def publication(self) -> Publication | None:
        """What the store holds now, or None where nothing was ever published."""

    async def get(self, user_id: str) -> Row | None:
        """One customer, or None where the customer is not active."""

    async def get_many(self, user_ids: Sequence[str]) -> dict[str, Row]:
        """The active ones among these customers, all of one publication."""

    async def first(self, count: int) -> list[str]:
        """The first active customers, by their ids."""

    async def close(self) -> None:
        """Close the connections."""


def refuse_older(month: Month, published: str | None) -> None:
    """Raise OlderMonthError where a newer month is published."""
    if published is not None and Month.parse(published) > month:
        raise OlderMonthError(f"the online store holds {published}, so {month} is not published over it")


def is_text(user_id: str) -> bool:
    """Whether a database could hold this id: half a surrogate pair is not text, and PostgreSQL does not allow NUL."""
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
    """What to record once all rows have been written. Raises OnlineStoreError when there were none."""
    if customers == 0:
        raise OnlineStoreError(f"{month} has no active customers, and an empty store would serve nobody")
    return Publication(
        str(month), month.as_of.isoformat(), customers, datetime.now(UTC).isoformat(timespec="microseconds")
    )
