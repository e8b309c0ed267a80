"""Lineage: which tables a month's snapshots and features are built from, and whether they have to be built again.

Here: the inputs of each, by the first month. Not here: building them (`features`, and the assets), or remembering what
a table was built from (`lake`).
"""

from __future__ import annotations

from churn_platform.contracts import Contract
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables.features import WINDOW
from churn_platform.tables.names import FEATURES, landed


def window(month: Month, first: Month) -> list[Month]:
    """The months whose snapshots the month's features look at, newest first."""
    return [month - ago for ago in range(min(WINDOW, month.since(first) + 1))]


def inputs(contract: Contract, name: str, month: Month, first: Month) -> list[tuple[str, Month]]:
    """The tables that the month's snapshot or feature table is built from, of the months since `first`."""
    if name == FEATURES:
        return [(snapshot, m) for snapshot in contract.snapshots for m in window(month, first)]
    before = [(name, month - 1)] if month > first else []
    return [(landed(contract.snapshots[name].name), month), *before]


def is_stale(lake: Lake, month: Month, first: Month) -> bool:
    """Whether any of the month's tables was built from something else than is there now. Raises DocumentError."""
    built = (*lake.contract.snapshots, FEATURES)
    return any(lake.is_stale(name, month, inputs(lake.contract, name, month, first)) for name in built)
