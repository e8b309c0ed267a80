"""Canaries: columns that carry the label on purpose, to see whether the gates stop what has learned from them.

Here: which there are, and planting one in a month's rows. Not here: training and asking the gates (`champion.audit`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churn_platform.bundle import Feature
from churn_platform.modelling.alone import rank

if TYPE_CHECKING:
    import pandas as pd

NEW = Feature("canary", "number", "A column that carries the label, planted by an audit.", nullable=True)
"""Where a canary is planted if no number is declared."""


@dataclass(frozen=True)
class Canary:
    """A leak as it happens to companies; `values` gives the column [n] by whether each customer churned, bool [n]."""

    name: str
    meaning: str
    values: Callable[[np.random.Generator, np.ndarray], np.ndarray]


CANARIES = (
    Canary(
        "plain",
        "a column that was filled after customers had left",
        lambda rng, churned: 4.0 * churned + rng.normal(size=len(churned)),
    ),
    Canary(
        "faint",
        "a column that was touched by leaving, among much else",
        lambda rng, churned: 1.2 * churned + rng.normal(size=len(churned)),
    ),
    Canary(
        "gaps",
        "a column that is filled for most who left and hardly anybody else",
        lambda rng, churned: np.where(rng.random(len(churned)) < np.where(churned, 0.6, 0.02), 1.0, np.nan),
    ),
)
"""The means of `plain`, for who left and who stayed, are 4 standard deviations apart: an AUC of 0.998 by itself. Those
of `faint` are 1.2 apart: 0.80 (the normal distribution at their distance divided by the square root of 2)."""


def perch(schema: tuple[Feature, ...], frame: pd.DataFrame, labels: np.ndarray) -> Feature:
    """The number that tells least about who left, to plant a canary in; NEW where no number tells anything."""
    ranks = {f: rank(frame[f.name], f.kind, labels) for f in schema if f.kind == "number" and f.name in frame}
    known = {feature: found.auc for feature, found in ranks.items() if found is not None}
    return min(known, key=lambda feature: (known[feature], feature.name), default=NEW)


def drawn(canary: Canary, churned: pd.Series, seed: int) -> pd.Series:
    """The canary's value for each customer, by key; `churned` says by key who did."""
    import pandas as pd

    ordered = churned.sort_index()
    values = canary.values(np.random.default_rng(seed), ordered.to_numpy(dtype=bool))
    return pd.Series(values, index=ordered.index, dtype="float64")
