"""Change: why a customer's risk is another one than last month, the customer or the model.

Here: the two parts. Not here: which month and version a customer was scored by before (`tables.changes`), or what
about the customer it is (`shapley`).

From last month's version and features to this month's there are two ways: first the customer changes, as the old
version sees it, then the version; or the other way round. Each part is the mean of what it is on both ways, which is
its Shapley value, so the two add up to the whole change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from churn_platform.bundle import Bundle
from churn_platform.reasons.shapley import log_odds


class Change(NamedTuple):
    """The changes of customers' log-odds since last month, each float64 [n]: `total` is `customer` plus `model`."""

    total: np.ndarray
    customer: np.ndarray
    model: np.ndarray


class Seen(NamedTuple):
    """A version, and the same customers' features of both months as it takes them, encoded [n, features]."""

    bundle: Bundle
    before: np.ndarray
    now: np.ndarray


def change(old: Seen, new: Seen) -> Change:
    """What changed from last month's score, by the old version, to this month's, by the new one."""
    old_before, old_now = (log_odds(old.bundle.score(rows)) for rows in (old.before, old.now))
    new_before, new_now = (log_odds(new.bundle.score(rows)) for rows in (new.before, new.now))
    customer = ((old_now - old_before) + (new_now - new_before)) / 2
    model = ((new_before - old_before) + (new_now - old_now)) / 2
    return Change(new_now - old_before, customer, model)
