"""The launcher: how runs are started on the code server, and how a run whose process has died is recognised.

Here: Dagster's default launcher, plus the check whether a run is still alive. Not here: what follows from the answer;
Dagster's run monitoring marks a dead run as failed, and its run retries start it again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from churn_platform.automation.dagster_private import GRPC_INFO_TAG, CheckRunHealthResult, Launcher, WorkerStatus
from churn_platform.files.owners import began, lives

if TYPE_CHECKING:
    import dagster as dg

PROCESS_TAG = "churn/process"
"""The tag that names the process of a run that no code server started."""

_HERE = ("127.0.0.1", "localhost")
_CLOCK = 5.0  # seconds that the clock may have been set forward since a run began


class WatchedRunLauncher(Launcher):
    """Starts runs as Dagster's default does, and can say whether they are alive.

    Without that, a run whose code server was killed would count as under way for ever, and block its month and its
    pools for every other run.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes, so that run monitoring asks."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Look for the process that runs it, and ask the code server that started it. If in doubt, it is alive.

        The server's answer alone is not enough: once it has reloaded the definitions, as it does for every new month,
        it no longer knows the runs that it started before. Nor is the process enough: a run that is found dead is run
        again at once, which fails for good while there is no server.
        """
        if GRPC_INFO_TAG in run.tags:
            # A server that does not answer now will answer once it is back.
            alive = self.runs_here(run) or self.server_has(run.run_id) is not False
        else:
            alive = PROCESS_TAG not in run.tags or lives(run.tags[PROCESS_TAG])
        if alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the process of this run has died")

    def runs_here(self, run: dg.DagsterRun) -> bool:
        """Whether a code server on this machine started the run, and the process that its log names exists."""
        from dagster import DagsterEventType

        if GRPC_INFO_TAG not in run.tags:
            return False
        if json.loads(run.tags[GRPC_INFO_TAG])["host"] not in _HERE:
            return False
        for entry in self.instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
            number = entry.get_dagster_event().engine_event_data.metadata.get("pid")
            if number is not None:
                start = began(int(str(number.value)))
                return start is not None and start < entry.timestamp + _CLOCK  # later: the number was reused
        return False
