"""Evaluation: candidate and champion measured on the same customers, and what the gates answer.

Here: turning customers and models into one record, which a person can read and the promotion can put to the gate
again. Not here: which customers those are (`tables.training_set`), which versions are compared (`assets`), or the
rules (`gate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from churn_platform.bundle import Bundle, FeatureKind, misfits
from churn_platform.modelling import estimators, export
from churn_platform.modelling.cautions import LUCK, MIN_PER_CLASS
from churn_platform.modelling.comparison import auc_difference_interval
from churn_platform.modelling.encoding import encode_frame
from churn_platform.modelling.facts import UNWATCHED, Basis, Contender, Earlier, Facts, Segment, Watched
from churn_platform.modelling.gate import GateAnswer, decide
from churn_platform.modelling.leaks import GATES as LEAK_GATES
from churn_platform.modelling.metrics import auc, measure

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline


class Evaluation(Facts, frozen=True, kw_only=True):
    """The facts, and what the gates answered at the time: whether to `promote`, and the `decision` in a sentence.

    The facts decide: the promotion hands them to `gate.decide` again, and does not rely on `promote`.
    """

    gates: tuple[GateAnswer, ...]
    promote: bool
    decision: str

    @property
    def may_leak(self) -> bool:
        """Whether a gate that looks for leaks stopped the candidate."""
        return any(gate.name in LEAK_GATES and gate.blocking and not gate.passed for gate in self.gates)


@dataclass(frozen=True)
class VersionScores:
    """A version and the churn probabilities [rows] that it gave to the customers of the evaluation."""

    version: int
    month: str
    threshold: float
    probabilities: np.ndarray

    def measured(self, labels: np.ndarray) -> Contender:
        """The version with its figures, measured against the labels."""
        return Contender(self.version, self.month, measure(labels, self.probabilities, self.threshold))


def score_versions(
    customers: pd.DataFrame,
    bundles: Mapping[int, Bundle],
    candidate: int,
    pipeline: Pipeline,
    kinds: Mapping[str, FeatureKind],
) -> tuple[dict[int, VersionScores], float]:
    """Each version's scores of these customers, by its number, and `export.parity` of the candidate and its pipeline.

    The customers are encoded once for each schema, and each model scores them once. Their features are of these
    `kinds`; one that a version knows as another kind is unknown to it, as one that is not there.
    """
    encoded = {
        schema: encode_frame(schema, customers.drop(columns=[*misfits(schema, kinds).other]))
        for schema in {bundle.schema for bundle in bundles.values()}
    }
    scores = {
        number: VersionScores(
            number, bundle.manifest.month, bundle.manifest.threshold, bundle.score(encoded[bundle.schema])
        )
        for number, bundle in bundles.items()
    }
    trained = estimators.predict(pipeline, encoded[bundles[candidate].schema])
    return scores, export.parity(scores[candidate].probabilities, trained)


def evaluate(
    month: str,
    labels: np.ndarray,
    candidate: VersionScores,
    champion: VersionScores | None,
    *,
    parity: float,
    segments: pd.DataFrame,
    delta: float,
    seed: int,
    looks: int,
    warn_only: Sequence[str] = (),
    earlier: Sequence[Earlier] = (),
    watched: Watched = UNWATCHED,
    basis: Basis | None = None,
) -> Evaluation:
    """Compare the candidate with the champion on the holdout customers of `month`, one row each, ordered by key.

    `segments` holds the same rows' segment columns; a customer whose value is unknown belongs to none of the column's
    groups. `parity` is what `export.parity` found on the same rows; for `looks` and what follows it see Facts. Raises
    MeasurementError as `metrics.measure` does.
    """
    labels = np.asarray(labels, dtype=bool)
    facts = Facts(
        month=month,
        candidate=candidate.measured(labels),
        champion=champion.measured(labels) if champion else None,
        delta=delta,
        interval=(
            auc_difference_interval(labels, candidate.probabilities, champion.probabilities, seed) if champion else None
        ),
        parity=parity,
        segments=segment_aucs(
            labels, candidate.probabilities, champion.probabilities if champion else None, segments, seed
        ),
        rows=len(labels),
        positives=int(labels.sum()),
        looks=looks,
        warn_only=tuple(warn_only),
        earlier=tuple(earlier),
        watched=watched,
        basis=basis,
    )
    answer = decide(facts, champion.version if champion else None)
    return Evaluation(**msgspec.structs.asdict(facts), **msgspec.structs.asdict(answer))


def segment_aucs(
    labels: np.ndarray, probabilities: np.ndarray, champions: np.ndarray | None, segments: pd.DataFrame, seed: int
) -> tuple[Segment, ...]:
    """Both versions' AUCs within every group of every segment column, by column and value, and how sure they differ."""
    groups = [
        (str(column), str(value), inside, _has_enough(labels[inside]))
        for column in segments.columns
        for value, inside in sorted(segments.groupby(column, observed=True).indices.items())
    ]
    level = 1 - 2 * LUCK / max(sum(enough for *_, enough in groups), 1)  # worse by luck: each group has its part
    found: list[Segment] = []
    for column, value, inside, enough in groups:
        churned, new, old = labels[inside], probabilities[inside], None if champions is None else champions[inside]
        rows, positives = len(churned), int(churned.sum())
        if not enough:
            found.append(Segment(column, value, rows, positives, None))
        elif old is None:
            found.append(Segment(column, value, rows, positives, auc(new, churned)))
        else:
            change = auc_difference_interval(churned, new, old, seed, level)
            found.append(Segment(column, value, rows, positives, auc(new, churned), auc(old, churned), change))
    return tuple(found)


def _has_enough(churned: np.ndarray) -> bool:
    return min(int(churned.sum()), int((~churned).sum())) >= MIN_PER_CLASS
