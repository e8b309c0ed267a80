"""Shapley: each feature's part in a customer's log-odds, parts that add up to the score.

Here: the parts, what they are measured against, and that they add up. Not here: the walks (`walks`, `tabulated`), or a
part in words (`telling`).

A part is the feature's Shapley value of the served log-odds: what it changes when it takes the customer's value, as a
mean over the orders in which features do so, and over the background customers whose values they have until then. The
orders are sampled (Strumbelj and Kononenko, Knowledge and Information Systems 41, 2014), in pairs of one and the same
backwards (Mitchell, Cooper, Frank and Holmes, Journal of Machine Learning Research 23, 2022). A walk from a background
customer to the customer adds up to the difference of their log-odds, whatever its order, so the parts add up exactly:
sampling decides only who gets what.

Limits: of two features that say the same thing, each gets a share; and a walk passes customers that cannot exist.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from churn_platform.bundle import Bundle, Encoder
from churn_platform.reasons import walks
from churn_platform.reasons.tabulated import CERTAIN, Tabulated

AGREES = 2e-6
"""How far the members' probability of a customer may be from the served one; further off, ONNX explains the customer.

What rounding to float32 costs the ONNX model was below 3e-7.
"""


PAIRS = 8
"""How many pairs of orders each background customer gets where walks are tabulated; one where ONNX scores them.

With 8, the strongest three parts were within about 0.02 of a reference, with one within 0.036; the ONNX model would
take 25 s of processor for 1,000 customers (`python -m benchmarks.reasons`).
"""


class Contributions(NamedTuple):
    """Customers' log-odds [n], taken apart: `base`, the background's mean, plus the sum of `parts` [n, features]."""

    base: float
    log_odds: np.ndarray
    parts: np.ndarray


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """The log-odds of served probabilities, float64, at most CERTAIN away from 0."""
    exact = probabilities.astype(np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(np.clip(np.log(exact / (1 - exact)), -CERTAIN, CERTAIN))


def background(bundle: Bundle) -> np.ndarray:
    """Whom reasons compare a customer with, encoded: the bundle's background.

    In bundles of earlier versions it is the golden rows without the one that has no known feature. They were chosen to
    cover categories and unknown values, so rare ones weigh more than among customers.
    """
    encode = Encoder(bundle.schema)
    golden = (row.features for row in bundle.golden if any(value is not None for value in row.features.values()))
    return np.array([encode(features) for features in bundle.background or golden], dtype=np.float32)


def contributions(bundle: Bundle, encoded: np.ndarray) -> Contributions:
    """Each feature's part in the log-odds of each encoded customer [n, features].

    The same customer gets the same parts, whoever else is explained.
    """
    encoded = np.asarray(encoded, dtype=np.float32)
    compared = background(bundle)
    served = bundle.score(encoded)
    base = float(log_odds(bundle.score(compared)).mean())
    parts = np.zeros(encoded.shape)
    left = np.ones(len(encoded), dtype=bool)
    if bundle.members:
        tabulated = _tabulated(bundle)
        left = np.abs(1 / (1 + np.exp(-tabulated.log_odds(encoded))) - served) > AGREES
        parts[~left] = tabulated.contributions(encoded[~left])
    if left.any():
        orders = _orders(bundle, len(compared))
        parts[left] = walks.contributions(lambda rows: log_odds(bundle.score(rows)), encoded[left], compared, orders)
    found = log_odds(served)
    return Contributions(base, found, _adding_up(parts, found - base))


def _orders(bundle: Bundle, pairs: int) -> np.ndarray:
    return walks.orders(tuple(feature.name for feature in bundle.schema), pairs)


@lru_cache(maxsize=2)  # serving asks for one customer after the other
def _tabulated(bundle: Bundle) -> Tabulated:
    compared = background(bundle)
    return Tabulated(bundle.members, compared, _orders(bundle, PAIRS * len(compared)))


def _adding_up(parts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The parts with what rounding has left over, each in proportion, so that they sum to what is wanted [n]."""
    sizes = np.abs(parts)
    total = sizes.sum(axis=1, keepdims=True)
    shares = np.divide(sizes, total, where=total > 0, out=np.zeros_like(sizes))
    return np.asarray(parts + (wanted - parts.sum(axis=1))[:, None] * shares)
