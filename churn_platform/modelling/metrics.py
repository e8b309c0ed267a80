"""Metrics: how good churn probabilities are, once the labels are known.

Here: the figures that a version and a month are judged by. Not here: comparing two models (`comparison`), or
deciding by the figures (`gate`).
"""

from __future__ import annotations

import math

import numpy as np

from churn_platform.faults import Fault
from churn_platform.shown import counted

TOP_SHARE = 0.1


class MeasurementError(Fault):
    """Labels that nothing can be measured against; the message counts them and says what is needed."""

    lasting = True


def measure(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> dict[str, float]:
    """The figures of probabilities [n] against labels [n], each a plain float.

    `auc` (area under the ROC curve), `average_precision`, `f1` and `accuracy` (where everyone whose probability
    reaches `threshold` is called churning), `brier` and `log_loss` (calibration; lower is better) as scikit-learn
    defines them, `auc_error` (see there) and `lift_at_10` (see `lift`). Raises MeasurementError if all labels are of
    one class.
    """
    from sklearn.metrics import (
        accuracy_score,
        average_precision_score,
        brier_score_loss,
        f1_score,
        log_loss,
        roc_auc_score,
    )

    labels, probabilities = checked(labels, probabilities)
    called = probabilities >= threshold
    return {
        "auc": float(roc_auc_score(labels, probabilities)),
        "auc_error": auc_error(probabilities, labels),
        "average_precision": float(average_precision_score(labels, probabilities)),
        "f1": float(f1_score(labels, called, zero_division=0)),
        "accuracy": float(accuracy_score(labels, called)),
        "brier": float(brier_score_loss(labels, probabilities)),
        "log_loss": float(log_loss(labels, probabilities, labels=[False, True])),
        "lift_at_10": lift(labels, probabilities, TOP_SHARE),
    }


def auc(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """The area under the ROC curve of float [n] scores against bool [n] labels; None if all labels are alike.

    It follows from the rank sum of the positive ones (Mann and Whitney); tied scores share their mean rank.
    """
    positive = int(labels.sum())
    negative = labels.size - positive
    if not positive or not negative:
        return None
    _, position, ties = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[position]
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def auc_error(scores: np.ndarray, labels: np.ndarray) -> float:
    """The standard error of `auc` with some customers of each class (DeLong et al., Biometrics 44, 1988).

    Each churned customer's share of stayed ones below, and each stayed one's of churned ones above, ties counting half,
    have the AUC as their mean; both means vary with who happens to be there.
    """
    churned, stayed = np.sort(scores[labels]), np.sort(scores[~labels])
    below = (np.searchsorted(stayed, churned, "left") + np.searchsorted(stayed, churned, "right")) / 2 / len(stayed)
    above = 1 - (np.searchsorted(churned, stayed, "left") + np.searchsorted(churned, stayed, "right")) / 2 / len(
        churned
    )
    return float(np.sqrt(sum(part.var(ddof=1) / len(part) if len(part) > 1 else 1.0 for part in (below, above))))


def approximate_auc_error(auc: float, churned: int, stayed: int) -> float:
    """About the same where nothing but an AUC and so many customers are known (Hanley and McNeil, Radiology 143, 1982).

    It supposes that the scores of both classes are distributed exponentially.
    """
    both_above, both_below = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = (churned - 1) * (both_above - auc**2) + (stayed - 1) * (both_below - auc**2)
    return math.sqrt((auc * (1 - auc) + spread) / (churned * stayed))


def mean_errors(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> dict[str, float]:
    """The standard errors of those figures of `measure` that are a mean over customers [n], two at least, by name."""
    labels, probabilities = checked(labels, probabilities)
    likelihood = np.clip(np.where(labels, probabilities, 1 - probabilities), np.finfo(np.float64).eps, None)
    each = {
        "accuracy": (probabilities >= threshold) == labels,
        "brier": (probabilities - labels) ** 2,
        "log_loss": -np.log(likelihood),
    }
    return {name: float(values.std(ddof=1) / math.sqrt(len(labels))) for name, values in each.items()}


def lift(labels: np.ndarray, probabilities: np.ndarray, share: float) -> float:
    """The churn share among the `share` of customers with the highest scores, divided by everyone's churn share.

    The group is rounded up to whole customers. Those who tie at its border count with their mean churn: what a random
    order would give on average, so that the rows' order does not matter.
    """
    size = math.ceil(share * len(labels))
    border = np.sort(probabilities)[-size]
    above, tied = probabilities > border, probabilities == border
    churned = labels[above].sum() + (size - above.sum()) * labels[tied].mean()
    return float(churned / size / labels.mean())


def checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as booleans and probabilities as float64, fit to be measured.

    Raises MeasurementError if all labels are of one class. Probabilities that are unknown, or more or fewer than the
    labels, are a bug in the code that made them.
    """
    labels, probabilities = np.asarray(labels, dtype=bool), np.asarray(probabilities, dtype=np.float64)
    if labels.shape != probabilities.shape or labels.ndim != 1:
        raise ValueError(f"{labels.shape} labels do not match {probabilities.shape} probabilities")
    if (unknown := int(np.isnan(probabilities).sum())) > 0:
        raise ValueError(f"{unknown} of {len(probabilities)} probabilities are unknown (NaN)")
    if not 0 < labels.sum() < len(labels):
        raise MeasurementError(
            f"{int(labels.sum()):,} of {counted(len(labels), 'customer')} churned: measuring needs some who "
            "did and some who did not; check the month's labels"
        )
    return labels, probabilities
