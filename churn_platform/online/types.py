"""Types: what every online store holds and how it is read, whatever the database.

Here: errors, a publication, a customer's row, and the reader's methods. Not here: what both databases keep to when they
publish (`publishing`), either of them (`sqlite`, `postgres`), or choosing between them (`store`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from churn_platform.bundle import FeatureKind
from churn_platform.faults import Fault
from churn_platform.months import Month

READ_PUBLICATION = "SELECT month, as_of, customers, published_at, features FROM online_month"

EARLIER = (("online_publication", "published_at"), ("online_features", "features"))
"""The tables of versions before 0.2, each with a column that tells it from anybody else's."""


class OnlineStoreError(Fault):
    """The online store could not do what was asked; the message says why and never holds a password."""


class OlderMonthError(OnlineStoreError):
    """A publication was refused because the store holds a newer month."""


class StoreUnavailableError(OnlineStoreError):
    """The store cannot be reached at present."""


class EarlierStoreError(StoreUnavailableError):
    """The store was published by an earlier version, in a form of its own: its rows are not read, only replaced."""

    def __init__(self) -> None:
        super().__init__(
            "the online store was published by an earlier version, in a form that is not read any more: the sensor"
            " `refreshing` publishes it again (or materialize online_features of the newest month)"
        )


class RowSchema(msgspec.Struct, frozen=True, cache_hash=True):
    """What all rows of a publication share: the day that they describe, and their values' names and kinds, in order."""

    as_of: str
    features: tuple[str, ...]
    kinds: tuple[FeatureKind, ...]


class Publication(msgspec.Struct, frozen=True):
    """What the store holds: the month, how many customers, when it was published (UTC), and what its rows share."""

    month: str
    customers: int
    published_at: str
    schema: RowSchema

    @property
    def as_of(self) -> str:
        """The month's last day."""
        return self.schema.as_of

    @property
    def stored(self) -> tuple[str, str, int, str, str]:
        """What the store keeps of it, in the order of READ_PUBLICATION."""
        features = msgspec.json.encode(dict(zip(self.schema.features, self.schema.kinds, strict=True))).decode()
        return self.month, self.as_of, self.customers, self.published_at, features


def publication_of(row: Sequence[object]) -> Publication:
    """What a store's row says about its publication. Raises StoreUnavailableError where it cannot be right."""
    try:
        month, as_of, customers, published_at, features = row
        found = msgspec.convert([month, customers, published_at], tuple[str, int, str])
        Month.parse(found[0])
    except ValueError as error:
        raise _unexpected(error) from error
    return Publication(*found, schema_of(as_of, features))


def schema_of(as_of: object, features: object) -> RowSchema:
    """What all rows share, as a store keeps it: `features` is a JSON object of kinds. Raises StoreUnavailableError.

    An array of names, without kinds, is an earlier version's: EarlierStoreError.
    """
    try:
        kinds = msgspec.json.decode(msgspec.convert(features, str), type=dict[str, FeatureKind] | list[str])
        if isinstance(kinds, list):
            raise EarlierStoreError
        return RowSchema(msgspec.convert(as_of, str), tuple(kinds), tuple(kinds.values()))
    except ValueError as error:
        raise _unexpected(error) from error


def _unexpected(error: ValueError) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"the online store's publication is not as expected: {error}: materialize online_features again"
    )


class Row(NamedTuple):
    """One customer: what all rows of the publication share, and this one's values in that order, as msgpack."""

    schema: RowSchema
    values: bytes


class Reader(Protocol):
    """How serving reads a store. Every method but `close` raises StoreUnavailableError."""

    async def publication(self) -> Publication | None:
        """What the store holds now, or None where nothing was ever published."""

    async def get(self, customer: str) -> Row | None:
        """One customer, or None where the customer is not active."""

    async def get_many(self, customers: Sequence[str]) -> dict[str, Row]:
        """The active ones among these customers, all of one publication."""

    async def first(self, count: int) -> list[str]:
        """The first active customers, by their keys."""

    async def close(self) -> None:
        """Close the connections."""


def is_text(customer: str) -> bool:
    """Whether a database could hold this key: half a surrogate pair is not text, and PostgreSQL does not allow NUL."""
    try:
        return b"\0" not in customer.encode()
    except UnicodeEncodeError:
        return False
