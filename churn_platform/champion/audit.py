"""Audit: whether the gates would stop a leak in a company's own month.

Here: training candidates on rows with a canary planted in them, and asking the gates. Nothing is registered, written or
promoted. Not here: what is planted (`modelling.canaries`), or the gates (`modelling.gate`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn_platform.bundle import Bundle, Feature
from churn_platform.champion import usual
from churn_platform.lake import Lake
from churn_platform.modelling import estimators, leaks, tripwires
from churn_platform.modelling.canaries import CANARIES, Canary, drawn, perch
from churn_platform.modelling.encoding import encode_frame, learned
from churn_platform.modelling.evaluation import Evaluation, VersionScores, evaluate
from churn_platform.modelling.training import train
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.tables import training_set
from churn_platform.tables.features import schema

if TYPE_CHECKING:
    import pandas as pd

Scoring = Callable[["pd.DataFrame"], VersionScores]
"""The champion's scores of a frame of customers."""


@dataclass(frozen=True)
class Audited:
    """What the gates answered about a candidate that learned from this canary in this column; None: from none."""

    canary: Canary | None
    column: str
    evaluation: Evaluation

    @property
    def held(self) -> tuple[str, ...]:
        """The leak gates that stopped it."""
        return tuple(g.name for g in self.evaluation.gates if g.name in leaks.GATES and g.blocking and not g.passed)


@dataclass(frozen=True)
class _Rows:
    """What a version learns from, is compared on, and is watched on: the month, then those that are usual."""

    training: pd.DataFrame
    holdout: pd.DataFrame
    watched: tuple[pd.DataFrame, ...]

    def planted(self, month: Month, key: str, column: str, values: pd.Series) -> _Rows:
        """The same with this column's values of the month, by customer; other months keep theirs, or have none."""

        def of(frame: pd.DataFrame) -> pd.Series:
            known = frame[column].astype("float64") if column in frame else float("nan")
            own = frame["month"] == str(month)
            return frame[key].map(values).where(own, known)

        frames = (self.training, self.holdout, *self.watched)
        training, holdout, *watched = (frame.assign(**{column: of(frame)}) for frame in frames)
        return _Rows(training, holdout, tuple(watched))


class Audit:
    """One month as it is, to be tried with each canary. Raises NotTrainableError where no candidate can be trained."""

    def __init__(
        self, lake: Lake, month: Month, settings: Settings, champion: Scoring | None, appointed: usual.Appointed
    ) -> None:
        self._month, self._settings, self._champion, self._contract = month, settings, champion, lake.contract
        months = training_set.months_to_learn_from(lake, month)
        training = training_set.training_rows(lake, months)
        watched = (str(month), *usual.months(lake, month, appointed, {str(known) for known in months}))
        frames = (training_set.labelled(training, lake.contract.key, then, tripwires.MOST_ROWS) for then in watched)
        self._rows = _Rows(training.to_pandas(), training_set.holdout(lake, month), tuple(frames))
        self._usual = usual.of_versions(lake, month, appointed)

    def tried(self) -> Iterator[Audited]:
        """The month without a canary, then with each; each trains a candidate."""
        yield Audited(None, "", self._judged(schema(self._contract), self._rows))
        yield from self.with_canaries()

    def with_canaries(self) -> Iterator[Audited]:
        """The month with each canary."""
        import pandas as pd

        key, label, rows = self._contract.key, self._contract.label, self._rows
        features = schema(self._contract)
        own = rows.training[rows.training["month"] == str(self._month)]
        labels = own[label].to_numpy(dtype=bool)
        column = perch(self._by_themselves(features), own, labels)
        churned = pd.concat([own, rows.holdout]).set_index(key)[label]
        for canary in CANARIES:
            values = drawn(canary, churned, self._settings.seed)
            with_it = rows.planted(self._month, key, column.name, values)
            known = features if column in features else (*features, column)
            yield Audited(canary, column.name, self._judged(known, with_it))

    def _judged(self, features: tuple[Feature, ...], rows: _Rows) -> Evaluation:
        contract, settings = self._contract, self._settings
        known = learned(features, rows.training)
        training = train(rows.training, contract, known, settings.estimator, settings.seed)
        probabilities = estimators.predict(training.pipeline, encode_frame(known, rows.holdout))
        candidate = VersionScores(0, str(self._month), training.threshold, probabilities)
        now, *before = [(frame, frame[contract.label].to_numpy(dtype=bool)) for frame in rows.watched]
        return evaluate(
            str(self._month),
            rows.holdout[contract.label].to_numpy(dtype=bool),
            candidate,
            self._champion(rows.holdout) if self._champion else None,
            parity=0.0,  # nothing is exported
            segments=rows.holdout[[*training_set.segments_of(contract)]],
            delta=settings.delta,
            seed=settings.seed,
            looks=1,
            warn_only=sorted(settings.warning_gates),
            earlier=self._usual,
            watched=tripwires.watch(self._by_themselves(features), now, before),
        )

    def _by_themselves(self, features: tuple[Feature, ...]) -> tuple[Feature, ...]:
        left_out = usual.of_the_past(self._contract)
        return tuple(feature for feature in features if feature.name not in left_out)


def scoring(version: int, bundle: Bundle) -> Scoring:
    """The scores of a version with this bundle."""

    def scored(customers: pd.DataFrame) -> VersionScores:
        probabilities = bundle.score(encode_frame(bundle.schema, customers))
        return VersionScores(version, bundle.manifest.month, bundle.manifest.threshold, probabilities)

    return scored
