"""Estimates against truth: what a champion's scores promise before the labels, and what the labels then say.

Here: one study. Not here: the estimate (`modelling.estimates`), or which months the platform calibrates on
(`monitoring.reference`): here it is the newest before, from which nobody has learned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.evidence.changes import Answers
from benchmarks.evidence.versions import Asked, Versions
from benchmarks.evidence.worlds import BRANCH
from churn_platform.modelling import metrics
from churn_platform.modelling.estimates import Reference, estimate, interval
from churn_platform.simulation.hazard import ShockKind

LEARNED = BRANCH - 2
"""The month for which the version was trained: the one after it, before BRANCH, is there to calibrate on."""


class Missed(NamedTuple):
    """By how much an estimate missed the realised AUC, and whether its interval held it."""

    by: float
    held: bool


def against_truth(asked: Asked) -> Answers:
    """How far estimates of a version's AUC are from the truth: in a quiet month, and when prices rise.

    The months before the one that it scores have their labels. After the rise, the month of the rise has.
    """
    rise = asked.after(ShockKind.PRICE_RISE)
    quiet, plain = _missed(asked.year, BRANCH), _missed(asked.year, BRANCH, calibrate=False)
    during, after, after_plain = (
        _missed(rise, BRANCH),
        _missed(rise, BRANCH + 1),
        _missed(rise, BRANCH + 1, calibrate=False),
    )
    return {
        "the AUC lies within the estimate's interval, quiet month": quiet.held,
        "the same without calibration": plain.held,
        "the AUC lies within the estimate's interval, month of a price rise": during.held,
        "the AUC lies within the estimate's interval, month after it": after.held,
        "error of the estimate, quiet month": quiet.by,
        "error without calibration, quiet month": plain.by,
        "error of the estimate, month of a price rise": during.by,
        "error of the estimate, month after it": after.by,
        "error without calibration, month after it": after_plain.by,
    }


def _missed(versions: Versions, number: int, *, calibrate: bool = True) -> Missed:
    """What the estimate of the month of this number, from 0, is worth."""
    scores, labels = _scored(versions, number)
    reference = Reference(*_scored(versions, number - 1)) if calibrate else None
    found, truth = estimate(scores, reference), metrics.auc(scores, labels)
    if found is None or truth is None:
        raise ValueError(f"a world in which everyone or nobody churns: {versions.course.month(number)}")
    low, high = interval(found.auc, found.error)
    return Missed(abs(found.auc - truth), low <= truth <= high)


def _scored(versions: Versions, number: int) -> tuple[np.ndarray, np.ndarray]:
    rows = versions.course.customers(number)
    labels = rows[versions.course.lake.contract.label].to_numpy(dtype=bool)
    return versions.version(LEARNED).probabilities(rows), labels
