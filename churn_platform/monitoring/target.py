"""Target drift: whether customers churn more or less often than they did in a reference.

Here: the comparison of two churn shares. Not here: features (`monitoring.drift`), or how well churn was predicted
(`monitoring.performance`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables.training_set import labels_of

LEVEL = 0.01
LEAST_CHANGE = 0.01
"""A smaller change in the churn share is not drift, however sure it is: with a million customers any change is sure."""


class TargetDrift(msgspec.Struct, frozen=True):
    """A month's churn share and its reference's; `p_value` is how likely chance alone makes them differ as much."""

    month: str
    reference: tuple[str, ...]
    churn_share: float
    reference_churn_share: float
    p_value: float
    drifted: bool
    customers: int
    reference_customers: int


def compare(lake: Lake, month: Month, reference: Sequence[Month]) -> TargetDrift:
    """Compare the month's labels with those of the reference months. Raises MissingTableError.

    It has drifted if the two-sided two-proportion z-test says so at LEVEL and the share moved by at least LEAST_CHANGE.
    """
    churned, customers = _counts(lake, [month])
    past_churned, past_customers = _counts(lake, reference)
    share, past_share = churned / customers, past_churned / past_customers
    p_value = two_proportions(churned, customers, past_churned, past_customers)
    return TargetDrift(
        month=str(month),
        reference=tuple(map(str, reference)),
        churn_share=share,
        reference_churn_share=past_share,
        p_value=p_value,
        drifted=p_value < LEVEL and abs(share - past_share) >= LEAST_CHANGE,
        customers=customers,
        reference_customers=past_customers,
    )


def two_proportions(hits: int, total: int, other_hits: int, other_total: int) -> float:
    """The two-sided p-value of the pooled two-proportion z-test; 1 if in both all are hits, or none."""
    pooled = (hits + other_hits) / (total + other_total)
    error = math.sqrt(pooled * (1 - pooled) * (1 / total + 1 / other_total))
    if error == 0:
        return 1.0
    return math.erfc(abs(hits / total - other_hits / other_total) / error / math.sqrt(2))


def _counts(lake: Lake, months: Sequence[Month]) -> tuple[int, int]:
    """How many of the labelled customers of these months churned, and how many there are."""
    churned = customers = 0
    for month in months:
        labels = labels_of(lake, month)
        counts = labels.aggregate(churned=labels[lake.contract.label].sum(), customers=labels.count())
        found = counts.to_pyarrow().to_pylist()[0]
        churned, customers = churned + int(found["churned"] or 0), customers + int(found["customers"])
    return churned, customers
