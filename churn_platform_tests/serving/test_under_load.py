"""Under 16 connections: promotions without a failed or mixed answer, and a database that goes and comes back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from churn_platform.bundle import TOLERANCE
from churn_platform.months import Month
from churn_platform_tests import postgres
from churn_platform_tests.online import publish
from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.world import World, customers, user_id

Serve = Callable[..., Service]
CONNECTIONS = 16
CUSTOMERS = 20


async def under_load(
    service: Service, check: Callable[[httpx.Response], None], during: Callable[[], Awaitable[None]]
) -> int:
    """Ask over many connections while something happens; returns how many answers were checked."""
    over, answered = False, 0

    async def ask(connection: int) -> None:
        nonlocal answered
        async with httpx.AsyncClient(base_url=service.url, timeout=10) as client:
            number = connection
            while not over:
                number += 1
                check(await client.post("/predict", json={"user_id": user_id(number % CUSTOMERS)}))
                answered += 1

    async def stop_after() -> None:
        nonlocal over
        try:
            await during()
        finally:
            over = True

    await asyncio.gather(stop_after(), *(ask(connection) for connection in range(CONNECTIONS)))
    return answered


async def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        await asyncio.sleep(0.01)


async def more(seen: Counter[Any], key: object, count: int = 20) -> None:
    """Wait until this many more of a kind have been seen."""
    before = seen[key]
    await wait_until(lambda: seen[key] >= before + count)


def test_promotions_and_rollbacks_under_load(new_world: Callable[..., World], serve: Serve) -> None:
    world = new_world()
    world.promote(world.register(1))
    world.register(2)
    world.publish(CUSTOMERS)
    expected = {
        (version, user): world.probability(version, features)
        for version in (1, 2)
        for user, features in customers(CUSTOMERS)
    }
    service = serve(world.settings)
    seen: Counter[int] = Counter()

    def check(answer: httpx.Response) -> None:
        assert answer.status_code == 200
        body = answer.json()
        assert abs(body["probability"] - expected[body["model_version"], body["user_id"]]) <= TOLERANCE
        seen[body["model_version"]] += 1

    async def promote() -> None:
        for version in (2, 1, 2, 1):
            await asyncio.to_thread(world.promote, version)
            await more(seen, version)

    answered = asyncio.run(under_load(service, check, promote))
    assert answered == sum(seen.values())
    assert min(seen[1], seen[2]) > 40


def test_publications_under_load(new_world: Callable[..., World], store_url: str, serve: Serve) -> None:
    """Every answer's probability fits the features that it names, and its day is that of the features."""
    world = new_world(store_url)
    world.promote(world.register(1))
    world.publish(CUSTOMERS)
    known = {
        (as_of, user): features
        for as_of, seed in (("2024-02-29", 1), ("2024-03-31", 2))
        for user, features in customers(CUSTOMERS, seed)
    }
    service = serve(world.settings)
    seen: Counter[str] = Counter()

    def check(answer: httpx.Response) -> None:
        assert answer.status_code == 200
        body = answer.json()
        assert body["features_used"] == known[body["as_of"], body["user_id"]]
        assert abs(body["probability"] - world.probability(1, body["features_used"])) <= TOLERANCE
        seen[body["as_of"]] += 1

    async def publish_march() -> None:
        await more(seen, "2024-02-29")
        await asyncio.to_thread(publish, store_url, Month(2024, 3), customers(CUSTOMERS, 2))
        await more(seen, "2024-03-31")

    asyncio.run(under_load(service, check, publish_march))


@pytest.fixture
def own_postgres() -> Iterator[Any]:
    """A PostgreSQL that this test may stop."""
    with postgres.server() as running:
        yield running


def test_a_database_that_goes_and_comes_back(new_world: Callable[..., World], own_postgres: Any, serve: Serve) -> None:
    world = new_world(own_postgres.get_uri())
    world.promote(world.register(1))
    world.publish(CUSTOMERS)
    service = serve(world.settings)
    seen: Counter[int] = Counter()

    def check(answer: httpx.Response) -> None:
        assert answer.status_code in (200, 503), answer.text
        assert answer.elapsed.total_seconds() < 3
        if answer.status_code == 503:
            assert answer.json()["code"] == "not_ready"
        seen[answer.status_code] += 1

    recovered = 0.0

    async def go_and_come_back() -> None:
        nonlocal recovered
        for _ in range(2):
            await more(seen, 200)
            await asyncio.to_thread(own_postgres.stop)
            await more(seen, 503)
            ready = await asyncio.to_thread(lambda: service.client.get("/ready"))
            assert ready.status_code == 503
            await asyncio.to_thread(own_postgres.start)
            started = time.monotonic()
            await more(seen, 200, 1)
            recovered = max(recovered, time.monotonic() - started)

    asyncio.run(under_load(service, check, go_and_come_back))
    assert recovered < 5
    service.ready()
