"""Access: which callers may ask for what.

Here: the three tokens and what each opens. Not here: making the admin's (`churn_platform.web.token`), how many calls
there may be (`limits`), or which names serving is asked by (`hosts`).

What serving answers is about people, so from another address it is for those alone who show a token. What is open to
everyone is listed, and nothing else is: a path that is written in an unusual way is not on the list.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from churn_platform.settings import Settings
from churn_platform.web.callers import is_local, token_of
from churn_platform.web.token import api_token
from serving.limits import Limit, client_address
from serving.problems import ProblemError

OPEN = frozenset({"/", "/health", "/ready", "/model", "/metrics", "/docs", "/docs/", "/docs/openapi.json"})
"""The paths that say nothing about people."""

SCHEME = "token"
"""What the API's description calls the token."""
READING: list[dict[str, list[str]]] = [{}, {SCHEME: []}]
CHANGING: list[dict[str, list[str]]] = [{SCHEME: []}]
"""Who needs it, as that description has it: for reading only other machines, for changes everyone."""


class Right(IntEnum):
    """What a token opens, besides what the ones before it open."""

    READ = 1
    """Predictions, features and reports."""
    CONTACT = 2
    """What those need who contact customers."""
    ADMIN = 3
    """What changes something."""


class Access:
    """The callers of one service. `wrong` limits the calls of an address that shows no right token."""

    def __init__(self, tokens: Mapping[Right, str], wrong: Limit) -> None:
        self._tokens = [(right, token.encode()) for right, token in tokens.items() if token]
        self._wrong = wrong

    def check(self, scope: Any) -> None:
        """Let pass what is open, what comes from this machine, and who may at least read.

        Raises ProblemError 401, and 429 for too many wrong tokens.
        """
        if scope["path"] in OPEN or is_local(scope.get("client"), scope["headers"]):
            return
        shown = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        if not self._opens(shown, Right.READ):
            if shown:
                self._wrong.check(client_address(scope))
            raise ProblemError(
                401,
                "unauthorized",
                "From another machine, send a token as `Authorization: Bearer ...` or as the password of any user.",
                {"WWW-Authenticate": 'Bearer, Basic realm="churn", charset="UTF-8"'},
            )

    def asking(self, right: Right) -> Guard:
        """The guard that asks everyone for this right. Raises ProblemError 401, and 429 for too many wrong calls.

        A browser sends by itself what somebody has logged in with, for pages of others too; so that is not enough.
        """

        def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
            shown = connection.headers.get("authorization", "")
            if not (shown.lower().startswith("bearer ") and self._opens(shown, right)):
                self._wrong.check(client_address(connection.scope))
                raise ProblemError(
                    401,
                    "unauthorized",
                    "Send the token as `Authorization: Bearer ...`.",
                    {"WWW-Authenticate": "Bearer"},
                )

        return guard

    def _opens(self, authorization: str, right: Right) -> bool:
        """Whether the header's token opens what this right does. Each is compared, in constant time."""
        shown = token_of(authorization)
        opened = [one for one, token in self._tokens if shown is not None and hmac.compare_digest(shown, token)]
        return max(opened, default=0) >= right


def access_of(settings: Settings) -> Access:
    """The callers that the settings know. Raises TokenError."""
    tokens = {
        Right.READ: settings.read_token.get_secret_value(),
        Right.CONTACT: settings.contact_token.get_secret_value(),
        Right.ADMIN: api_token(settings),
    }
    return Access(tokens, Limit(settings.serving_change_limit, 60))
