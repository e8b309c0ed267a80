"""`churn up` as a newcomer has it: a new home, real programs, predictions; then deaths, and an end without remains."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from churn_platform_tests import homes

PATIENCE = 240.0
MONTHLY = "**/20??-??.parquet"
LAUNCH = """
mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { ... on LaunchRunSuccess { run { id } } } }"""
RUNS = "{ runsOrError(limit: 20) { ... on Runs { results { id status parentRunId } } } }"
EVENTS = """
query($run: ID!) { logsForRun(runId: $run) {
  ... on EventConnection { events { ... on MessageEvent { message } } } } }"""
LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"""
PORTS = ("CHURN_DAGSTER_PORT", "CHURN_SERVING_PORT", "CHURN_MLFLOW_PORT", "CHURN_CODE_SERVER_PORT")


class Up:
    """A `churn up` and what can be seen of it from outside."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self.home = folder / "home"
        self.drops = folder / "drops"
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self._output = folder / "output"
        self._environment = {
            **os.environ,
            "CHURN_HOME": str(self.home),
            "CHURN_DROPS": str(self.drops),
            **{name: str(port) for name, port in zip(PORTS, ports, strict=True)},
        }

    def start(self) -> None:
        with self._output.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from churn_platform.cli import main; main(['up'])"],
                env=self._environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._output.read_text()

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for a condition, which may fail to connect until it holds."""
        until = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.said
            try:
                if found := condition():
                    return found
            except (httpx.HTTPError, KeyError, TypeError, ValueError):
                pass
            assert time.monotonic() < until, self.said
            time.sleep(0.2)

    def left(self) -> dict[int, str]:
        """The commands of every process that was started for this home."""
        mark = f"CHURN_HOME={self.home}".encode()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # gone, or another user's
        return found

    def has_recovered(self, deaths: int) -> bool:
        """Whether one more death than these was reported, and every program answers."""
        return self.said.count("died (SIGKILL)") > deaths and self.is_whole()

    def kill(self, words: str) -> int:
        """SIGKILL the program with these words in its command."""
        number = next(number for number, command in self.left().items() if words in command)
        os.kill(number, signal.SIGKILL)
        return number

    def ask(self, query: str, **variables: Any) -> Any:
        """A GraphQL query's data."""
        body = {"query": query, "variables": variables}
        return httpx.post(f"{self.urls[0]}/graphql", json=body, timeout=30, trust_env=False).json()["data"]

    def close(self, month: str) -> str:
        """Launch the close of a month, and give the run's id."""
        selector = {"jobName": "month_close", "repositoryName": "__repository__"}
        launched = self.ask(
            LAUNCH,
            p={
                "selector": {**selector, "repositoryLocationName": "churn_platform"},
                "runConfigData": {},
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": month}]},
            },
        )
        return str(launched["launchRun"]["run"]["id"])

    def runs(self) -> list[dict[str, Any]]:
        """The newest runs, newest first."""
        found: list[dict[str, Any]] = self.ask(RUNS)["runsOrError"]["results"]
        return found

    def status(self, run: str) -> str:
        return next(str(found["status"]) for found in self.runs() if found["id"] == run)

    def process_of(self, run: str) -> int:
        """The process that a run's steps are executed in, as its log names it; 0 before that."""
        found = re.search(r"Executing steps in process \(pid: (\d+)\)", str(self.ask(EVENTS, run=run)))
        return int(found[1]) if found else 0

    def was_retried(self, run: str) -> bool:
        """Whether a run that failed was run again, and well."""
        return any(found["parentRunId"] == run and found["status"] == "SUCCESS" for found in self.runs())

    def is_whole(self) -> bool:
        """Whether every program answers."""
        places = ("/server_info", "/ready", "/health")
        answers = [httpx.get(url + place, trust_env=False) for url, place in zip(self.urls, places, strict=False)]
        location = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"][0]["locationOrLoadError"]
        daemon = any("dagster._daemon" in command for command in self.left().values())
        return daemon and all(a.status_code == 200 for a in answers) and location["__typename"] == "RepositoryLocation"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in PORTS]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        ports = [listener.getsockname()[1] for listener in listeners]
    platform = Up(tmp_path, ports)
    homes.deliver(platform.drops, months=2, customers=homes.CUSTOMERS)
    platform.start()
    try:
        yield platform
    finally:
        platform.process.kill()  # its guard ends the rest
        platform.process.wait()


def test_a_newcomers_day(up: Up) -> None:
    up.until(lambda: "dagster-daemon is up" in up.said and up.is_whole())
    for said in ("2024-01 closed", "2024-02 closed", "version 1 is promoted", "version 2 is", f"API: {up.urls[1]}"):
        assert said in up.said
    customer = homes.rows_of(up.drops / "month_001" / "users.csv")[1][0]
    answer = httpx.post(f"{up.urls[1]}/predict", json={"user_id": customer}, trust_env=False).json()
    assert 0 <= answer["probability"] <= 1
    assert answer["as_of"] == "2024-02-29"

    for words in ("dagster code-server", "dagster_webserver", "dagster._daemon", "mlflow server", "-m serving"):
        deaths = up.said.count("died (SIGKILL)")
        up.kill(words)
        up.until(partial(up.has_recovered, deaths))
    assert up.said.count("died (SIGKILL)") == 5

    run = up.close("2024-02")  # with the champion that serves by now
    up.until(lambda: up.status(run) == "SUCCESS")
    undisturbed = homes.contents(up.home / "lake", MONTHLY)

    run = up.close("2024-02")
    os.kill(up.until(lambda: up.process_of(run)), signal.SIGKILL)
    up.until(lambda: up.status(run) == "FAILURE")
    up.until(lambda: up.was_retried(run))
    assert homes.contents(up.home / "lake", MONTHLY) == undisturbed

    run = up.close("2024-02")
    up.until(lambda: up.status(run) == "STARTED")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(30) == 0
    assert up.left() == {}

    up.start()
    up.until(lambda: up.was_retried(run))
    up.until(up.is_whole)
    assert homes.contents(up.home / "lake", MONTHLY) == undisturbed
    assert up.said.count("2024-01 closed") == 1

    up.process.kill()
    up.process.wait()
    until = time.monotonic() + 30
    while left := up.left():
        assert time.monotonic() < until, left
        time.sleep(0.1)
