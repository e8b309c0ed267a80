"""Security: the bearer token of the routes that change something, and limits per client address.

Here: making and reading the token, comparing it, counting calls. Not here: which routes ask for it (`routes`).
"""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from churn_platform.faults import Fault
from churn_platform.settings import Settings
from serving.problems import ProblemError

SCHEME = "token"


class TokenError(Fault):
    """The token's file cannot be made or read; the message says which file and why, but nothing that is in it."""


def api_token(settings: Settings) -> str:
    """The bearer token: `CHURN_API_TOKEN`, or the one in `CHURN_HOME/api_token`, which is made when absent.

    Only its owner can read the file. Of several processes that make it at once one wins, and all use its token.
    Raises TokenError.
    """
    if token := settings.api_token.get_secret_value():
        return token
    path = settings.token_file
    try:
        if not path.exists():
            _make_token(path)
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise TokenError(
            f"the API's token {path} cannot be made or read: {reason}; correct that, or set CHURN_API_TOKEN"
        ) from error
    if not token:
        raise TokenError(f"the API's token {path} is empty: remove the file, or set CHURN_API_TOKEN")
    return token


def _make_token(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".api_token.", dir=path.parent)  # mode 600
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        os.link(temporary, path)  # fails where another process was faster; a rename would replace its token
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


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
