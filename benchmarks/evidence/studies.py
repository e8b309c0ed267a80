"""Studies: what is measured in one world, by the size of the company and a seed.

Here: each study as a function that gives yes or no to named questions. Not here: repeating them, or their rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.evidence.worlds import months_of, world
from churn_platform.champion import usual
from churn_platform.company.declaration import Role
from churn_platform.lake import Lake
from churn_platform.modelling import estimators, tripwires
from churn_platform.modelling.encoding import encode_frame, learned
from churn_platform.modelling.evaluation import Evaluation, VersionScores, evaluate
from churn_platform.modelling.training import Training, train
from churn_platform.monitoring import shifts
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.simulation.hazard import ShockKind
from churn_platform.tables import training_set
from churn_platform.tables.features import schema
from churn_platform.tables.names import EVALUATION

if TYPE_CHECKING:
    from churn_platform.bundle import Feature

Answers = Mapping[str, bool | float | list[bool]]
"""What happened in one world, or how large it was, by the question; a list where it was asked several times."""

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
            champion = trained(lake, first, 1)
            compared(lake, first, None, champion)
            found[name] = compared(lake, last, champion, trained(lake, last, 2)).promote
    return found


def luck(customers: int, seed: int, candidates: int = 24) -> Answers:
    """Whether any of many candidates, which differ only in their seeds, is promoted in a quiet month."""
    with world(customers, seed, 2) as lake:
        first, last = months_of(lake)
        champion = trained(lake, first, 1)
        looks = enumerate(trained(lake, last, 2 + seed, seed) for seed in range(candidates))
        evaluations = [compared(lake, last, champion, candidate, look + 1) for look, candidate in looks]
    by_delta = any(_wins_by_delta(evaluation) for evaluation in evaluations)
    return {"a lucky one passes delta": by_delta, "a lucky one is promoted": any(e.promote for e in evaluations)}


class Model:
    """A trained pipeline with the features that it knows."""

    def __init__(self, training: Training, features: tuple[Feature, ...], rows: pd.DataFrame, number: int) -> None:
        self.training, self.features, self.rows, self.number = training, features, rows, number

    def scores(self, customers: pd.DataFrame) -> VersionScores:
        """What it gives to these customers."""
        probabilities = estimators.predict(self.training.pipeline, encode_frame(self.features, customers))
        return VersionScores(self.number, self.training.months[-1], self.training.threshold, probabilities)


def compared(lake: Lake, month: Month, champion: Model | None, candidate: Model, looks: int = 1) -> Evaluation:
    """Both on the month's holdout customers, as the platform compares them; kept for the months after."""
    customers, contract = training_set.holdout(lake, month), lake.contract
    left_out = usual.of_the_past(contract)
    watched = [feature for feature in candidate.features if feature.name not in left_out]
    months = (str(month), *usual.months(lake, month, appointed, {*candidate.rows["month"]}))
    frames = [candidate.rows[candidate.rows["month"] == then] for then in months]
    now, *before = [(frame, frame[contract.label].to_numpy(dtype=bool)) for frame in frames]
    found = evaluate(
        str(month),
        customers[contract.label].to_numpy(dtype=bool),
        candidate.scores(customers),
        champion.scores(customers) if champion else None,
        parity=0.0,
        segments=customers[[column.name for column in contract.customers.with_role(Role.SEGMENT)]],
        delta=SETTINGS.delta,
        seed=SETTINGS.seed,
        looks=looks,
        earlier=usual.of_versions(lake, month, appointed),
        watched=tripwires.watch(watched, now, before),
    )
    lake.write_document(EVALUATION, month, found)
    return found


def appointed(_: int) -> bool:
    """In studies nobody makes a version champion that a gate has stopped."""
    return False


def trained(lake: Lake, month: Month, number: int, seed: int = SETTINGS.seed) -> Model:
    """A version of this number for the month, as the platform trains one."""
    months = training_set.months_to_learn_from(lake, month)
    rows = training_set.training_rows(lake, months).to_pandas()
    features = tuple(learned(schema(lake.contract), rows))
    return Model(train(rows, lake.contract, features, SETTINGS.estimator, seed), features, rows, number)


def _wins_by_delta(evaluation: Evaluation) -> bool:
    [answer] = [gate for gate in evaluation.gates if gate.name == "delta_rule"]
    return answer.passed


def questions(results: Iterator[Answers]) -> dict[str, list[bool | float]]:
    """The answers to each question, over all worlds."""
    found: dict[str, list[bool | float]] = {}
    for answers in results:
        for question, answer in answers.items():
            found.setdefault(question, []).extend(answer if isinstance(answer, list) else [answer])
    return found
