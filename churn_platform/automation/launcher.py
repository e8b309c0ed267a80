"""The launcher: how runs are started on the code server, and how a run whose process has died is recognised.

Here: Dagster's default launcher, plus the question whether a run still lives. Not here: what follows from the answer;
Dagster's run monitoring fails such a run, and its run retries start it anew.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus  # part of what a launcher implements
from dagster._core.storage.tags import GRPC_INFO_TAG

if TYPE_CHECKING:
    import dagster as dg
    from dagster._grpc.client import DagsterGrpcClient

PROCESS_TAG = "churn/process"
"""Names the process of a run that no code server started."""

_HERE = ("127.0.0.1", "localhost")
_CLOCK = 5.0  # seconds that the clock may have been set forward since a run began


class WatchedRunLauncher(DefaultRunLauncher):
    """Starts runs as Dagster's default does, and can say whether they live.

    Without that, a run whose code server was killed would count as under way for ever, and keep its month and its
    pools from every other run.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes, so that run monitoring asks."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Look for the process that runs it, and ask the code server that started it. In doubt it lives.

        The server alone does not do: one that has loaded the definitions again since, as it does for every new month,
        denies the runs that it began before. Nor does the process: a run that is found dead is run again at once,
        which fails for good while there is no server.
        """
        if GRPC_INFO_TAG in run.tags:
            lives = self._runs_here(run) or self._known_to_its_server(run.run_id)
        else:
            lives = PROCESS_TAG not in run.tags or _lives(run.tags[PROCESS_TAG])
        if lives:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the process of this run has died")

    def _runs_here(self, run: dg.DagsterRun) -> bool:
        """Whether a code server on this machine started the run, and the process that its log names exists."""
        from dagster import DagsterEventType

        if json.loads(run.tags[GRPC_INFO_TAG])["host"] not in _HERE:
            return False
        for entry in self._instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
            number = entry.get_dagster_event().engine_event_data.metadata.get("pid")
            if number is not None:
                began = _began(int(str(number.value)))
                return began is not None and began < entry.timestamp + _CLOCK  # later, and the number is in use again
        return False

    def _known_to_its_server(self, run_id: str) -> bool:
        """Whether the code server has the run. True while it does not answer: once it is back, it will."""
        from dagster._core.errors import DagsterUserCodeUnreachableError
        from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
        from dagster._serdes import deserialize_value

        client: DagsterGrpcClient | None = self._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call]
        if client is None:  # it has finished
            return True
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=10)
        except DagsterUserCodeUnreachableError:
            return True
        return deserialize_value(answer, CanCancelExecutionResult).can_cancel


def own_process() -> str:
    """This process for `PROCESS_TAG`: host, number, and start time, since numbers are used again."""
    return json.dumps([socket.gethostname(), os.getpid(), _started(os.getpid())])


def _lives(tag: str) -> bool:
    host, number, started = json.loads(tag)
    return host != socket.gethostname() or bool(_started(number) == started)


def _started(number: int) -> int | None:
    """When a process was started, in clock ticks since boot; None where there is no such process."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _began(number: int) -> float | None:
    """When a process was started, in seconds since the epoch; None where there is no such process."""
    if (ticks := _started(number)) is None:
        return None
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")
