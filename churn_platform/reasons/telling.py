"""Telling: the parts that matter most to a customer, as reasons people can read.

Here: which parts are told, and how several are put together. Not here: the parts (`shapley`), or one in words
(`words`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from churn_platform.bundle import Bundle, Value, decode
from churn_platform.reasons.shapley import Contributions, contributions
from churn_platform.reasons.words import phrase, sentence

TOP = 3
"""How many reasons a customer gets in the scores."""

PLACES = 6
"""The decimal places of a part that count: equal ones are told in the schema's order, on every machine."""


class Reason(Struct, frozen=True):
    """One feature's part in a customer's risk; `contribution` is in log-odds, above 0 where it raises the risk."""

    feature: str
    value: Value
    contribution: float
    words: str
    sentence: str


def reasons(bundle: Bundle, encoded: np.ndarray, top: int = TOP) -> list[tuple[Reason, ...]]:
    """For each encoded customer [n, features], the `top` features that move the risk most, the strongest first.

    Features without any effect are not reasons, so there may be fewer than `top`.
    """
    return told(bundle, encoded, contributions(bundle, encoded), top)


def told(bundle: Bundle, encoded: np.ndarray, found: Contributions, top: int) -> list[tuple[Reason, ...]]:
    """The same, of parts that are known."""
    explained = []
    for row, part in zip(encoded, found.parts.round(PLACES), strict=True):
        values = decode(bundle.schema, row)
        strongest = [int(j) for j in np.argsort(-np.abs(part), kind="stable")[:top] if part[j] != 0]
        explained.append(tuple(_reason(bundle, j, values, float(part[j])) for j in strongest))
    return explained


def in_short(reasons: Sequence[Reason]) -> str:
    """Reasons on one line, such as `Raises the risk: month-to-month contract; 3 tickets. Lowers it: family.`."""
    ups = "; ".join(reason.words for reason in reasons if reason.contribution > 0)
    downs = "; ".join(reason.words for reason in reasons if reason.contribution < 0)
    if not downs:
        return f"Raises the risk: {ups}." if ups else ""
    return f"Raises the risk: {ups}. Lowers it: {downs}." if ups else f"Lowers the risk: {downs}."


def _reason(bundle: Bundle, position: int, values: dict[str, Value], part: float) -> Reason:
    feature = bundle.schema[position]
    value = values[feature.name]
    return Reason(feature.name, value, part, phrase(feature, value), sentence(feature, value, part))
