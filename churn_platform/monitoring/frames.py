"""Frames: a month's features as drift is judged on them.

Here: which rows and values are compared, and which features cannot be. Not here: the comparisons (`drift`, `shifts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from churn_platform.company import past
from churn_platform.contracts import Contract
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.shown import inert
from churn_platform.tables.features import AS_OF, WINDOW, sample, schema
from churn_platform.tables.kinds import FEATURE_TYPES
from churn_platform.tables.names import FEATURES

if TYPE_CHECKING:
    import ibis
    import pandas as pd


def frame(lake: Lake, months: Sequence[Month], most: int) -> tuple[pd.DataFrame, int]:
    """The features of these months as they are compared, indexed by customer, and the number of all rows.

    At most about `most` customers, in a fixed order. Raises MissingTableError.
    """
    import ibis
    import pandas as pd

    total = sum(lake.rows(FEATURES, month) for month in months)
    parts = [_comparable(lake, month) for month in months]
    rows = sample(parts[0] if len(parts) == 1 else ibis.union(*parts), lake.contract.key, total, most)
    found = rows.order_by("as_of", lake.contract.key).to_pandas()
    prepared = {}
    for feature in schema(lake.contract):
        values = found[feature.name]
        if feature.kind == "number":
            # Via float32, as a model sees it: values that differ only by rounding become equal, or constant.
            prepared[feature.name] = values.astype("float32").astype("float64")
        elif feature.kind == "boolean":
            prepared[feature.name] = values.astype("object").map({True: "yes", False: "no"})
        else:
            names = {name: inert(name) for name in values.dropna().unique()}
            prepared[feature.name] = values.astype("object").map(names)
    return pd.DataFrame(prepared).set_index(found[lake.contract.key]), total


def _comparable(lake: Lake, month: Month) -> ibis.Table:
    """The month's features; those that look back beyond the platform's first month are unknown.

    A ratio to the mean of two months of which only one is known spreads wider than in any later month.
    """
    import ibis

    rows = _complete(lake.read(FEATURES, month), lake.contract)
    if month.since(lake.months(FEATURES)[0]) >= WINDOW - 1:
        return rows
    history = lake.contract.declaration.features.history
    ratios = [past.ratio(column, months) for column in history.columns for months in history.ratio if months > 1]
    return rows.mutate(**{name: ibis.null(rows[name].type()) for name in ratios})


def _complete(rows: ibis.Table, contract: Contract) -> ibis.Table:
    """A month's features as they are declared now, of one type for each kind: unknown where the month had none."""
    import ibis

    types = {feature.name: FEATURE_TYPES[feature.kind] for feature in schema(contract)}
    known = set(rows.columns)
    there = {name: past.called(contract.former, name, known) for name in types}
    columns = {n: rows[there[n]].cast(kind) if there[n] in known else ibis.null(kind) for n, kind in types.items()}
    return rows.select(contract.key, AS_OF, **columns)


def left_out(current: pd.DataFrame, past: pd.DataFrame) -> dict[str, str]:
    """The features that cannot drift, with the reason."""
    reasons = {}
    for name in current.columns:
        values = {*current[name].dropna().unique(), *past[name].dropna().unique()}
        if not current[name].notna().any() or not past[name].notna().any():
            where = "this month" if past[name].notna().any() else "the reference"
            reasons[name] = f"no known values in {where}"
        elif len(values) == 1:
            reasons[name] = "constant"
    return reasons
