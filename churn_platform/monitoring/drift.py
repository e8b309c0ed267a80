"""Drift: whether a month's customers differ from those of a reference, judged by Evidently, column by column.

Here: which months are the reference, which columns count, the comparison and its pages. Not here: which rows are
compared (`frames`), the tests against the month before (`shifts`), what follows from drift (sensors), or whether churn
itself changed (`target`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from churn_platform.bundle import Feature
from churn_platform.files import replacing
from churn_platform.lake import Lake
from churn_platform.monitoring import shifts
from churn_platform.monitoring.evidently_private import each_column_once
from churn_platform.monitoring.frames import frame, left_out
from churn_platform.monitoring.page import unstyled, write_page
from churn_platform.monitoring.shifts import Shift
from churn_platform.months import Month
from churn_platform.tables.features import schema
from churn_platform.tables.names import FEATURES

if TYPE_CHECKING:
    import pandas as pd
    from evidently.core.report import Snapshot

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
    does not count. `shifts` are the tests against the month before, empty where that is not closed.
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
    shifts: tuple[Shift, ...] = ()

    @property
    def shifted(self) -> tuple[str, ...]:
        """The features that are distributed otherwise than the month before."""
        return tuple(shift.column for shift in self.shifts if shift.shifted)

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
    lake: Lake, month: Month, reference: Sequence[Month], threshold: float, pages: Path | None, most: int = MOST_ROWS
) -> Drift:
    """Compare the month's features with those of the reference; write `<month>.html` and `<month>.json` to `pages`.

    Without `pages` nothing is drawn, which takes a third of the time. `threshold` is the share of drifted columns
    from which the page says that the whole month has drifted. Of more rows than `most`, a sample is compared. Raises
    MissingTableError.
    """
    current, customers = frame(lake, [month], most)
    past, past_customers = frame(lake, reference, most)
    out = left_out(current, past)
    counted = [feature for feature in schema(lake.contract) if feature.name not in out]
    columns: tuple[ColumnDrift, ...] = ()
    if counted:
        found = _report(current, past, counted, threshold if pages else None)
        if pages:
            since = f"{reference[0]} to {reference[-1]}" if len(reference) > 1 else str(reference[0])
            write_page(found, f"Drift of {month} from {since}", pages / f"{month}.html")
            with replacing(pages / f"{month}.json") as page:
                found.save_json(str(page))
        columns = _columns(found.dict()["metrics"])
    drifted = tuple(column.column for column in columns if column.drifted)
    return Drift(
        month=str(month),
        reference=tuple(map(str, reference)),
        drift_share=len(drifted) / len(columns) if columns else 0.0,
        drifted=drifted,
        columns=columns,
        left_out=out,
        rows=len(current),
        reference_rows=len(past),
        customers=customers,
        reference_customers=past_customers,
        shifts=shifts.compare(lake, month) if lake.has(FEATURES, month - 1) else (),
    )


def _report(
    current: pd.DataFrame, past: pd.DataFrame, features: Sequence[Feature], threshold: float | None
) -> Snapshot:
    """Evidently's report on these features: drawn, with this share of them; their figures alone without one."""
    os.environ.setdefault("DO_NOT_TRACK", "1")  # Evidently reads it when it is imported
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(
        numerical_columns=[feature.name for feature in features if feature.kind == "number"],
        categorical_columns=[feature.name for feature in features if feature.kind != "number"],
    )
    names = [feature.name for feature in features]
    thresholds = {name: column_threshold(current[name].count(), past[name].count()) for name in names}
    if threshold is None:
        methods = {f.name: _METHODS["num_method" if f.kind == "number" else "cat_method"] for f in features}
        metrics: list[Any] = [ValueDrift(column=n, method=methods[n], threshold=thresholds[n]) for n in names]
    else:
        metrics = [DataDriftPreset(columns=names, drift_share=threshold, per_column_threshold=thresholds, **_METHODS)]
    datasets = (Dataset.from_pandas(rows[names].reset_index(drop=True), definition) for rows in (current, past))
    with each_column_once(), unstyled():
        return Report(metrics).run(*datasets)


def column_threshold(known: int, reference: int) -> float:
    """The distance from which a column with so many known values on each side counts as drifted.

    It is Evidently's default for both methods, 0.1; with too few values to measure that, four standard errors of the
    difference between two means, in standard deviations: sqrt(1/n + 1/m). That is for independent customers; of two
    months, four in five are the same, so chance alone makes a column drift even more seldom.
    """
    return max(_DISTANCE, _ERRORS * math.sqrt(1 / known + 1 / reference))


def _columns(metrics: Sequence[dict[str, Any]]) -> tuple[ColumnDrift, ...]:
    columns = []
    for metric in metrics:
        settings = metric["config"]
        if "column" in settings:
            score, threshold = float(metric["value"]), float(settings["threshold"])
            columns.append(ColumnDrift(settings["column"], settings["method"], score, threshold, score >= threshold))
    return tuple(sorted(columns, key=lambda column: (-column.score, column.column)))
