"""Intervals: whether those that the platform shows of an AUC hold the truth as often as they say.

Here: one study. Not here: the intervals (`modelling.metrics`, `modelling.comparison`), the truth (`truth`), or those of
estimates before labels (`estimates`).
"""

from __future__ import annotations

from benchmarks.evidence.changes import Answers
from benchmarks.evidence.versions import SETTINGS, Asked
from benchmarks.evidence.worlds import BRANCH
from churn_platform.modelling.comparison import auc_difference_interval
from churn_platform.modelling.estimates import IN_95
from churn_platform.modelling.metrics import auc_error


def coverage(asked: Asked) -> Answers:
    """Whether the 95 % intervals of a holdout AUC, and of two versions' difference, hold the truth in a quiet month."""
    versions, truth = asked.year, asked.population
    old, new = versions.version(BRANCH - 1), versions.version(BRANCH)
    customers, labels = versions.course.holdout(BRANCH), versions.course.labels(BRANCH)
    scores = new.probabilities(customers)
    measured, true = versions.auc(BRANCH, BRANCH), truth.auc(new)
    low, high = auc_difference_interval(labels, scores, old.probabilities(customers), SETTINGS.seed)
    reach = IN_95 * auc_error(scores, labels)
    return {
        "the 95 % interval of an AUC holds the true AUC": abs(measured - true) <= reach,
        "the 95 % interval of a difference of two AUCs holds the true one": low <= true - truth.auc(old) <= high,
        "half the width of an AUC's interval": reach,
        "half the width of a difference's interval": (high - low) / 2,
    }
