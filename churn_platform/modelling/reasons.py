"""Reasons: why a customer is at risk, from a bundle alone.

Here: what each feature's value does to one customer's churn probability. Not here: how much a feature matters for
customers in general, or advice on what to do. numpy and the bundle are enough, so that serving can give reasons too.

The method is interventional occlusion: a feature's contribution is the customer's log-odds minus the mean log-odds when
that feature alone takes the values that it has among reference customers, while the others stay as they are (after
Robnik-Sikonja and Kononenko, IEEE Transactions on Knowledge and Data Engineering 20, 2008, "weight of evidence", who
take the log-odds of the mean probability instead). Its limits: it is not a Shapley value, so contributions do not add
up to the log-odds; of two features that say the same thing, each may hide behind the other; a replaced value may make a
customer that cannot exist; and it explains the model, not the world: changing the value need not change what the
customer does.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from churn_platform.bundle import Bundle, Encoder, Feature, Value
from churn_platform.modelling.encoding import decode

REFERENCES = 8
"""How many reference values stand for a feature's distribution."""

_ROWS_AT_ONCE = 50_000
_CERTAIN = 1e-6
"""Probabilities closer to 0 or 1 than this count as this close: float32 cannot tell their log-odds apart."""


class Reason(Struct, frozen=True):
    """One feature's part in a customer's risk; `contribution` is in log-odds, above 0 where it raises the risk."""

    feature: str
    value: Value
    contribution: float
    sentence: str


def golden_background(bundle: Bundle) -> np.ndarray:
    """The bundle's golden rows, encoded, without the one that has no known feature; used if there is nothing better.

    They were chosen to cover categories and unknown values, so rare ones weigh more here than among customers.
    """
    encode = Encoder(bundle.schema)
    known = [row.features for row in bundle.golden if any(value is not None for value in row.features.values())]
    return np.array([encode(features) for features in known], dtype=np.float32)


def reasons(
    bundle: Bundle, encoded: np.ndarray, background: np.ndarray | None = None, top: int = 3
) -> list[tuple[Reason, ...]]:
    """For each encoded customer [n, features], the `top` features that move the risk most, the strongest first.

    `background` holds reference customers, encoded, by default `golden_background`. Features without any effect are
    not reasons, so there may be fewer than `top`.
    """
    parts = contributions(bundle, encoded, golden_background(bundle) if background is None else background)
    explained = []
    for row, part in zip(encoded, parts, strict=True):
        values = decode(bundle.schema, row)
        strongest = [int(j) for j in np.argsort(-np.abs(part), kind="stable")[:top] if part[j] != 0]
        explained.append(tuple(_reason(bundle.schema[j], values[bundle.schema[j].name], part[j]) for j in strongest))
    return explained


def contributions(bundle: Bundle, encoded: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Every feature's contribution to every customer's log-odds, float64 [n, features]; see the module's docstring."""
    encoded = np.asarray(encoded, dtype=np.float32)
    feature, value, weight = _references(background)
    parts = np.empty(encoded.shape)
    at_once = max(1, _ROWS_AT_ONCE // len(feature))
    for first in range(0, len(encoded), at_once):
        rows = encoded[first : first + at_once]
        replaced = np.repeat(rows[:, None, :], len(feature), axis=1)  # [rows, replacements, features]
        replaced[:, np.arange(len(feature)), feature] = value
        without = _log_odds(bundle.score(replaced.reshape(-1, encoded.shape[1]))).reshape(len(rows), -1)
        parts[first : first + at_once] = _log_odds(bundle.score(rows))[:, None] - without @ weight
    return parts


def _references(background: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The replacements to try: their feature [r], value [r], and weight in each feature's mean [r, features].

    A feature is replaced by REFERENCES evenly spaced order statistics of the background; equal ones are tried once.
    """
    positions = ((np.arange(REFERENCES) + 0.5) / REFERENCES * len(background)).astype(int)
    features, values, weights = [], [], []
    for j, column in enumerate(np.sort(background, axis=0)[positions].T):
        distinct, counts = np.unique(column, return_counts=True)
        features += [j] * len(distinct)
        values += list(distinct)
        weights += list(counts / REFERENCES)
    weight = np.zeros((len(features), background.shape[1]))
    weight[np.arange(len(features)), features] = weights
    return np.array(features), np.array(values, dtype=np.float32), weight


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    clipped = np.clip(probabilities.astype(np.float64), _CERTAIN, 1 - _CERTAIN)
    return np.log(clipped / (1 - clipped))


def _reason(feature: Feature, value: Value, contribution: float) -> Reason:
    direction = "raises" if contribution > 0 else "lowers"
    sentence = f"{feature.meaning.rstrip('.')}: {_said(value)}. This {direction} the risk."
    return Reason(feature.name, value, float(contribution), sentence)


def _said(value: Value) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool) or value in ("True", "False"):  # text, where the column is a category
        return "yes" if value in (True, "True") else "no"
    return value if isinstance(value, str) else f"{value:.6g}"
