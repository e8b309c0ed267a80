"""Submitting: a command's run given to the platform that is up beside it.

Here: whether one is up, handing it a run, and waiting for the end of that. Not here: what was under way before
(`joining`), or running in this process (`runs`).

The platform's queue holds a run back while another one of its month is running, whoever asked for that; and the run
outlives the command.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from churn_platform.local import joining
from churn_platform.local.lock import is_locked
from churn_platform.local.steps import task_of, words
from churn_platform.months import Month
from churn_platform.progress import Follow, Step
from churn_platform.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

_QUEUE = "QUEUED_RUN_COORDINATOR"  # what Dagster calls the daemon that starts the queue's runs


def is_up(settings: Settings, instance: dg.DagsterInstance) -> bool:
    """Whether a daemon starts the runs of the queue. On one machine, no sign of life outlives its `churn up`."""
    if not settings.postgres_url.get_secret_value() and not is_locked(settings.home):
        return False
    sign = instance.get_daemon_heartbeats().get(_QUEUE)
    return sign is not None and time.time() - sign.timestamp < joining.HEARTBEAT_SECONDS


def submit(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    month: Month,
    made: Callable[..., dg.DagsterRun],
    follow: Follow,
) -> dg.DagsterRun | None:
    """Give the platform a run and wait for its end. Ctrl-C cancels it, as it would end one of this process.

    Returns None where another run of the month came first, where the platform ended meanwhile, and where Dagster runs
    it again since its process died: whoever asked has to look again. Raises RunFailedError.
    """
    import dagster as dg

    from churn_platform.automation.dagster_private import capture_interrupts

    with capture_interrupts():  # a run that is made but not queued would count as under way for a while
        run = made(process=None)
        if joining.came_first(instance, month, run):
            instance.delete_run(run.run_id)
            return None
        instance.report_dagster_event(dg.DagsterEvent.job_enqueue(run), run_id=run.run_id)
    try:
        for number, step in joining.steps(instance, run.run_id):
            follow(Step(task_of(job.name, month), number, len(job.nodes), words(step) if step else "waiting to begin"))
        ended = joining.outcome(instance, run.run_id)
    except KeyboardInterrupt:
        instance.run_coordinator.cancel_run(run.run_id)
        raise
    now = instance.get_run_by_id(run.run_id)
    if now and now.status == dg.DagsterRunStatus.QUEUED:
        instance.run_coordinator.cancel_run(run.run_id)  # nobody is left who would start it
    return ended
