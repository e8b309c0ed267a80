"""Security: the bearer token of the routes that change something, and limits per client address.

Here: comparing the token, counting calls. Not here: making it (`churn_platform.web.token`), or which routes ask for
it (`routes`).
"""

from __future__ import annotations

import hmac
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from serving.problems import ProblemError

SCHEME = "token"


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


def bearer(token: str, wrong: Limit) -> Guard:
    """The guard that lets calls with this token pass. Raises ProblemError 401, and 429 for too many `wrong` ones."""
    expected = f"Bearer {token}".encode()

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        given = connection.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, expected):
            wrong.check(client_address(connection.scope))
            raise ProblemError(
                401, "unauthorized", "Send the token as `Authorization: Bearer ...`.", {"WWW-Authenticate": "Bearer"}
            )

    return guard


def limited(limit: Limit) -> Guard:
    """The guard that holds a limit. Raises ProblemError 429."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        limit.check(client_address(connection.scope))

    return guard
