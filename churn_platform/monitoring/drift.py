"""Drift: whether a month's customers differ from those of a reference, judged by Evidently, column by column.

Here: which months are the reference, which columns count, the comparison and its pages. Not here: what follows from
drift (sensors), or whether churn itself changed (`monitoring.target`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from churn_platform.company import past
from churn_platform.contracts import Contract
from churn_platform.files import replacing
from churn_platform.lake import Lake
from churn_platform.monitoring.evidently_private import drawn_once
from churn_platform.monitoring.page import write_page
from churn_platform.months import Month
from churn_platform.shown import inert
from churn_platform.tables.features import AS_OF, WINDOW, schema
from churn_platform.tables.kinds import FEATURE_TYPES
from churn_platform.tables.names import FEATURES

if TYPE_CHECKING:
    import ibis
    import pandas as pd

MOST_ROWS = 50_000
"""More rows than this are sampled: Evidently took 87 s for a million, and the sample's scores differ little."""

_DISTANCE = 0.1
_ERRORS = 4

# Evidently would judge 1,000 rows or fewer by p-values: one in twenty quiet columns would drift, and a share would mean
# one thing for a small company and another for a large one. Distances mean the same for both.
_METHODS = {"num_method": "wasserstein", "cat_method": "jensenshannon"}


class ColumnDrift(msgspec.Struct, frozen=True):
    """One feature's distance between month and reference; it has drifted if `score` reaches `threshold`."""

    column: str
    method: str
    score: float
    threshold: float
    drifted: bool


class Drift(msgspec.Struct, frozen=True):
    """A month compared with its reference. `rows` and `reference_rows` count the active customers that were compared.

    `drift_share` is the share of `columns` that drifted. These come largest score first; `left_out` says why a feature
    does not count.
    """

    month: str
    reference: tuple[str, ...]
    drift_share: float
    drifted: tuple[str, ...]
    columns: tuple[ColumnDrift, ...]
    left_out: dict[str, str]
    rows: int
    reference_rows: int
    customers: int
    reference_customers: int

    @property
    def sampled(self) -> bool:
        """Whether only a part of the customers was compared."""
        return (self.rows, self.reference_rows) != (self.customers, self.reference_customers)


def reference_months(month: Month, trained_on: Collection[Month], known: Collection[Month]) -> tuple[Month, ...]:
    """The `known` months to compare with, oldest first: those `trained_on` before `month`, else the month before it.

    A month that the champion was trained on is never compared with itself or with later ones: otherwise,
    closing it again would wipe out the drift that it had when it came. Empty if no earlier month is known.
    """
    earlier = tuple(sorted(m for m in trained_on if m < month and m in known))
    return earlier or tuple(m for m in (month - 1,) if m in known)


def compare(
    lake: Lake, month: Month, reference: Sequence[Month], threshold: float, pages: Path, most: int = MOST_ROWS
) -> Drift:
    """Compare the month's features with those of the reference; write `<month>.html` and `<month>.json` to `pages`.

    `threshold` is the share of drifted columns from which the page says that the whole month has drifted. Of more rows
    than `most`, a sample is compared. Raises MissingTableError.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")  # Evidently reads it when it is imported
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    current, customers = _frame(lake, [month], most)
    past, past_customers = _frame(lake, reference, most)
    left_out = _left_out(current, past)
    counted = [feature for feature in schema(lake.contract) if feature.name not in left_out]
    names = [feature.name for feature in counted]
    if names:
        definition = DataDefinition(
            numerical_columns=[feature.name for feature in counted if feature.kind == "number"],
            categorical_columns=[feature.name for feature in counted if feature.kind != "number"],
        )
        thresholds = {name: column_threshold(current[name].count(), past[name].count()) for name in names}
        preset = DataDriftPreset(columns=names, drift_share=threshold, per_column_threshold=thresholds, **_METHODS)
        report = Report([preset])
        with drawn_once():
            found = report.run(
                Dataset.from_pandas(current[names], definition), Dataset.from_pandas(past[names], definition)
            )
        since = f"{reference[0]} to {reference[-1]}" if len(reference) > 1 else str(reference[0])
        write_page(found, f"Drift of {month} from {since}", pages / f"{month}.html")
        with replacing(pages / f"{month}.json") as page:
            found.save_json(str(page))
        columns = _columns(found.dict()["metrics"])
    else:
        columns = ()
    drifted = tuple(column.column for column in columns if column.drifted)
    return Drift(
        month=str(month),
        reference=tuple(map(str, reference)),
        drift_share=len(drifted) / len(columns) if columns else 0.0,
        drifted=drifted,
        columns=columns,
        left_out=left_out,
        rows=len(current),
        reference_rows=len(past),
        customers=customers,
        reference_customers=past_customers,
    )


def column_threshold(known: int, reference: int) -> float:
    """The distance from which a column with so many known values on each side counts as drifted.

    It is Evidently's default for both methods, 0.1; with too few values to measure that, four standard errors of the
    difference between two means, in standard deviations: sqrt(1/n + 1/m). So chance alone seldom makes a column drift.
    """
    return max(_DISTANCE, _ERRORS * math.sqrt(1 / known + 1 / reference))


def sample(rows: ibis.Table, key: str, total: int, most: int) -> ibis.Table:
    """About `most` of `total` rows, by customer: the same customers in every month, whatever the rows' order.

    The hash's digits after the first decide: the first says who is a holdout customer, and both kinds are wanted here.
    """
    if total <= most:
        return rows
    border = f"{int(most / total * 16**8):08x}"
    return rows.filter(rows[key].hexdigest("sha256").substr(1, 8) < border)


def _frame(lake: Lake, months: Sequence[Month], most: int) -> tuple[pd.DataFrame, int]:
    """The features of these months as Evidently takes them, sampled, in a fixed order, and the number of all rows."""
    import ibis
    import pandas as pd

    total = sum(lake.rows(FEATURES, month) for month in months)
    parts = [_comparable(lake, month) for month in months]
    rows = sample(parts[0] if len(parts) == 1 else ibis.union(*parts), lake.contract.key, total, most)
    frame = rows.order_by("as_of", lake.contract.key).to_pandas()
    prepared = {}
    for feature in schema(lake.contract):
        values = frame[feature.name]
        if feature.kind == "number":
            # Via float32, as a model sees it: values that differ only by rounding become equal, or constant.
            prepared[feature.name] = values.astype("float32").astype("float64")
        elif feature.kind == "boolean":
            prepared[feature.name] = values.astype("object").map({True: "yes", False: "no"})
        else:
            names = {name: inert(name) for name in values.dropna().unique()}
            prepared[feature.name] = values.astype("object").map(names)
    return pd.DataFrame(prepared), total


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


def _left_out(current: pd.DataFrame, past: pd.DataFrame) -> dict[str, str]:
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


def _columns(metrics: Sequence[dict[str, Any]]) -> tuple[ColumnDrift, ...]:
    columns = []
    for metric in metrics:
        settings = metric["config"]
        if "column" in settings:
            score, threshold = float(metric["value"]), float(settings["threshold"])
            columns.append(ColumnDrift(settings["column"], settings["method"], score, threshold, score >= threshold))
    return tuple(sorted(columns, key=lambda column: (-column.score, column.column)))
