"""The edge: the outermost layer, which sees every request, including those that no route answers.

Here: the hosts that may be asked for, who may ask, the limit per client address, the headers that every answer
has, and the measurement of each. The limit costs a microsecond, so every prediction can pass through it; Litestar's
own, which keeps its counts in a store, cost 135, more than a whole prediction.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.response.base import ASGIResponse
from litestar.serialization import encode_json
from litestar.types import Message, Receive, Scope, Send

from serving.access import Access
from serving.docs import DOCS_POLICY
from serving.hosts import Hosts
from serving.limits import Limit, client_address
from serving.metrics import Metrics
from serving.problems import MEDIA_TYPE, ProblemError

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_NOTHING = b"default-src 'none'; frame-ancestors 'none'"
# In a sandbox, Evidently's scripts belong to no origin: they reach nothing here. Its pages of earlier versions bring
# them along; those of this one say themselves, more strictly, what they may do.
_REPORTS = (
    b"sandbox allow-scripts allow-popups; default-src 'none'; script-src 'self' 'unsafe-inline';"
    b" style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'"
)

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """The ASGI app that the server runs; `app` is the Litestar app inside."""

    def __init__(self, app: Litestar, hosts: Hosts, access: Access, limit: Limit, metrics: Metrics) -> None:
        self.app = app
        self._hosts = hosts
        self._limit = limit
        self.metrics = metrics
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        status = 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_HEADERS, *_by_path(scope["path"])]
            await send(message)

        try:
            self._limit.check(client_address(scope))
            if not self._hosts.know(scope["headers"]):
                raise ProblemError(
                    403, "unknown_host", "Serving is not asked by this name; CHURN_ALLOWED_HOSTS names others."
                )
            if scope["method"] not in _READING and not self._hosts.know_page(scope["headers"]):
                raise ProblemError(
                    403, "foreign_page", "A page of another origin asks; CHURN_ALLOWED_HOSTS names others."
                )
            self._access.check(scope)
            await self.app(scope, receive, observed)
        except ProblemError as problem:
            await _answer(problem)(scope, receive, observed)
        finally:
            # Labels come from the routes alone: a client must not be able to make new ones.
            route = str(scope.get("path_template") or "unmatched")
            method = str(scope["method"]) if scope["method"] in _METHODS else "other"
            self.metrics.answered(method, route, status, perf_counter() - started)


def _by_path(path: str) -> Iterator[tuple[bytes, bytes]]:
    """What a page of this path may do in a browser, and which pages may load it.

    In its sandbox a report has no origin: it could not load the script that draws it, were that not for everyone.
    """
    reports = path.startswith("/reports/")
    policy = _REPORTS if reports else DOCS_POLICY if path in ("/docs", "/docs/") else _NOTHING
    yield b"content-security-policy", policy
    everyone = reports and path.endswith(".js")
    yield b"cross-origin-resource-policy", b"cross-origin" if everyone else b"same-origin"


def _answer(problem: ProblemError) -> ASGIResponse:
    return ASGIResponse(
        body=encode_json(problem.details),
        status_code=problem.details.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )
