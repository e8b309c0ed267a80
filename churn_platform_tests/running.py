"""A running platform: `churn up` in a process of its own, and what can be seen of it from outside.

Here: starting it, asking its UI, finding and killing its processes. Not here: what should follow (the tests).
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

PATIENCE = 240.0

_LAUNCH = """
mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { ... on LaunchRunSuccess { run { id } } } }"""
_RUNS = """
{ runsOrError(limit: 100) { ... on Runs { results {
  id jobName status parentRunId tags { key value } repositoryOrigin { repositoryLocationName } } } } }"""
_EVENTS = """
query($run: ID!) { logsForRun(runId: $run) {
  ... on EventConnection { events { ... on MessageEvent { message } } } } }"""
_LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"""
_PORTS = ("CHURN_DAGSTER_PORT", "CHURN_SERVING_PORT", "CHURN_MLFLOW_PORT", "CHURN_CODE_SERVER_PORT")


class Up:
    """A `churn up` on free ports, with its home and drops under a folder, and with these other settings."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.home = folder / "home"
        self.drops = folder / "drops"
        ports = free_ports(len(_PORTS))
        self.dagster, self.serving, self.mlflow, _ = [f"http://127.0.0.1:{port}" for port in ports]
        self._output = folder / "output"
        self._environment = {
            **os.environ,
            "CHURN_HOME": str(self.home),
            "CHURN_DROPS": str(self.drops),
            **{name: str(port) for name, port in zip(_PORTS, ports, strict=True)},
            **settings,
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

    @contextmanager
    def beside(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command beside it, in a process of its own; the output is one stream."""
        command = [sys.executable, "-m", "churn_platform", *arguments]
        streams: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(command, env=self._environment, text=True, **streams) as running:
            try:
                yield running
            finally:
                running.kill()

    @contextmanager
    def started(self) -> Iterator[Up]:
        """Up while the block runs, and gone afterwards."""
        self.start()
        try:
            yield self
        finally:
            self.process.kill()  # its guard ends the rest
            self.process.wait()

    @property
    def said(self) -> str:
        return self._output.read_text()

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for a condition; until it holds, it may fail to connect."""
        until = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.said
            try:
                if found := condition():
                    return found
            except (httpx.HTTPError, KeyError, TypeError, ValueError):
                pass
            assert time.monotonic() < until, self.said
            time.sleep(0.1)

    def commands(self) -> dict[int, str]:
        """The command of every process that was started for this home, `churn up` itself included."""
        mark = f"CHURN_HOME={self.home}".encode()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # gone, or another user's
        return found

    def process_with(self, words: str) -> int:
        """The process with these words in its command. Raises ValueError where there is none."""
        for number, command in self.commands().items():
            if words in command:
                return number
        raise ValueError(f"no process of {self.home} has {words} in its command")

    def ask(self, query: str, **variables: Any) -> Any:
        """A GraphQL query's data."""
        body = {"query": query, "variables": variables}
        return httpx.post(f"{self.dagster}/graphql", json=body, timeout=30, trust_env=False).json()["data"]

    def launch(self, job: str, month: str) -> str:
        """Launch a job for a month, and return the run's id."""
        selector = {"jobName": job, "repositoryName": "__repository__"}
        launched = self.ask(
            _LAUNCH,
            p={
                "selector": {**selector, "repositoryLocationName": "churn_platform"},
                "runConfigData": {},
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": month}]},
            },
        )
        return str(launched["launchRun"]["run"]["id"])

    def runs(self, month: str = "") -> list[dict[str, Any]]:
        """The newest runs, of one month or of all, newest first."""
        found: list[dict[str, Any]] = self.ask(_RUNS)["runsOrError"]["results"]
        tag = {"key": "dagster/partition", "value": month}
        return [run for run in found if not month or tag in run["tags"]]

    def status(self, run: str) -> str:
        return next(str(found["status"]) for found in self.runs() if found["id"] == run)

    def process_of(self, run: str) -> int:
        """The process that a run's steps are executed in, as its log names it; 0 before that."""
        found = re.search(r"Executing steps in process \(pid: (\d+)\)", str(self.ask(_EVENTS, run=run)))
        return int(found[1]) if found else 0

    def was_retried(self, run: str) -> bool:
        """Whether a failed run was run again, with success."""
        return any(found["parentRunId"] == run and found["status"] == "SUCCESS" for found in self.runs())

    def is_whole(self) -> bool:
        """Whether every program answers."""
        answers = [
            httpx.get(place, trust_env=False)
            for place in (f"{self.dagster}/server_info", f"{self.serving}/ready", f"{self.mlflow}/health")
        ]
        location = self.ask(_LOCATIONS)["workspaceOrError"]["locationEntries"][0]["locationOrLoadError"]
        daemon = any("dagster._daemon" in command for command in self.commands().values())
        return daemon and all(a.status_code == 200 for a in answers) and location["__typename"] == "RepositoryLocation"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
