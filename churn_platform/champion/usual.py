"""Usual: how well anything told who leaves in the months before, as a measure for this one.

Here: which of them count, and reading them. Not here: what is measured of them (`modelling.tripwires`), or what follows
(`modelling.leaks`).

A month whose candidate was stopped for a leak is no measure of what is usual, unless somebody has made that candidate
champion all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from churn_platform.bundle import Feature
from churn_platform.company import past
from churn_platform.contracts import Contract
from churn_platform.lake import Lake
from churn_platform.modelling import leaks
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Earlier
from churn_platform.modelling.tripwires import Labelled
from churn_platform.months import Month
from churn_platform.tables import training_set
from churn_platform.tables.features import schema
from churn_platform.tables.names import EVALUATION

MOST_ROWS = 10_000
"""More customers than this are sampled to see what one feature tells."""

Appointed = Callable[[int], bool]
"""Whether a version was ever made champion."""

COMPARED = 3
"""How many earlier months a feature is compared with."""


def watched(contract: Contract) -> tuple[Feature, ...]:
    """The features whose own telling is watched. Those made of a column's past are not: the column is itself."""
    of_the_past = {name for name, _ in past.features(contract.declaration.features.history)}
    return tuple(feature for feature in schema(contract) if feature.name not in of_the_past)


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


def labelled(lake: Lake, month: Month, appointed: Appointed) -> list[Labelled]:
    """The labelled customers of this month, then of the newest earlier months that count, about MOST_ROWS of each."""
    before = [then for then, _ in _evaluated(lake, month, appointed)][-COMPARED:]
    frames = [training_set.labelled(lake, then, MOST_ROWS) for then in (month, *before)]
    return [(frame, frame[lake.contract.label].to_numpy(dtype=bool)) for frame in frames]


def _evaluated(lake: Lake, month: Month, appointed: Appointed) -> Iterator[tuple[Month, Evaluation | None]]:
    for then in training_set.judging(lake):
        if then < month and month.since(then) <= training_set.REACH:
            evaluation = lake.document(EVALUATION, then, Evaluation, "churn retrain")
            if evaluation is None or not evaluation.may_leak or appointed(evaluation.candidate.version):
                yield then, evaluation
