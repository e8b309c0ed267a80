"""Usual: how well anything told who leaves in the months before, as a measure for this one.

Here: which months count, and how versions ranked them. Not here: what features told (`modelling.tripwires`), or what
follows (`modelling.leaks`).

A month whose candidate was stopped for a leak is no measure of what is usual, unless somebody has made that candidate
champion all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from churn_platform.company import past
from churn_platform.contracts import Contract
from churn_platform.lake import Lake
from churn_platform.modelling import leaks
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Earlier
from churn_platform.months import Month
from churn_platform.tables import training_set
from churn_platform.tables.names import EVALUATION

Appointed = Callable[[int], bool]
"""Whether a version was ever made champion."""

COMPARED = 3
"""How many earlier months a feature is compared with."""


def of_the_past(contract: Contract) -> tuple[str, ...]:
    """The features that are made of a column's past, and are not watched: the column is itself."""
    return tuple(name for name, _ in past.features(contract.declaration.features.history))


def of_versions(lake: Lake, month: Month, appointed: Appointed) -> tuple[Earlier, ...]:
    """How versions ranked the earlier months that count, up to a year back, oldest first. Raises DocumentError."""
    found = []
    for then, evaluation in _evaluated(lake, month, appointed):
        if evaluation is not None:
            compared = (evaluation.candidate, evaluation.champion)
            rows, churned = evaluation.rows, evaluation.positives
            ranked = [(who.metrics["auc"], leaks.error_of(who, rows, churned)) for who in compared if who]
            found.append(Earlier(str(then), *max(ranked)))
    return tuple(found)


def months(lake: Lake, month: Month, appointed: Appointed, among: Container[str]) -> tuple[str, ...]:
    """The newest of the earlier months `among` these that count, oldest first: features are compared with them.

    Raises DocumentError.
    """
    counted = (str(then) for then, _ in _evaluated(lake, month, appointed))
    return tuple(then for then in counted if then in among)[-COMPARED:]


def _evaluated(lake: Lake, month: Month, appointed: Appointed) -> Iterator[tuple[Month, Evaluation | None]]:
    for then in training_set.judging(lake):
        if then < month and month.since(then) < training_set.REACH:
            evaluation = lake.document(EVALUATION, then, Evaluation, "churn retrain")
            if evaluation is None or not evaluation.may_leak or appointed(evaluation.candidate.version):
                yield then, evaluation
