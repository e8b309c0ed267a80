"""Worth: what a backtest's models were worth in a month, and over all of them.

Here: the figures of one ranking of customers, and their means. Not here: living through the months (`backtest`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import msgspec
import numpy as np

from churn_platform.modelling.metrics import auc, lift

TOP = 0.1
"""The share of customers whom somebody would call."""


class Worth(msgspec.Struct, frozen=True):
    """A ranking of a month's holdout customers. All None where there was no model, or nobody or everybody churned.

    `lift` is the churn share among the riskiest tenth over everyone's; `fees` are the monthly fees of those among them
    who churned, None where the company declares no fee.
    """

    auc: float | None = None
    lift: float | None = None
    fees: float | None = None


class BacktestedMonth(msgspec.Struct, frozen=True):
    """A month: why versions were trained in it, what has failed, and what the models were worth that served it.

    `version` served the month when it was delivered; one that was promoted later in it serves the next. Its labels
    counted from the day `labels_from` on. `customers` are the holdout customers whose labels are known by now, 0 where
    none is.
    """

    month: str
    drift_share: float | None
    causes: tuple[str, ...]
    faults: tuple[str, ...]
    labels_from: str
    promotions: int
    version: int | None
    customers: int
    platform: Worth
    never: Worth
    each_month: Worth


class Comparison(msgspec.Struct, frozen=True):
    """The means of AUC and lift, the sum of fees, over the `compared` months; the other counts are of all months."""

    compared: int
    months: int
    retrainings: int
    promotions: int
    platform: Worth
    never: Worth
    each_month: Worth


def worth(scores: np.ndarray, labels: np.ndarray, fees: np.ndarray | None) -> Worth:
    """What scores [n] were worth for customers with these labels [n] (bool) and fees [n], in the company's currency."""
    area = auc(scores, labels)
    if area is None:
        return Worth()
    riskiest = np.argsort(-scores, kind="stable")[: math.ceil(TOP * len(scores))]
    found = None if fees is None else round(float(np.nansum(fees[riskiest][labels[riskiest]])), 2)
    return Worth(area, lift(labels, scores, TOP), found)


def summary(months: Sequence[BacktestedMonth]) -> Comparison | None:
    """What the months add up to; None if the three cannot be compared in any."""
    compared = [m for m in months if None not in (m.platform.auc, m.never.auc, m.each_month.auc)]
    if not compared:
        return None
    return Comparison(
        len(compared),
        len(months),
        sum(len(month.causes) for month in months),
        sum(month.promotions for month in months),
        _together([month.platform for month in compared]),
        _together([month.never for month in compared]),
        _together([month.each_month for month in compared]),
    )


def _together(found: Sequence[Worth]) -> Worth:
    fees = [worth.fees for worth in found if worth.fees is not None]
    return Worth(
        fmean(worth.auc or 0 for worth in found), fmean(worth.lift or 0 for worth in found), sum(fees) if fees else None
    )
