"""Comparison: how sure the difference between two models' AUCs is.

Here: the paired bootstrap, and how small a difference it can show. Not here: what the interval decides (`gate`).
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from churn_platform.modelling.metrics import checked

_CELLS = 250_000
"""How many customers' counts are worked on at once: few enough for the processor's cache, which halves the time."""


def auc_difference_interval(
    labels: np.ndarray, new: np.ndarray, old: np.ndarray, seed: int, level: float = 0.95, draws: int = 2000
) -> tuple[float, float]:
    """The percentile interval of AUC(new) - AUC(old), by a paired bootstrap over customers.

    `labels`, `new` and `old` hold one value per customer, in the same order. Each draw takes as many customers as there
    are, with replacement, and the same ones for both models, which cancels out the luck that both share (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). Draws that lack a class have no AUC and do not
    count; they are rare with more than a dozen customers of each class. Raises MeasurementError as `metrics.measure`
    does.
    """
    labels, new = checked(labels, new)
    _, old = checked(labels, old)
    rng = np.random.default_rng(seed)
    size, differences = len(labels), []
    at_once = max(1, _CELLS // size)
    for first in range(0, draws, at_once):
        counts = _resamples(rng, min(at_once, draws - first), size)
        differences.append(weighted_aucs(labels, new, counts) - weighted_aucs(labels, old, counts))
    low, high = np.nanquantile(np.concatenate(differences), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def smallest_gain(interval: tuple[float, float], level: float = 0.95, power: float = 0.8) -> float:
    """The smallest true difference that as many rows show: whose interval lies above zero in `power` of such samples.

    It is z((1 + level) / 2) + z(power) standard errors of the difference, 2.8 by default (Cohen, Statistical Power
    Analysis for the Behavioral Sciences, 1988, chapter 2; Gelman and Hill, Data Analysis Using Regression, 2007,
    section 20.2). The standard error is the width of `interval`, which is of this level, over 2 z((1 + level) / 2).
    """
    certain, low, high = NormalDist().inv_cdf((1 + level) / 2), *interval
    return (certain + NormalDist().inv_cdf(power)) * (high - low) / (2 * certain)


def weighted_aucs(labels: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The AUCs [draws] of samples that hold customer i `counts[draw, i]` times; NaN where one has a single class.

    An AUC is the share of pairs of a churned and a staying customer that the scores put in the right order; a tie
    counts half (Mann and Whitney). Once customers are sorted by score, and equal scores grouped, each draw is a
    cumulative sum.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    sorted_counts = counts[:, order].astype(np.float64)
    churned = np.add.reduceat(sorted_counts * labels[order], starts, axis=1)
    stayed = np.add.reduceat(sorted_counts * ~labels[order], starts, axis=1)
    right = (churned * (np.cumsum(stayed, axis=1) - stayed / 2)).sum(axis=1)
    pairs = churned.sum(axis=1) * stayed.sum(axis=1)
    aucs = np.full(len(counts), np.nan)
    np.divide(right, pairs, out=aucs, where=pairs > 0)
    return aucs


def _resamples(rng: np.random.Generator, draws: int, size: int) -> np.ndarray:
    """How often each draw with replacement takes each customer: [draws, size]; each row sums to size."""
    taken = rng.integers(size, size=(draws, size)) + np.arange(draws)[:, None] * size
    return np.bincount(taken.ravel(), minlength=draws * size).reshape(draws, size)
