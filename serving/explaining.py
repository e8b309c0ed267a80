"""Explaining: a customer's reasons, without holding up anybody's prediction.

Here: working them out beside the event loop, one customer at a time, how many may wait, and their message. Not here:
the reasons (`churn_platform.reasons`), or whose they are (`predictor`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import msgspec
import numpy as np

from churn_platform.bundle import Bundle, Value, encode
from churn_platform.reasons.shapley import contributions
from churn_platform.reasons.telling import PLACES, told
from serving.messages import ComparedWith, ExplainedFeature
from serving.problems import ProblemError

MOST_WAITING = 16
"""How many customers may wait to be explained, from all callers together; of some models, one takes long."""


class Explained(NamedTuple):
    """What an `Explanation` says besides the prediction."""

    log_odds: float
    base_log_odds: float
    compared_with: ComparedWith
    reasons: tuple[ExplainedFeature, ...]


class Explainer:
    """Explains one customer at a time: the others wait, and predictions do not.

    All are explained by one thread. What nobody waits for any more is not begun, but what has begun is ended.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "explaining")
        self._asked: list[Future[Explained]] = []

    def require_room(self) -> None:
        """Raise ProblemError 503 where too many wait. `explain` is to be asked right after it."""
        self._asked = [asked for asked in self._asked if not asked.done()]
        if len(self._asked) > MOST_WAITING:
            raise too_many_waiting()

    async def explain(self, bundle: Bundle, used: Mapping[str, Value]) -> Explained:
        """Why the bundle gives a customer with these features its probability."""
        asked = self._thread.submit(_explained, bundle, used)
        self._asked.append(asked)
        return await asyncio.wrap_future(asked)

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def too_many_waiting() -> ProblemError:
    """503: the queue is full."""
    detail = f"More than {MOST_WAITING} customers wait to be explained: ask again in a few seconds."
    return ProblemError(503, "too_many_waiting", detail, {"Retry-After": "2"})


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
