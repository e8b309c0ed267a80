"""Alone: how well one feature by itself tells who left, so that one that tells too much is seen.

Here: the figure for one feature and one month. Not here: which rows those are (`champion.comparing`), or what a figure
means (`leaks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from churn_platform.bundle import FeatureKind
from churn_platform.modelling.metrics import auc, auc_error

if TYPE_CHECKING:
    import pandas as pd

GROUPS = 10
"""How many groups a number's values fall into; what is unknown is one more."""

_SHRINK = 10.0  # customers: a group of so many counts half as itself, half as everybody


class Rank(msgspec.Struct, frozen=True):
    """A feature's AUC by itself, and its standard error."""

    auc: float
    error: float


def rank(values: pd.Series, kind: FeatureKind, labels: np.ndarray) -> Rank | None:
    """How well these values [n] rank bool [n] labels by themselves; None where nobody can tell.

    That is so where all are alike or unknown, and where one half of the customers has a single class.
    Each value counts as the churn share of its group among the other half of the customers, so that any relation is
    found, in whichever direction, and none where there is none (target encoding, cross-fitted: Micci-Barreca, SIGKDD
    Explorations 3, 2001). The AUC is the mean of both halves'; every second row belongs to the second half.
    """
    if not len(labels):
        return None
    groups = _grouped(values, kind)
    halves = [np.arange(first, len(labels), 2) for first in (0, 1)]
    if groups.min() == groups.max() or any(len(np.unique(labels[half])) < 2 for half in halves):
        return None
    found = []
    for half, other in (halves, halves[::-1]):
        churned = np.bincount(groups[other], labels[other], groups.max() + 1)
        size = np.bincount(groups[other], minlength=groups.max() + 1)
        share = (churned + labels[other].mean() * _SHRINK) / (size + _SHRINK)
        scores = share[groups[half]]
        found.append((auc(scores, labels[half]) or 0.0, auc_error(scores, labels[half])))
    (first, first_error), (second, second_error) = found
    return Rank((first + second) / 2, float(np.hypot(first_error, second_error) / 2))


def _grouped(values: pd.Series, kind: FeatureKind) -> np.ndarray:
    """Each value's group, from 0; the unknown ones are a group of their own."""
    import pandas as pd

    if kind != "number":
        return pd.factorize(values.astype(object))[0] + 1
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    known = numbers[~np.isnan(numbers)]
    borders = np.unique(np.quantile(known, np.linspace(0, 1, GROUPS + 1)[1:-1])) if len(known) else np.array([])
    groups = np.searchsorted(borders, numbers, side="left")
    groups[np.isnan(numbers)] = len(borders) + 1
    return groups
