"""Health: whether a program is doing its work, asked in the way that suits it.

Here: HTTP, the heartbeats of Dagster's daemon, gRPC calls to Dagster's code server. Not here: which program is asked
what (`programs`), or what follows from the answer (`supervision`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx

Check = Callable[[], Awaitable[bool]]
"""Asks a program now. One that does not answer is not doing its work."""

_HEARTBEATS = "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }"


def answers(client: httpx.AsyncClient, url: str) -> Check:
    """A page of the program can be fetched."""

    async def ready() -> bool:
        try:
            return (await client.get(url)).status_code == 200
        except httpx.HTTPError:
            return False

    return ready


def has_heartbeats(client: httpx.AsyncClient, url: str) -> Check:
    """The daemon listens nowhere; the UI's GraphQL knows whether each of its threads has given a sign of life."""

    async def ready() -> bool:
        try:
            answer = (await client.post(url, json={"query": _HEARTBEATS})).json()
            statuses = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return False
        return all(status["healthy"] for status in statuses if status["required"])

    return ready


def serves_grpc(address: str) -> Check:
    """Dagster's ping: unlike gRPC's health protocol, it reaches the process that holds the definitions."""

    async def ready() -> bool:
        return await ask_grpc(address, "Ping")

    return ready


async def ask_grpc(address: str, method: str, seconds: float = 2.0) -> bool:
    """Call a method of Dagster's code server that needs no arguments; whether it answered."""
    import grpc  # type: ignore[import-untyped]

    async with grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            await channel.unary_unary(f"/api.DagsterApi/{method}")(b"", timeout=seconds)  # an empty message is no bytes
        except grpc.aio.AioRpcError:
            return False
    return True
