"""Asking another program over HTTP: an answer of bounded size, within a deadline, or a sentence that says why not.

Here: what every such request needs. Not here: what is asked, and what the answers mean (`registry`, `dagster_client`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from churn_platform.faults import Fault

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

_SHOWN = 200
"""The most characters that are shown of a text from outside."""


class NoAnswerError(Fault):
    """Nothing usable came back; the message says why."""


class Answer(NamedTuple):
    """An HTTP status and the whole body."""

    status: int
    body: bytes


@asynccontextmanager
async def within(seconds: float, limit: str = "CHURN_SERVING_TIMEOUT_SECONDS") -> AsyncIterator[None]:
    """One deadline for everything in the block, bytes that drip in included. Raises NoAnswerError.

    `limit` says where the deadline comes from.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise NoAnswerError(f"no answer within {seconds:g} seconds ({limit})") from error


class Asker:
    """An HTTP client whose connections are kept. It has no deadline of its own: ask `within` one."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def ask(self, method: str, url: str, most: int, json: Any = None) -> Answer:
        """The answer, if it has at most this many bytes. Redirects are not followed. Raises NoAnswerError."""
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=None)  # noqa: S113  # see `within`
        body = bytearray()
        try:
            async with self._client.stream(method, url, json=json) as response:
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > most:
                        raise NoAnswerError(f"the answer is larger than {most:,} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswerError(type(error).__name__) from error  # its text may hold the URL's password
        return Answer(response.status_code, bytes(body))

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def decoded(body: bytes, kind: type[T]) -> T:
    """JSON of this shape; a number may be text. Raises NoAnswerError."""
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (ValueError, RecursionError) as error:  # msgspec's own are ValueErrors, and so is text that is not UTF-8
        raise NoAnswerError(f"the answer is not as expected: {shown(error)}") from error


def shown(value: object) -> str:
    """A value from outside as people may be shown it: on one line, and not too long."""
    text = " ".join(str(value).split())
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
