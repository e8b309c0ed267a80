"""Versions: what the platform would train and compare in a world, each trained once for all studies.

Here: training, scoring and comparing as the platform does. Not here: the world's months (`worlds`), or what is asked of
the versions (`promotions` and the other studies).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.evidence.truth import Population, population
from benchmarks.evidence.worlds import BRANCH, Course, World
from churn_platform.champion import usual
from churn_platform.company.declaration import Role
from churn_platform.lake import Lake
from churn_platform.modelling import estimators, tripwires
from churn_platform.modelling.encoding import encode_frame, learned
from churn_platform.modelling.evaluation import Evaluation, VersionScores, evaluate
from churn_platform.modelling.metrics import auc
from churn_platform.modelling.training import train
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.simulation.drops import FIRST
from churn_platform.simulation.hazard import ShockKind
from churn_platform.tables import training_set
from churn_platform.tables.features import schema
from churn_platform.tables.names import EVALUATION

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from churn_platform.bundle import Feature

SETTINGS = Settings.model_construct()
"""The defaults, whatever is set where this runs."""


@dataclass(frozen=True)
class Version:
    """A pipeline that was trained for a month, by the number of both, with the months that it learned from."""

    number: int
    pipeline: Pipeline
    features: tuple[Feature, ...]
    months: tuple[Month, ...]
    threshold: float

    def probabilities(self, customers: pd.DataFrame) -> np.ndarray:
        """What it gives to these customers."""
        return estimators.predict(self.pipeline, encode_frame(self.features, customers))

    def scores(self, customers: pd.DataFrame) -> VersionScores:
        """The same as the platform compares it."""
        return VersionScores(self.number, str(self.months[-1]), self.threshold, self.probabilities(customers))


class Versions:
    """The versions of a company's course, trained when they are first asked for; the earliest are `shared`."""

    def __init__(self, course: Course, shared: Versions | None = None) -> None:
        self.course, self._shared = course, shared
        self._trained: dict[int, Version] = {}
        self._aucs: dict[tuple[int, int], float] = {}
        self._watched: dict[Month, pd.DataFrame] = {}

    def version(self, number: int) -> Version:
        """The version that the platform would train for the month of this number."""
        if self._shared and number < BRANCH:
            return self._shared.version(number)
        if number not in self._trained:
            self._trained[number] = self._train(number)
        return self._trained[number]

    def _train(self, number: int) -> Version:
        lake, month = self.course.lake, self.course.month(number)
        months = training_set.months_to_learn_from(lake, month)
        rows = training_set.training_rows(lake, months).to_pandas()
        if len(own := rows[rows["month"] == str(month)]) <= tripwires.MOST_ROWS:
            self._watched[month] = own.reset_index(drop=True)
        features = tuple(learned(schema(lake.contract), rows))
        made = train(rows, lake.contract, features, SETTINGS.estimator, SETTINGS.seed)
        return Version(number, made.pipeline, features, tuple(map(Month.parse, made.months)), made.threshold)

    def auc(self, version: int, number: int) -> float:
        """The AUC of a version on the holdout customers of a month, by their numbers."""
        if (version, number) not in self._aucs:
            found = auc(self.version(version).probabilities(self.course.holdout(number)), self.course.labels(number))
            self._aucs[version, number] = found or 0.0
        return self._aucs[version, number]

    def watched(self, month: Month) -> pd.DataFrame:
        """The training customers of a month on whom features are watched, as the platform chooses them."""
        if self._shared and month < FIRST + BRANCH:
            return self._shared.watched(month)
        if month not in self._watched:
            lake = self.course.lake
            rows = training_set.training_rows(lake, [month])
            self._watched[month] = training_set.labelled(rows, lake.contract.key, str(month), tripwires.MOST_ROWS)
        return self._watched[month]

    def compared(
        self, lake: Lake, number: int, champion: Version | None, candidate: Version, looks: int = 1
    ) -> Evaluation:
        """Both on a month's holdout customers, as the platform compares them; `lake` keeps it for the months after."""
        month, customers, contract = self.course.month(number), self.course.holdout(number), lake.contract
        left_out = usual.of_the_past(contract)
        reach = {str(then) for then in training_set.months_to_learn_from(lake, month)}
        months = [Month.parse(then) for then in usual.months(lake, month, appointed, reach)]
        frames = [self.watched(then) for then in (month, *months)]
        now, *before = [(frame, frame[contract.label].to_numpy(dtype=bool)) for frame in frames]
        found = evaluate(
            str(month),
            self.course.labels(number),
            candidate.scores(customers),
            champion.scores(customers) if champion else None,
            parity=0.0,
            segments=customers[[column.name for column in contract.customers.with_role(Role.SEGMENT)]],
            delta=SETTINGS.delta,
            seed=SETTINGS.seed,
            looks=looks,
            earlier=usual.of_versions(lake, month, appointed),
            watched=tripwires.watch([f for f in candidate.features if f.name not in left_out], now, before),
        )
        lake.write_document(EVALUATION, month, found)
        return found


class Asked:
    """A world with the versions of each of its courses, and a population: what studies are asked in."""

    def __init__(self, world: World, companies: int) -> None:
        self.world, self._companies = world, companies
        self._after: dict[ShockKind, Versions] = {}

    @cached_property
    def year(self) -> Versions:
        """Those of the company as it was."""
        return Versions(self.world.year)

    @property
    def population(self) -> Population:
        """Customers of so many other companies, for what is true of all."""
        return population(self._companies)

    def after(self, shock: ShockKind) -> Versions:
        """Those of the company with this shock in the month BRANCH."""
        if shock not in self._after:
            self._after[shock] = Versions(self.world.after(shock), self.year)
        return self._after[shock]


def appointed(_: int) -> bool:
    """In studies nobody makes a version champion that a gate has stopped."""
    return False
