"""Publishing: what every online store keeps to when it is written, whatever the database.

Here: which month may be published, the rows as they are stored, and what is recorded of them. Not here: writing them
(`sqlite`, `postgres`), or what is read back (`types`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from churn_platform.months import Month
from churn_platform.online.types import OlderMonthError, OnlineStoreError, Publication, RowSchema

if TYPE_CHECKING:
    from churn_platform.bundle import FeatureKind, Value

Rows = Iterable[tuple[str, "Sequence[Value]"]]
"""Customers, each with the values of its features in the publication's order."""

Features = Mapping[str, "FeatureKind"]
"""A publication's features, in order, each with its kind."""


def refuse_older(month: Month, published: Publication | None) -> None:
    """Raise OlderMonthError where a newer month is published."""
    if published is not None and Month.parse(published.month) > month:
        raise OlderMonthError(f"the online store holds {published.month}, so {month} is not published over it")


class Encoded:
    """The rows as they are stored, counted while they stream by. Each has as many values as there are `features`."""

    def __init__(self, features: Features, rows: Rows) -> None:
        self.count = 0
        self._width = len(features)
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        encode = msgspec.msgpack.Encoder().encode
        for customer, values in self._rows:
            if len(values) != self._width:
                raise OnlineStoreError(f"{customer} has {len(values)} values for {self._width} features")
            try:
                encoded = encode(values)
            except (TypeError, ValueError, OverflowError) as error:
                raise OnlineStoreError(f"the features of {customer} cannot be stored: {error}") from error
            yield customer, encoded
            self.count += 1


def new_publication(month: Month, features: Features, customers: int) -> Publication:
    """What to record once all rows have been written. Raises OnlineStoreError when there were none."""
    if customers == 0:
        raise OnlineStoreError(f"{month} has no active customers, and an empty store would serve nobody")
    published_at = now()
    shared = RowSchema(month.as_of.isoformat(), tuple(features), tuple(features.values()))
    return Publication(str(month), customers, published_at, shared)


def now() -> str:
    """When a publication is made or changed, as stores have it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
