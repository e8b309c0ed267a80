"""Connections: what one client may take of this process before its request is known.

Here: how large a request's head may be, how many requests may wait on one connection, how long a client may take, and
how many connections there are, as a protocol of Uvicorn's. Not here: limits on requests that are known (`edge`,
`limits`), or the largest body (`app`).

Uvicorn itself reads heads of any length, queues pipelined requests without end, and waits for ever for one that was
begun. It lets its protocol be chosen; that of httptools is derived from, since what has to be counted is known only
there. Its names are not promised: `serving/test_connections.py` holds what is relied on.
"""

from __future__ import annotations

import asyncio
import collections

import httptools
from litestar.serialization import encode_json
from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.problems import MEDIA_TYPE, ProblemError

MOST_OF_HEAD = 16_384
"""The most bytes of a request's first line and headers; as many as nginx and Node.js read in their default settings."""
MOST_WAITING = 16
"""How many requests may wait on one connection behind the one that is being answered."""

_TOO_LARGE = (431, "head_too_large", f"The URL and the headers have more than {MOST_OF_HEAD:,} bytes.")
_MALFORMED = (400, "bad_request", "This is not HTTP.")
_TOO_SLOW = (408, "too_slow", "The request did not come in time.")
_FULL = (503, "too_many_waiting", f"More than {MOST_WAITING} requests wait on this connection.")


class Connection(HttpToolsProtocol):
    """One client's connection; `limited` makes a class of it with its limits."""

    seconds: float
    most: int
    ended: Counter

    _since: float | None = None
    """When the client's turn to send began; None while whole requests are being answered."""
    _unread_since: float | None = None
    """Since when the client has not taken what was sent to it."""
    _in_head = False
    _before = 0
    """How many bytes of a head came before what is being parsed."""
    _came = 0
    """How many bytes are being parsed."""
    _apart = 0
    """How many bytes of a request came after its head and were none of its body: a chunk's own line, or trailers."""
    _in_body = False
    """Whether what is being parsed has a part of a body."""
    _ended: tuple[int, str, str] | None = None
    """Why nothing more is read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; where there are too many connections, end one of whoever has the most."""
        super().connection_made(transport)
        self._since = self._came_at = self.loop.time()
        self._timer = self.loop.call_later(self.seconds, self._watch)
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, as long as it may be part of a request."""
        if self._ended is not None:
            return
        if self._since is None:
            self._since = self.loop.time()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        self._came = len(data)
        was_in_head, self._in_body = self._in_head, False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # nothing here speaks another protocol: the request is answered as it is
        except httptools.HttpParserError:
            self._end(self._ended or _MALFORMED)
        else:
            self._count(was_in_head)

    def _count(self, was_in_head: bool) -> None:
        """Add what was parsed to a head, or to what stands apart from head and body, which is no part of a body."""
        if was_in_head and self._in_head:
            self._before += self._came
        elif not (was_in_head or self._in_body) and self.cycle is not None and self.cycle.more_body:
            self._apart += self._came
        if max(self._before, self._apart) > MOST_OF_HEAD:
            self._end(_TOO_LARGE)

    def on_body(self, body: bytes) -> None:
        """A part of a request's body."""
        self._in_body = True
        super().on_body(body)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._before, self._apart = True, 0, 0

    def on_headers_complete(self) -> None:
        """A request's head is whole: answer it, or have it wait. An exception ends the parser's work."""
        self._in_head = False
        if self._before + self._came > MOST_OF_HEAD:  # otherwise it cannot be: counting each would be for nothing
            size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
            if size > MOST_OF_HEAD:
                self._ended = _TOO_LARGE
        if len(self.pipeline) >= MOST_WAITING:
            self._ended = _FULL
        if self._ended is not None:
            raise ProblemError(*self._ended)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is whole: it is not the client's turn, unless it was answered before it was whole."""
        super().on_message_complete()
        self._since = self.loop.time() if self.cycle.response_complete else None

    def on_response_complete(self) -> None:
        """An answer is written: the next one's turn, or the client's."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()  # what waits is enough
        if self.cycle.response_complete:
            self._since = self.loop.time()

    def pause_writing(self) -> None:
        """The client does not take what is sent to it."""
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """The client takes it again."""
        super().resume_writing()
        self._unread_since = None

    def _end(self, why: tuple[int, str, str]) -> None:
        """Read nothing more. Whole requests that came before are answered, then the connection ends.

        Where none is under way, why is told; so it is where the newest broke off and nothing stands before it.
        """
        self._ended = why
        self.ended.labels(why[1]).inc()
        self._since = self.loop.time()
        self.flow.pause_reading()
        newest = self.cycle
        if newest is not None and not newest.response_complete:
            if not newest.more_body:
                newest.keep_alive = False
                return
            if self.pipeline or newest.response_started:
                self.transport.close()
                return
        details = ProblemError(*why).details
        body = encode_json(details)
        self.transport.write(
            STATUS_LINE[details.status]
            + f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            + body
        )
        self.transport.close()

    def _watch(self) -> None:
        """Give up a client that has had its time, and look again when the next one's may be over."""
        now = self.loop.time()
        if self.transport.is_closing() and self._unread_since is None:
            self._unread_since = now
        since = self._waits_since
        left = self.seconds if since is None else since + self.seconds - now
        if left > 0:
            self._timer = self.loop.call_later(left, self._watch)
        elif self._unread_since is not None or self._ended is not None or not self._in_head_or_body():
            if not self.transport.is_closing() and self._unread_since is not None:
                self.ended.labels("unread").inc()
            self.transport.abort()
        else:
            self._end(_TOO_SLOW)
            self._timer = self.loop.call_later(self.seconds, self._watch)

    def _in_head_or_body(self) -> bool:
        """Whether a request was begun and is not whole."""
        return self._in_head or (self.cycle is not None and self.cycle.more_body)

    def _make_room(self) -> None:
        """End the connection that has waited longest for its client, of the address that has the most.

        Where that one has none that waits, its newest goes: whoever has fewer is not shut out.
        """
        everyone = [connection for connection in self.connections if isinstance(connection, Connection)]
        greedy = collections.Counter(connection._address for connection in everyone).most_common(1)[0][0]
        theirs = [connection for connection in everyone if connection._address == greedy]
        longest = min(theirs, key=lambda one: (one._waits_since is None, one._waits_since or 0, -one._came_at))
        self.connections.discard(longest)
        self.ended.labels("no_room").inc()
        longest.transport.abort()

    @property
    def _waits_since(self) -> float | None:
        """Since when it has waited for its client to send or to take something."""
        return min((since for since in (self._since, self._unread_since) if since is not None), default=None)

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""


def limited(seconds: float, most: int, ended: Counter) -> type[Connection]:
    """The protocol with these limits: the seconds that a client may take to send, or to read; how many connections.

    `ended` counts, by reason, those that ran into one.
    """
    return type("LimitedConnection", (Connection,), {"seconds": seconds, "most": most, "ended": ended})
