"""Training: one model from labelled feature rows, and how far back it should look.

Here: choosing the window of months by validation on customers that were left out, the decision threshold, and the
final fit. Not here: which customers may be trained on at all (the holdout is taken out beforehand), what the estimators
are (`estimators`), or the comparison with the champion (`evaluation`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from churn_platform.bundle import Feature
from churn_platform.faults import Fault
from churn_platform.files import sha256
from churn_platform.modelling import estimators
from churn_platform.modelling.encoding import encode_frame
from churn_platform.months import Month
from churn_platform.settings import Estimator

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

WINDOWS = (1, 3, 6, 12)
FOLDS = 4
TIE_MARGIN = 0.005
"""A window whose AUC is at most this much below the best counts as equally good: half the gate's default delta.

Among simulated months of one pattern with 5,000 customers, the difference between two windows had a standard deviation
of 0.001 to 0.006; a change of pattern cost the windows that span it 0.007 to 0.047.
"""


class TrainingError(Fault):
    """Rows that no model can be trained on or validated with; the message counts them and says what is needed."""

    lasting = True


class Names(Protocol):
    """Whatever says which column holds the customers' keys, and which the label: a contract, or a recipe."""

    @property
    def key(self) -> str:
        """The column that says which customer a row is about."""

    @property
    def label(self) -> str:
        """The column that says whether the customer churned."""


@dataclass(frozen=True)
class Training:
    """A trained model and how it was made.

    `scores` maps each window that was tried, in months, to its out-of-fold AUC on the newest month; `months` are
    those of the chosen window that have rows, oldest first; `threshold` is the probability from which a customer counts
    as churning; `rows` and `customers` count what the final fit saw; `seconds` is the time that everything took.
    """

    pipeline: Pipeline
    estimator: Estimator
    months: tuple[str, ...]
    window: int
    scores: dict[int, float]
    threshold: float
    rows: int
    customers: int
    seconds: float

    @property
    def auc(self) -> float:
        """The chosen window's out-of-fold AUC on the newest month."""
        return self.scores[self.window]


def train(
    rows: pd.DataFrame,
    names: Names,
    schema: Sequence[Feature],
    estimator: Estimator,
    seed: int,
    windows: Sequence[int] = WINDOWS,
) -> Training:
    """Train on `rows`: the key, `month`, the label and features, a row per customer and month, in any order.

    For each window that the rows' months reach, each fold's customers are scored in the newest month by a model that
    was trained on the window's rows of the other folds' customers, so no customer is scored by a model that has seen
    them in any month. The longest window within TIE_MARGIN of the best wins. Validation favours the shortest one, since
    it looks at the very month that this window consists of; but the model will score months that nobody has seen, and
    for those more months are the safer basis. Raises TrainingError.
    """
    began = time.perf_counter()
    rows = _ordered(rows, names)
    month = rows["month"].to_numpy(dtype=object)
    labels = rows[names.label].to_numpy(dtype=bool)
    fold = folds(rows[names.key])
    encoded = encode_frame(schema, rows)

    reach = reachable(sorted(set(month)), windows)
    newest = month == month[-1]
    _check_folds(month[-1], labels[newest], fold[newest])
    out_of_fold: dict[int, np.ndarray] = {}
    for window, months in reach.items():
        within = np.isin(month, months)
        probabilities = np.empty(len(rows))
        for k in np.unique(fold[newest]):
            pipeline = estimators.build(estimator, schema, seed)
            train_on, validate_on = within & (fold != k), newest & (fold == k)
            estimators.fit(pipeline, encoded[train_on], labels[train_on])
            probabilities[validate_on] = estimators.predict(pipeline, encoded[validate_on])
        out_of_fold[window] = probabilities[newest]
    scores = {window: _mean_auc(labels[newest], p, fold[newest]) for window, p in out_of_fold.items()}

    window = max(w for w, auc in scores.items() if auc >= max(scores.values()) - TIE_MARGIN)
    within = np.isin(month, reach[window])
    pipeline = estimators.build(estimator, schema, seed)
    estimators.fit(pipeline, encoded[within], labels[within])
    return Training(
        pipeline=pipeline,
        estimator=estimator,
        months=reach[window],
        window=window,
        scores=scores,
        threshold=best_threshold(labels[newest], out_of_fold[window]),
        rows=int(within.sum()),
        customers=int(rows[names.key][within].nunique()),
        seconds=time.perf_counter() - began,
    )


def folds(customers: Sequence[str] | pd.Series) -> np.ndarray:
    """Each customer's fold, from 0 to FOLDS - 1, whoever the others are and in whatever order.

    The first hexadecimal digit of the same hash says who is a holdout customer, so the digits after it are used.
    """
    return np.array([int(sha256(c.encode())[1:9], 16) % FOLDS for c in customers])


def reachable(months: Sequence[str], windows: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The windows worth trying, shortest first, each with those of `months`, oldest first, that it covers.

    A window counts calendar months back from the newest; one that adds no month to a shorter one is left out.
    """
    newest = Month.parse(months[-1])
    reach: dict[int, tuple[str, ...]] = {}
    for window in sorted(windows):
        covered = tuple(month for month in months if newest.since(Month.parse(month)) < window)
        if covered not in reach.values():
            reach[window] = covered
    return reach


def best_threshold(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The lowest threshold with the best F1, where customers whose probability reaches it are called churning."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(labels, probabilities)
    # F1 is 2PR / (P + R); the curve's last point has no threshold. Without a true positive, F1 is 0.
    f1 = 2 * precision[:-1] * recall[:-1] / np.maximum(precision[:-1] + recall[:-1], np.finfo(float).tiny)
    return float(thresholds[np.argmax(f1)])


def _ordered(rows: pd.DataFrame, names: Names) -> pd.DataFrame:
    """The rows by month and customer, so that their order in the input decides nothing."""
    if rows.empty:
        raise TrainingError("no training rows: land a month with labels first")
    if (unlabelled := int(rows[names.label].isna().sum())) > 0:
        raise TrainingError(f"{unlabelled} training rows have no {names.label}: train only on matured months")
    if (repeated := int(rows.duplicated(["month", names.key]).sum())) > 0:
        raise TrainingError(f"{repeated} training rows repeat a customer of the same month: keep one row for each")
    return rows.sort_values(["month", names.key], ignore_index=True)


def _check_folds(month: str, labels: np.ndarray, fold: np.ndarray) -> None:
    """With both classes in two folds, each fold's model has seen both, and some fold can measure an AUC."""
    if sum(len(np.unique(labels[fold == k])) == 2 for k in range(FOLDS)) < 2:
        raise TrainingError(
            f"month {month} has {int(labels.sum())} churned of {len(labels)} training customers: "
            f"too few of a class to validate on; train on a month with more labels"
        )


def _mean_auc(labels: np.ndarray, probabilities: np.ndarray, fold: np.ndarray) -> float:
    """The mean AUC of the folds with both classes: scores of different folds' models are never ranked together."""
    from sklearn.metrics import roc_auc_score

    both = [k for k in range(FOLDS) if len(np.unique(labels[fold == k])) == 2]
    return float(np.mean([roc_auc_score(labels[fold == k], probabilities[fold == k]) for k in both]))
