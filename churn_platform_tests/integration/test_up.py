"""`churn up` before anything starts: ports, and one platform per home."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from io import StringIO
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from click.testing import CliRunner
from rich.console import Console

from churn_platform.automation import news
from churn_platform.cli import main
from churn_platform.local import first_start, following
from churn_platform.local.checks import refuse_taken_ports
from churn_platform.local.lock import CannotStartError, only_one
from churn_platform.local.programs import links, programs
from churn_platform.local.screen import Screen
from churn_platform.local.supervision import Supervisor
from churn_platform.local.up import ending
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform_tests.decision_cases import Desk

NOBODY = 2**22 + 1
"""A number that Linux gives to no process."""
FIRST = Month(2024, 1)
PORTS = ("dagster_port", "code_server_port", "serving_port", "mlflow_port")


@contextmanager
def _listening() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def _free(count: int) -> list[int]:
    with ExitStack() as stack:
        return [stack.enter_context(_listening()) for _ in range(count)]


@pytest.mark.parametrize(("started", "ends"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)], ids=["as is", "nohup"])
def test_a_closed_terminal_ends_it_unless_nohup_has_started_it(started: signal.Handlers, ends: bool) -> None:
    before = signal.signal(signal.SIGHUP, started)
    try:
        assert ending() == {signal.SIGINT, signal.SIGTERM} | ({signal.SIGHUP} if ends else set())
    finally:
        signal.signal(signal.SIGHUP, before)


def test_free_ports_are_accepted(tmp_path: Path) -> None:
    refuse_taken_ports(Settings(home=tmp_path, **dict(zip(PORTS, _free(4), strict=True))))  # type: ignore[arg-type]


def test_every_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    free, same = _free(2)
    with _listening() as taken:
        settings = Settings(
            home=tmp_path, dagster_port=taken, code_server_port=same, serving_port=same, mlflow_port=free
        )
        with pytest.raises(CannotStartError) as refused:
            refuse_taken_ports(settings)
    said = str(refused.value)
    assert f"port {taken} is taken by another program: end that, or set CHURN_DAGSTER_PORT" in said
    assert f"CHURN_CODE_SERVER_PORT is {same}" in said
    assert f"CHURN_SERVING_PORT is {same}" in said
    assert "CHURN_MLFLOW_PORT" not in said


def test_a_port_that_nobody_could_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match="CHURN_SERVING_PORT is 0"):
        refuse_taken_ports(Settings(home=tmp_path, serving_port=0))


def test_nothing_starts_where_a_port_is_taken(tmp_path: Path) -> None:
    with _listening() as taken:
        environment = {"CHURN_HOME": str(tmp_path / "home"), "CHURN_DAGSTER_PORT": str(taken)}
        result = CliRunner().invoke(main, ["up"], env=environment)
    assert result.exit_code == 1
    assert "CHURN_DAGSTER_PORT" in result.output
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"up.lock"}


def test_nothing_starts_by_a_declaration_that_is_none(tmp_path: Path) -> None:
    company = tmp_path / "company.toml"
    company.write_text("[company")
    ports = {f"CHURN_{name.upper()}": str(port) for name, port in zip(PORTS, _free(len(PORTS)), strict=True)}
    places = {"CHURN_HOME": str(tmp_path / "home"), "CHURN_COMPANY": str(company)}
    with patch.object(Supervisor, "run", side_effect=AssertionError("it was started")):
        result = CliRunner().invoke(main, ["up"], env={**ports, **places})
    assert result.exit_code == 1
    assert "company.toml is not TOML" in result.output


def test_one_platform_a_home(tmp_path: Path) -> None:
    expected = re.escape(f"the platform of {tmp_path} (CHURN_HOME) is already up, process {os.getpid()}")
    with only_one(tmp_path):
        with pytest.raises(CannotStartError, match=expected), only_one(tmp_path):
            raise AssertionError("two at once")
        with only_one(tmp_path / "another"):
            pass
    for _ in range(2):
        with only_one(tmp_path):
            pass


def test_what_a_killed_platform_leaves_is_waited_for(tmp_path: Path) -> None:
    with (tmp_path / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(NOBODY))
        lock.flush()
        guard = threading.Timer(0.5, partial(fcntl.flock, lock, fcntl.LOCK_UN))
        guard.start()
        with only_one(tmp_path):
            guard.join()


def test_passwords_are_neither_arguments_nor_shown(tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path,
        mlflow_tracking_uri="postgresql://churn:hidden@db/mlflow",
        postgres_url="postgresql://churn:hidden@db/dagster",
        online_store_url="postgresql://churn:hidden@db/online",
        api_token="hidden",
    )
    commands = [program.command for program in programs(settings, httpx.AsyncClient())]
    assert "hidden" not in f"{commands} {links(settings)}"
    assert "CHURN_API_TOKEN" in [link.place for link in links(settings)]


def test_an_mlflow_elsewhere_has_its_own_ui(tmp_path: Path) -> None:
    elsewhere = Settings(home=tmp_path, mlflow_tracking_uri="http://ann:hidden@mlflow:5000")
    names = [program.name for program in programs(elsewhere, httpx.AsyncClient())]
    assert "mlflow" not in names
    assert any(link.place.startswith("http://mlflow:5000/") for link in links(elsewhere))
    assert "mlflow" in [program.name for program in programs(Settings(home=tmp_path), httpx.AsyncClient())]


def test_mlflow_starts_when_its_store_is_made(tmp_path: Path) -> None:
    found = {program.name: program for program in programs(Settings(home=tmp_path), httpx.AsyncClient())}
    assert found["registry"].once
    assert found["mlflow"].after == ["registry"]


def test_the_first_start_is_due_until_a_version_was_compared(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    before = {program.name: program for program in programs(settings, httpx.AsyncClient())}
    assert first_start.is_due(settings)
    assert "first-start" in before["dagster-daemon"].after
    (tmp_path / "lake" / "evaluation").mkdir(parents=True)
    (tmp_path / "lake" / "evaluation" / "2024-01.json").touch()
    after = {program.name: program for program in programs(settings, httpx.AsyncClient())}
    assert "first-start" not in after
    assert "first-start" not in after["dagster-daemon"].after


def test_what_is_away_for_a_while_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, told, away = Settings(home=tmp_path), list[str](), PermissionError(13, "Permission denied")
    months = chain([FIRST, away], repeat(FIRST + 1))
    closed = news.Happening("closed", "2024-01 closed")
    found = chain([[], away], repeat([[closed]]))

    def next_of(answers: Iterator[Any]) -> Any:
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    async def reloaded(*_: object, **__: object) -> bool:
        return True

    async def follow() -> None:
        tasks = [
            asyncio.create_task(following.deliveries(settings, told.append, seconds=0.01)),
            asyncio.create_task(following.happenings(settings, {}, told.append, seconds=0.01)),
        ]
        async with asyncio.timeout(60):
            while len(told) < 2:
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()

    monkeypatch.setattr(following, "ask_grpc", reloaded)
    monkeypatch.setattr(following, "newest", lambda *_: next_of(months))
    monkeypatch.setattr(news, "happening", lambda *_: next_of(found))
    asyncio.run(follow())
    assert sorted(told) == ["2024-01 closed", "2024-02 was delivered: Dagster offers it now"]


def test_a_pause_is_on_the_screen_until_it_ends(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    screen = Screen([], Console(file=StringIO(), force_terminal=False))

    async def until(condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.01)

    async def follow() -> None:
        task = asyncio.create_task(following.pauses(Settings(home=tmp_path), screen, seconds=0.01))
        desk.pause()
        await asyncio.wait_for(until(lambda: "paused since" in screen.notice), 20)
        desk.resume()
        await asyncio.wait_for(until(lambda: screen.notice == ""), 20)
        task.cancel()

    asyncio.run(follow())
