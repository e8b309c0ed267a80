"""Walks: the orders in which a customer's values take the place of a background customer's.

Here: those orders, and the walks as a bundle's ONNX model scores them, which works for every model. Not here: the same
walks by a bundle's members, much faster (`tabulated`), or what becomes of them (`shapley`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from churn_platform.files import sha256

_Scoring = Callable[[np.ndarray], np.ndarray]

_ROWS_AT_ONCE = 50_000


@lru_cache(maxsize=8)
def orders(names: tuple[str, ...], pairs: int) -> np.ndarray:
    """Pairs of orders of the features, intp [2 * pairs, features].

    The second of a pair is the first one backwards: what two features do only together is then shared equally between
    them, by the two walks already. Hashes of the names make them, so that everybody gets the same ones: a customer's
    reasons do not depend on who else is explained, nor on a library's random numbers.
    """
    found = []
    for pair in range(pairs):
        order = sorted(range(len(names)), key=lambda position: sha256(f"{pair}/{names[position]}".encode()))
        found += [order, order[::-1]]
    return np.array(found, dtype=np.intp).reshape(2 * pairs, len(names))


def background_of(walk: int, background: int) -> int:
    """Which of so many background customers the walk by an order of `orders` begins at: pairs take turns."""
    return walk // 2 % background


def contributions(log_odds: _Scoring, encoded: np.ndarray, background: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The mean over walks of what each feature changes, float64 [n, features], for encoded customers [n, features].

    `log_odds` scores encoded rows. Rows are scored only where a value differs from the background customer's.
    """
    parts = np.zeros(encoded.shape)
    begins = log_odds(background)
    at_once = max(1, _ROWS_AT_ONCE // max(1, encoded.shape[1]))
    for first in range(0, len(encoded), at_once):
        rows = encoded[first : first + at_once]
        for walk, steps in enumerate(order):
            start = background_of(walk, len(background))
            parts[first : first + at_once] += _changes(log_odds, rows, background[start], begins[start], steps)
    return parts / len(order)


def _changes(
    log_odds: _Scoring,
    rows: np.ndarray,
    start: np.ndarray,
    begin: float,
    steps: np.ndarray,
) -> np.ndarray:
    """What each feature changes on one walk from a background customer to each of the rows, [n, features]."""
    place = np.argsort(steps)
    differs = (rows != start) & ~(np.isnan(rows) & np.isnan(start))
    row, step = np.nonzero(differs[:, steps])  # by row, then by step
    changes = np.zeros(rows.shape)
    if len(row):
        reached = log_odds(np.where(place <= step[:, None], rows[row], start))
        before = np.roll(reached, 1)
        before[np.r_[True, row[1:] != row[:-1]]] = begin
        changes[row, steps[step]] = reached - before
    return changes
