"""Player: months taken through the real assets, as the sensors would decide, beside the models of the alternatives.

Here: settling what is delivered, and which versions and models there are then. Not here: whose months they are
(`simulated`, `backtest`), the decisions (`automation`), or what the months add up to (`regret`, `worth`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import SecretStr

from churn_platform.automation import watch
from churn_platform.automation.triggers import RETRAIN, Launch
from churn_platform.local.joining import RunFailedError
from churn_platform.local.runs import Runs
from churn_platform.modelling import estimators
from churn_platform.modelling.encoding import encode_frame, learned
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.gate import should_promote
from churn_platform.modelling.metrics import auc
from churn_platform.modelling.training import TrainingError, train
from churn_platform.monitoring import drift
from churn_platform.months import Month
from churn_platform.progress import Follow, unseen
from churn_platform.settings import Settings
from churn_platform.tables import training_set
from churn_platform.tables.features import schema
from churn_platform.tables.names import DRIFT_REPORT, FEATURES
from churn_platform.tables.training_set import NotTrainableError

if TYPE_CHECKING:
    import pandas as pd

Model = Callable[["pd.DataFrame"], np.ndarray]
"""From a frame of features to churn probabilities [n]."""


def settings_in(folder: Path, tombstones: Path | None = None) -> Settings:
    """The settings of a replay in this folder: the person's own, except that none of the person's stores is touched.

    Who has one of the `tombstones` is left out of it; by default, nobody.
    """
    nowhere = SecretStr("")
    return Settings(
        tombstones=tombstones or folder / "erased",
        home=folder / "home",
        drops=folder / "drops",
        settle_seconds=0,
        mlflow_tracking_uri="",
        online_store_url=nowhere,
        postgres_url=nowhere,
        alert_urls=nowhere,
    )


@dataclass(frozen=True)
class Serving:
    """Who serves at one time: the champion's number and model, and the models of the alternatives.

    `first` is the first champion's; `gated` and `fresh` are of those who train each month, with the delta rule or not.
    """

    version: int | None
    champion: Model | None
    first: Model | None
    gated: Model | None
    fresh: Model | None


@dataclass(frozen=True)
class Settled:
    """A month once nothing is left to do: why versions were trained, what has failed, who served before and serves."""

    month: Month
    drift_share: float | None
    causes: tuple[str, ...]
    faults: tuple[str, ...]
    evaluations: tuple[Evaluation, ...]
    before: Serving
    after: Serving

    @property
    def promoted(self) -> bool:
        """Whether another version serves than before."""
        return self.after.version != self.before.version


class Player:
    """One platform, and next to it the models of the alternatives."""

    def __init__(self, settings: Settings, follow: Follow = unseen) -> None:
        self._runs = Runs(settings, follow)
        self.home = self._runs.home
        self.contract = self.home.contract
        self._first: Model | None = None
        self._gated: Model | None = None
        self._fresh: Model | None = None
        self._fresh_for: Month | None = None
        self._models: dict[int, Model] = {}

    def settle(self, month: Month) -> Settled:
        """Run what the sensors decide until there is nothing left to do. Raises RunFailedError if the month stops."""
        before = self._serving(self._first)
        causes, faults, evaluations = self._run()
        if not self.home.lake.has(FEATURES, month):
            waits = watch.closing(self.home, self._runs.instance).why
            raise RunFailedError(f"{month} was not closed: {'; '.join(faults) or waits}")
        self._first = self._first or self._serving(None).champion
        self._retrain_fresh(evaluations)
        found = self.home.lake.document(DRIFT_REPORT, month, drift.Drift)
        share = found.drift_share if found else None
        return Settled(month, share, causes, faults, evaluations, before, self._serving(self._first))

    def _serving(self, first: Model | None) -> Serving:
        version = self.home.registry.champion()
        number = version.number if version else None
        return Serving(number, None if number is None else self._model_of(number), first, self._gated, self._fresh)

    def _run(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Evaluation, ...]]:
        """Run what the sensors would start, one run after the other, until none of them starts anything."""
        causes: list[str] = []
        faults: list[str] = []
        evaluations: list[Evaluation] = []
        while launch := self._next():
            try:
                if launch.job == RETRAIN:
                    causes.append(launch.why)
                    evaluations.append(self._runs.retrain(launch.month, launch.tags)[0])
                else:
                    self._runs.run(launch.job, launch.month, tags=launch.tags)
            except RunFailedError as fault:
                faults.append(f"{launch.job} of {launch.month}: {fault}")
        return tuple(causes), tuple(faults), tuple(evaluations)

    def _next(self) -> Launch | None:
        """What a sensor would start now, the first one that would start anything."""
        for ask in (watch.closing, watch.retraining, watch.refreshing):
            if isinstance(found := ask(self.home, self._runs.instance), Launch):
                return found
        return None

    def _model_of(self, number: int) -> Model:
        """A version's model, loaded once: it is asked for before and after each month."""
        if number not in self._models:
            bundle = self.home.registry.bundle(self.home.registry.version(number))
            self._models[number] = lambda customers: bundle.score(encode_frame(bundle.schema, customers))
        return self._models[number]

    def _retrain_fresh(self, evaluations: Sequence[Evaluation]) -> None:
        """Train for the newest matured month; if the platform has already done so, its candidate is the model."""
        lake, settings = self.home.lake, self.home.settings
        month = max(training_set.matured(lake), default=None)
        if month is None or month == self._fresh_for:
            return
        self._fresh_for = month
        if same := [e for e in evaluations if e.month == str(month)]:
            self._take(self._model_of(same[-1].candidate.version), month)
            return
        rows = training_set.training_rows(lake, training_set.months_to_learn_from(lake, month)).to_pandas()
        try:
            features = learned(schema(self.contract), rows)
            newest = rows.loc[rows["month"] == str(month), self.contract.label]
            training_set.refuse_too_few(month, newest, settings.min_training_customers)
            pipeline = train(rows, self.contract, features, settings.estimator, settings.seed).pipeline
        except (NotTrainableError, TrainingError):
            return  # the platform would not have retrained this month either
        self._take(lambda customers: estimators.predict(pipeline, encode_frame(features, customers)), month)

    def _take(self, model: Model, month: Month) -> None:
        """Let the model serve in the alternatives that retrain each month; in the gated one, only if it wins."""
        self._fresh = model
        if self._gated is not None:
            customers = training_set.holdout(self.home.lake, month)
            labels = customers[self.contract.label].to_numpy(dtype=bool)
            new, old = auc(model(customers), labels), auc(self._gated(customers), labels)
            if new is None or not should_promote(new, old, self.home.settings.delta):
                return
        self._gated = model
