"""Lineage: which tables a month's snapshots and features are built from, and whether they have to be built again.

Here: the inputs of each, by the first month. Not here: building them (`features`, and the assets), or remembering what
a table was built from (`lake`).
"""

from __future__ import annotations

from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables import origins
from churn_platform.tables.features import WINDOW
from churn_platform.tables.names import FEATURES, landed


def window(lake: Lake, snapshot: str, month: Month, first: Month) -> list[Month]:
    """The months whose snapshots of a table the month's features look at, newest first."""
    months = [month - ago for ago in range(min(WINDOW, month.since(first) + 1))]
    return [month for month in months if _is_due(lake, snapshot, month)]


def inputs(lake: Lake, name: str, month: Month, first: Month) -> list[tuple[str, Month]]:
    """The tables that the month's snapshot or feature table is built from, of the months since `first`."""
    snapshots = lake.contract.snapshots
    if name == FEATURES:
        return [(snapshot, m) for snapshot in snapshots for m in window(lake, snapshot, month, first)]
    before = [(name, month - 1)] if month > first and _is_due(lake, name, month - 1) else []
    return [(landed(snapshots[name].name), month), *before]


def _is_due(lake: Lake, snapshot: str, month: Month) -> bool:
    """Whether a month has to have this snapshot: one that was closed before its table was declared has none."""
    since = lake.contract.snapshots[snapshot].since
    return since is None or month >= since or lake.has(snapshot, month)


def is_stale(lake: Lake, month: Month, first: Month) -> bool:
    """Whether any of the month's tables was built from something else than is there now, or a close did not end.

    Raises DocumentError.
    """
    if origins.unfinished(lake, month) or any(
        lake.is_stale(name, month, inputs(lake, name, month, first))
        for name in lake.contract.snapshots
        if _is_due(lake, name, month)
    ):
        return True
    # A table that is declared no longer changes nothing about the months that were built from it.
    gone = [source for source in lake.built_from(FEATURES, month) if source[0] not in lake.contract.snapshots]
    return lake.is_stale(FEATURES, month, [*inputs(lake, FEATURES, month, first), *gone])
