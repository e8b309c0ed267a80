"""Explaining: one customer at a time whatever callers do, and a queue that has an end."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import pytest

from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.world import user_id
from serving import explaining
from serving.explaining import MOST_WAITING, Explainer
from serving.problems import ProblemError


class Held:
    """Takes the place of the work: it begins, and ends only when it may."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, *_: Any) -> None:
        self.threads.append(threading.get_ident())
        self.begun.set()
        assert self.may_end.wait(30)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    made = Held()
    monkeypatch.setattr(explaining, "_explained", made)
    return made


async def began(explainer: Explainer, held: Held, customers: int) -> list[asyncio.Task[Any]]:
    """So many customers are asked about, and the first is being explained."""
    asked = [asyncio.create_task(explainer.explain(None, {})) for _ in range(customers)]  # type: ignore[arg-type]
    assert await asyncio.get_running_loop().run_in_executor(None, held.begun.wait, 30)
    return asked


async def withdraw(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_a_request_that_is_given_up_does_not_let_two_threads_work(held: Held) -> None:
    async def asking() -> None:
        explainer = Explainer()
        for _ in range(3):
            (asked,) = await began(explainer, held, 1)
            await withdraw(asked)
        last = asyncio.create_task(explainer.explain(None, {}))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        held.may_end.set()
        await last

    asyncio.run(asking())
    assert len(held.threads) == 2  # the first and the last: nobody waited for the others when their turn came
    assert len(set(held.threads)) == 1


def test_no_more_wait_than_may(held: Held) -> None:
    async def asking() -> None:
        explainer = Explainer()
        asked = await began(explainer, held, MOST_WAITING)
        explainer.require_room()
        asked += await began(explainer, held, 1)
        with pytest.raises(ProblemError, match="More than 16 customers wait to be explained") as refused:
            explainer.require_room()
        assert (refused.value.details.status, refused.value.details.code) == (503, "too_many_waiting")
        await withdraw(asked.pop())
        explainer.require_room()
        held.may_end.set()
        await asyncio.gather(*asked)
        explainer.close()

    asyncio.run(asking())
    assert len(held.threads) == MOST_WAITING


def test_what_is_refused_is_documented_and_no_prediction(steady: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    document = steady.client.get("/docs/openapi.json").json()
    answers = document["paths"]["/explain"]["post"]["responses"]
    examples = [found["value"] for found in answers["503"]["content"]["application/problem+json"]["examples"].values()]
    assert [example["code"] for example in examples] == ["not_ready", "too_many_waiting"]

    predictions = 'churn_predictions_total{model_version="1"'
    before = [line for line in steady.client.get("/metrics").text.splitlines() if line.startswith(predictions)]
    monkeypatch.setattr(explaining, "MOST_WAITING", -1)
    refused = steady.client.post("/explain", json={"user_id": user_id(3)})
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_waiting")
    assert refused.headers["retry-after"] == "2"
    after = [line for line in steady.client.get("/metrics").text.splitlines() if line.startswith(predictions)]
    assert after == before
    monkeypatch.undo()
    assert steady.client.post("/explain", json={"user_id": user_id(3)}).status_code == 200
