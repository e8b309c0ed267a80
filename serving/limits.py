"""Limits: how many calls there may be, per client address.

Here: counting them. Not here: what a connection may take before its request is known (`connections`), or who may ask
(`access`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from serving.problems import ProblemError


def client_address(scope: Any) -> str:
    """The address that a request came from."""
    client = scope.get("client")
    return client[0] if client else ""


class Limit:
    """At most `calls` per client address in each window of `seconds`; 0 for no limit. Each window counts from zero."""

    def __init__(self, calls: int, seconds: int, clock: Callable[[], float] = time.time) -> None:
        self.calls = calls
        self.seconds = seconds
        self._clock = clock
        self._window = 0
        self._counts: Counter[str] = Counter()

    def check(self, client: str) -> None:
        """Count one call. Raises ProblemError 429."""
        if not self.calls:
            return
        now = self._clock()
        window = int(now // self.seconds)
        if window != self._window:
            self._window = window
            self._counts.clear()
        self._counts[client] += 1
        if self._counts[client] > self.calls:
            left = self.seconds - int(now % self.seconds)
            per = "second" if self.seconds == 1 else f"{self.seconds} seconds"
            raise ProblemError(
                429,
                "too_many_requests",
                f"At most {self.calls} calls per {per} from one address.",
                {"Retry-After": str(left)},
            )


def limited(limit: Limit) -> Guard:
    """The guard that holds a limit. Raises ProblemError 429."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        limit.check(client_address(connection.scope))

    return guard
