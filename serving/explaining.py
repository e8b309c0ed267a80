"""Explaining: a customer's reasons, without holding up anybody's prediction.

Here: working them out beside the event loop, one customer at a time, and their message. Not here: the reasons
(`churn_platform.reasons`), or whose they are (`predictor`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from churn_platform.bundle import Bundle, Value, encode
from churn_platform.reasons.shapley import contributions
from churn_platform.reasons.telling import PLACES, told
from serving.messages import ComparedWith, ExplainedFeature


class Explained(NamedTuple):
    """What an `Explanation` says besides the prediction."""

    log_odds: float
    base_log_odds: float
    compared_with: ComparedWith
    reasons: tuple[ExplainedFeature, ...]


class Explainer:
    """Explains one customer at a time: the others wait, and predictions do not."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)

    async def explain(self, bundle: Bundle, used: Mapping[str, Value]) -> Explained:
        """Why the bundle gives a customer with these features its probability."""
        async with self._turn:
            return await asyncio.to_thread(_explained, bundle, used)


def _explained(bundle: Bundle, used: Mapping[str, Value]) -> Explained:
    encoded = np.array([encode(bundle.schema, used)], dtype=np.float32)
    found = contributions(bundle, encoded)
    (reasons,) = told(bundle, encoded, found, len(bundle.schema))
    return Explained(
        round(float(found.log_odds[0]), PLACES),
        round(found.base, PLACES),
        "training customers" if bundle.background else "golden rows",
        tuple(ExplainedFeature(**msgspec.structs.asdict(reason)) for reason in reasons),
    )
