"""Studies: what is measured in one world, by the size of the company and a seed.

Here: each study as a function that gives yes or no to named questions. Not here: repeating them, or their rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.evidence.worlds import months_of, world
from churn_platform.company.declaration import Role
from churn_platform.lake import Lake
from churn_platform.modelling import estimators
from churn_platform.modelling.encoding import encode_frame, learned
from churn_platform.modelling.evaluation import Evaluation, VersionScores, evaluate
from churn_platform.modelling.training import Training, train
from churn_platform.monitoring import shifts
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.simulation.hazard import ShockKind
from churn_platform.tables import training_set
from churn_platform.tables.features import schema

if TYPE_CHECKING:
    from churn_platform.bundle import Feature

Answers = Mapping[str, bool]
"""What happened in one world, by the question."""

SETTINGS = Settings()
WORSE = (ShockKind.PRICE_RISE, ShockKind.SERVICE_OUTAGE, ShockKind.NEW_PLAN)
"""The shocks that change who leaves."""


def drift(customers: int, seed: int) -> Answers:
    """Whether tests against the month before call a quiet month shifted, and find a new plan before its labels."""
    found = {}
    for name, shock in (("quiet month called shifted", None), ("new plan found", ShockKind.NEW_PLAN)):
        with world(customers, seed, 4, shock) as lake:
            found[name] = any(shift.shifted for shift in shifts.compare(lake, months_of(lake)[-1]))
    return found


def promotions(customers: int, seed: int) -> Answers:
    """Whether a candidate is promoted over the first month's version: in a quiet month, and after each shock."""
    found: dict[str, bool] = {}
    for name, shock in (("promoted in a quiet month", None), *((f"promoted after {kind}", kind) for kind in WORSE)):
        with world(customers, seed, 3, shock) as lake:
            first, *_, last = months_of(lake)
            found[name] = compared(lake, last, _trained(lake, first), _trained(lake, last)).promote
    return found


def luck(customers: int, seed: int, candidates: int = 24) -> Answers:
    """Whether any of many candidates, which differ only in their seeds, is promoted in a quiet month."""
    with world(customers, seed, 2) as lake:
        first, last = months_of(lake)
        champion = _trained(lake, first)
        looks = enumerate(_trained(lake, last, seed) for seed in range(candidates))
        evaluations = [compared(lake, last, champion, candidate, look + 1) for look, candidate in looks]
    by_delta = any(_wins_by_delta(evaluation) for evaluation in evaluations)
    return {"a lucky one passes delta": by_delta, "a lucky one is promoted": any(e.promote for e in evaluations)}


STUDIES: Mapping[str, Callable[[int, int], Answers]] = {"drift": drift, "promotions": promotions, "luck": luck}


class Model:
    """A trained pipeline with the features that it knows."""

    def __init__(self, training: Training, features: tuple[Feature, ...]) -> None:
        self.training, self._features = training, features

    def scores(self, number: int, customers: pd.DataFrame) -> VersionScores:
        """What it gives to these customers, as the version of this number."""
        probabilities = estimators.predict(self.training.pipeline, encode_frame(self._features, customers))
        return VersionScores(number, self.training.months[-1], self.training.threshold, probabilities)


def compared(lake: Lake, month: Month, champion: Model, candidate: Model, looks: int = 1) -> Evaluation:
    """Both on the month's holdout customers, as the platform compares them."""
    customers, contract = training_set.holdout(lake, month), lake.contract
    return evaluate(
        str(month),
        customers[contract.label].to_numpy(dtype=bool),
        candidate.scores(2, customers),
        champion.scores(1, customers),
        parity=0.0,
        segments=customers[[column.name for column in contract.customers.with_role(Role.SEGMENT)]],
        delta=SETTINGS.delta,
        seed=SETTINGS.seed,
        looks=looks,
    )


def _trained(lake: Lake, month: Month, seed: int = SETTINGS.seed) -> Model:
    months = training_set.months_to_learn_from(lake, month)
    rows = training_set.training_rows(lake, months).to_pandas()
    features = tuple(learned(schema(lake.contract), rows))
    return Model(train(rows, lake.contract, features, SETTINGS.estimator, seed), features)


def _wins_by_delta(evaluation: Evaluation) -> bool:
    [answer] = [gate for gate in evaluation.gates if gate.name == "delta_rule"]
    return answer.passed


def questions(results: Iterator[Answers]) -> dict[str, list[bool]]:
    """The answers to each question, over all worlds."""
    found: dict[str, list[bool]] = {}
    for answers in results:
        for question, answer in answers.items():
            found.setdefault(question, []).append(answer)
    return found
