"""Replay: a simulated company's months taken through the real assets, as the sensors would decide.

Here: living through the months in a home of its own, and how well the serving version ranks the customers. Not here:
the company (`simulation`), the decisions (`automation`), or what the months add up to
(`regret`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import SecretStr

from churn_platform.automation import watch
from churn_platform.automation.triggers import RETRAIN, Launch
from churn_platform.contracts import declared
from churn_platform.local.joining import RunFailedError
from churn_platform.local.making import RefusedError
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
from churn_platform.replay.regret import Lived
from churn_platform.settings import Settings
from churn_platform.shown import counted
from churn_platform.simulation.drops import SimulatedMonth, refuse_others, simulate, write_drop
from churn_platform.simulation.hazard import Shock
from churn_platform.tables import training_set
from churn_platform.tables.features import is_holdout, schema
from churn_platform.tables.names import DRIFT_REPORT, FEATURES
from churn_platform.tables.training_set import NotTrainableError

if TYPE_CHECKING:
    import pandas as pd

Model = Callable[["pd.DataFrame"], np.ndarray]
"""From a frame of features to churn probabilities [n]."""


def settings_in(folder: Path) -> Settings:
    """The settings of a replay in this folder: the person's own, except that none of the person's stores is touched."""
    nowhere = SecretStr("")
    return Settings(
        home=folder / "home",
        drops=folder / "drops",
        settle_seconds=0,
        mlflow_tracking_uri="",
        online_store_url=nowhere,
        postgres_url=nowhere,
        alert_urls=nowhere,
    )


def replay(
    settings: Settings,
    months: int,
    customers: int,
    seed: int,
    shocks: Sequence[Shock] = (),
    label_delay: int = 0,
    follow: Follow = unseen,
) -> Iterator[Lived]:
    """Live through the company's first months. The labels of a month come with the drop `label_delay` months later.

    `follow` is told the steps of the platform's runs.

    Raises SimulationError for a company that cannot be simulated, RefusedError if the last month is not over yet, since
    it could not be closed, and RunFailedError if a month stops.
    """
    refuse_others(declared(settings.company))
    last = settings.first + (months - 1)
    if last.as_of >= date.today():
        raise RefusedError(
            f"{counted(months, 'month')} from {settings.first} would end with {last}, which is not over yet: "
            "ask for fewer"
        )
    player = _Player(settings, follow)
    later = player.contract.labels.name
    awaited: list[tuple[Path, bytes]] = []
    for month in simulate(months, customers, seed, shocks, settings.first):
        labels = write_drop(month, settings.drops) / f"{later}.csv"
        awaited.append((labels, labels.read_bytes()))
        labels.unlink()
        for path, content in awaited[: len(awaited) - label_delay]:
            path.write_bytes(content)
        awaited = awaited[len(awaited) - label_delay :]
        yield player.live(month)


class _Player:
    """One platform, and next to it the models of the alternatives."""

    def __init__(self, settings: Settings, follow: Follow) -> None:
        self._runs = Runs(settings, follow)
        self._home = self._runs.home
        self.contract = self._home.contract
        self._first: Model | None = None
        self._gated: Model | None = None
        self._fresh: Model | None = None
        self._fresh_for: Month | None = None

    def live(self, month: SimulatedMonth) -> Lived:
        """Run what the sensors decide until there is nothing left to do, then measure the version that serves."""
        before = self._champion()
        causes, faults, evaluations = self._settle()
        if not self._home.lake.has(FEATURES, month.month):
            raise RunFailedError(f"{month.month} was not closed: {'; '.join(faults)}")
        number = self._number()
        champion = before if number == before[0] else self._champion()
        if self._first is None:
            self._first = champion[1]
        self._retrain_fresh(evaluations)

        customers, probability, labels = self._holdout(month)
        found = self._home.lake.document(DRIFT_REPORT, month.month, drift.Drift)

        def measured(model: Model | None) -> float | None:
            return None if model is None else auc(model(customers), labels)

        return Lived(
            month=str(month.month),
            drift_share=found.drift_share if found else None,
            causes=causes,
            faults=faults,
            champion_auc=measured(before[1]),
            candidate_auc=evaluations[-1].candidate.metrics["auc"] if evaluations else None,
            promoted=champion[0] != before[0],
            version=champion[0],
            auc=measured(champion[1]),
            first_auc=measured(self._first),
            gated_auc=measured(self._gated),
            fresh_auc=measured(self._fresh),
            best_auc=auc(probability, labels),
        )

    def _settle(self) -> tuple[tuple[str, ...], tuple[str, ...], list[Evaluation]]:
        """Run what the sensors would start, one run after the other, until none of them starts anything."""
        causes: list[str] = []
        faults: list[str] = []
        evaluations: list[Evaluation] = []
        sensors = (watch.closing, watch.retraining, watch.refreshing)
        while launches := [d for ask in sensors if isinstance(d := ask(self._home, self._runs.instance), Launch)]:
            launch = launches[0]
            try:
                if launch.job == RETRAIN:
                    causes.append(launch.why)
                    evaluations.append(self._runs.retrain(launch.month, launch.tags)[0])
                else:
                    self._runs.run(launch.job, launch.month, tags=launch.tags)
            except RunFailedError as fault:
                faults.append(f"{launch.job} of {launch.month}: {fault}")
        return tuple(causes), tuple(faults), evaluations

    def _number(self) -> int | None:
        version = self._home.registry.champion()
        return version.number if version else None

    def _champion(self) -> tuple[int | None, Model | None]:
        number = self._number()
        return number, None if number is None else self._model_of(number)

    def _model_of(self, number: int) -> Model:
        bundle = self._home.registry.bundle(self._home.registry.version(number))
        return lambda customers: bundle.score(encode_frame(bundle.schema, customers))

    def _retrain_fresh(self, evaluations: Sequence[Evaluation]) -> None:
        """Train for the newest matured month; if the platform has already done so, its candidate is the model."""
        lake, settings = self._home.lake, self._home.settings
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
            customers = training_set.holdout(self._home.lake, month)
            labels = customers[self.contract.label].to_numpy(dtype=bool)
            new, old = auc(model(customers), labels), auc(self._gated(customers), labels)
            if new is None or not should_promote(new, old, self._home.settings.delta):
                return
        self._gated = model

    def _holdout(self, month: SimulatedMonth) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        """The month's holdout customers: features, true churn probabilities, labels, in the same order."""
        features = self._home.lake.read(FEATURES, month.month)
        key, tables = self.contract.key, month.tables
        customers = features.filter(is_holdout(features[key])).order_by(key).to_pandas()
        # Simulated months are in key order.
        rows = np.searchsorted(tables[self.contract.customers.name][key], customers[key].to_numpy(dtype=str))
        return customers, month.churn_probability[rows], tables[self.contract.labels.name][self.contract.label][rows]
