"""Estimates against truth: what a champion's scores promise before the labels, and what the labels then say.

Here: one study, by the size of the company and a seed. Not here: the estimate (`modelling.estimates`), or which months
the platform calibrates on (`monitoring.reference`): here it is the newest before, from which nobody has learned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.evidence.studies import trained
from benchmarks.evidence.worlds import months_of, world
from churn_platform.lake import Lake
from churn_platform.modelling import metrics
from churn_platform.modelling.estimates import Reference, estimate, interval
from churn_platform.months import Month
from churn_platform.simulation.hazard import ShockKind
from churn_platform.tables import training_set
from churn_platform.tables.names import FEATURES


class Missed(NamedTuple):
    """By how much an estimate missed the realised AUC, and whether its interval held it."""

    by: float
    held: bool


def against_truth(customers: int, seed: int) -> dict[str, bool | float]:
    """How far estimates of the first month's version are from the truth: in a quiet month, and when prices rise.

    The version scores a later month; months before it have their labels. After the rise, the month of the rise has.
    """
    with world(customers, seed, 3) as lake:
        model = FirstVersion(lake)
        quiet, plain = model.missed(lake, 2), model.missed(lake, 2, calibrate=False)
    with world(customers, seed, 3, ShockKind.PRICE_RISE) as lake:
        rise = FirstVersion(lake).missed(lake, 2)
    with world(customers, seed, 4, ShockKind.PRICE_RISE, lasting=2) as lake:
        model = FirstVersion(lake)
        after, after_plain = model.missed(lake, 3), model.missed(lake, 3, calibrate=False)
    return {
        "the AUC lies within the estimate's interval, quiet month": quiet.held,
        "the same without calibration": plain.held,
        "the AUC lies within the estimate's interval, month of a price rise": rise.held,
        "the AUC lies within the estimate's interval, month after it": after.held,
        "error of the estimate, quiet month": quiet.by,
        "error without calibration, quiet month": plain.by,
        "error of the estimate, month of a price rise": rise.by,
        "error of the estimate, month after it": after.by,
        "error without calibration, month after it": after_plain.by,
    }


class FirstVersion:
    """A version trained for a lake's first month."""

    def __init__(self, lake: Lake) -> None:
        self._months = months_of(lake)
        self._model = trained(lake, self._months[0], 1)

    def missed(self, lake: Lake, number: int, *, calibrate: bool = True) -> Missed:
        """What its estimate of the month of this number, from 0, is worth."""
        scores, labels = self._scored(lake, self._months[number])
        reference = Reference(*self._scored(lake, self._months[number - 1])) if calibrate else None
        found, truth = estimate(scores, reference), metrics.auc(scores, labels)
        if found is None or truth is None:
            raise ValueError(f"a world in which everyone or nobody churns: {self._months[number]}")
        low, high = interval(found.auc, found.error)
        return Missed(abs(found.auc - truth), low <= truth <= high)

    def _scored(self, lake: Lake, month: Month) -> tuple[np.ndarray, np.ndarray]:
        key = lake.contract.key
        rows = lake.read(FEATURES, month).join(training_set.labels_of(lake, month), key).order_by(key).to_pandas()
        return self._model.scores(rows).probabilities, rows[lake.contract.label].to_numpy(dtype=bool)
