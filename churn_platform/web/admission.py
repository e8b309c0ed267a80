"""Admission: whose requests reach a web server that has no users of its own, such as Dagster's and MLflow's.

Here: the rules, as ASGI middleware around any server, and the headers that have browsers hold answers to them. Not
here: the servers behind it (`tracking`, `automation.webserver`), who sent a request (`callers`),
making the token (`token`), or which names a server has (`settings`).

Such servers are as safe as the browsers beside them: any page that somebody has open, and any value that a page shows
as an image, can have the browser ask 127.0.0.1. What a page can do is known (Fetch standard), and each rule takes away
one of its ways:

- The `Host` has to be a name of ours: a page whose own name leads here (DNS rebinding) is our own page to a browser.
- What a page of another origin asks for is refused, reading included. `Origin` says who asks, in its absence
  `Sec-Fetch-Site`, and in old browsers `Referer`. Programs send none of them. Another port is another origin.
  Following a link to here is not refused: it reads, and the other page does not see what.
- Reading changes nothing: no GraphQL by GET, which an image can ask for.
- A POST is JSON, which a page of another origin cannot send unless it is allowed to; forms and plain text it can.
- From any address but this machine's own the token is asked for. No header makes an address: one that says that a
  request was forwarded only takes away that it is from here.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from churn_platform.shown import inert
from churn_platform.web.callers import is_local, token_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_READING = frozenset({"GET", "HEAD"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")

_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' blob:",  # Dagster's own policy asks its inline scripts for a nonce
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' ws://{host} wss://{host}",  # older browsers do not count WebSockets as 'self'
        "worker-src 'self' blob:",
        "frame-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
_ALWAYS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"SAMEORIGIN",
    b"referrer-policy": b"same-origin",
}


class Refusal(NamedTuple):
    """Why a request is not let in: an HTTP status, a sentence, and headers that belong to the status."""

    status: int
    sentence: str
    headers: Headers


class _Asked:
    """The parts of a request that decide whether it is let in."""

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope.get("method", "")  # none is a WebSocket's
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self._client: tuple[str, int] | None = scope.get("client")
        self._headers: list[tuple[bytes, bytes]] = list(scope["headers"])

    def all(self, name: str) -> list[str]:
        """The header's values, as many as were sent."""
        return [value.decode("latin-1").strip() for key, value in self._headers if key == name.encode()]

    def one(self, name: str) -> str | None:
        """The header's value, None where it was not sent. Values that were sent separately belong together."""
        found = self.all(name)
        return ", ".join(found) if found else None

    @property
    def reads(self) -> bool:
        """Whether it only reads. What is said over a WebSocket may do more."""
        return self.method in _READING

    @property
    def from_here(self) -> bool:
        """Whether it comes from this machine, and nobody passed it on."""
        return is_local(self._client, self._headers)


class Admission:
    """Lets to an ASGI application what keeps the rules, and answers the rest.

    `names` are the host names of the server, in small letters and without ports; `token` is what callers from
    elsewhere have to send, as `Authorization: Bearer` or as the password of any user.
    """

    def __init__(self, application: Application, token: str, names: Collection[str]) -> None:
        self._application = application
        self._token = token.encode()
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, one WebSocket, or the server's own start and end."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        asked = _Asked(scope)
        refusal = self._refusal(asked)
        if refusal is None:
            await self._application(scope, receive, _secured(send, asked.one("host") or ""))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.sentence})  # a 403
        else:
            await _answer(refusal, _secured(send, "localhost"))

    def _refusal(self, asked: _Asked) -> Refusal | None:
        """Why a request is refused, by the first rule that it breaks."""
        return self._of_host(asked) or _of_origin(asked) or self._of_address(asked) or _of_kind(asked)

    def _of_host(self, asked: _Asked) -> Refusal | None:
        hosts = asked.all("host")
        if len(hosts) != 1:
            return Refusal(403, "Send one Host header.", [])
        found = _HOST.fullmatch(hosts[0].lower())
        if found and found[1] in self._names:
            return None
        return Refusal(
            403,
            f"This server is not called {inert(hosts[0])}. If it is, add that name to the setting CHURN_ALLOWED_HOSTS.",
            [],
        )

    def _of_address(self, asked: _Asked) -> Refusal | None:
        shown = token_of(asked.one("authorization") or "")
        if asked.from_here or (shown is not None and hmac.compare_digest(shown, self._token)):
            return None
        return Refusal(
            401,
            "From another machine, send the token (CHURN_API_TOKEN, or the file api_token under CHURN_HOME) as"
            " `Authorization: Bearer TOKEN`, or log in with it as the password of any user.",
            [(b"www-authenticate", b'Basic realm="churn", charset="UTF-8"')],
        )


def _of_origin(asked: _Asked) -> Refusal | None:
    if not _is_foreign(asked):
        return None
    return Refusal(403, "A page of another origin may not ask this server. Open the server's own page.", [])


def _is_foreign(asked: _Asked) -> bool:
    """Whether a page of another origin has a browser ask."""
    if origin := asked.one("origin"):
        return not _is_own(origin, asked)
    if site := asked.one("sec-fetch-site"):
        follows_a_link = asked.reads and (asked.one("sec-fetch-mode"), asked.one("sec-fetch-dest")) == (
            "navigate",
            "document",
        )
        return site not in ("same-origin", "none") and not follows_a_link
    referer = asked.one("referer")
    return bool(referer) and not asked.reads and not _is_own(str(referer), asked)


def _is_own(url: str, asked: _Asked) -> bool:
    """Whether a URL has the host and port that were asked. A proxy may have made HTTP of HTTPS."""
    try:
        parts = urlsplit(url.lower())
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc == (asked.one("host") or "").lower()


def _of_kind(asked: _Asked) -> Refusal | None:
    """What a browser can be made to send without asking first is not accepted."""
    if asked.reads and asked.query and asked.path.endswith("/graphql"):
        return Refusal(405, "Send GraphQL by POST, as JSON.", [(b"allow", b"POST")])
    if asked.method == "POST":
        kinds = [kind.partition(";")[0].strip().lower() for kind in asked.all("content-type")]
        if kinds != ["application/json"]:
            return Refusal(415, "Send JSON, with `Content-Type: application/json`.", [])
    return None


def _secured(send: Send, host: str) -> Send:
    """The same, with headers by which a browser keeps an answer to this origin. A server's own policy holds as well."""
    policy = (b"content-security-policy", _POLICY.format(host=host.lower()).encode("latin-1"))

    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", []) if not _is_overruled(name.lower())]
            message = {**message, "headers": [*kept, *_ALWAYS.items(), policy]}
        await send(message)

    return secured


def _is_overruled(name: bytes) -> bool:
    """Whether a server's own header is left out: ours takes its place, or it would let other origins read."""
    return name in _ALWAYS or name.startswith(b"access-control-")


async def _answer(refusal: Refusal, send: Send) -> None:
    body = f"{refusal.sentence}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *refusal.headers,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
