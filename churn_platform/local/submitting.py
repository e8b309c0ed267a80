"""Submitting: a command's run given to the platform that is up beside it.

Here: whether one is up, handing it a run, and waiting for the end of that. Not here: what was under way before
(`joining`), or running in this process (`runs`).

The platform's queue holds a run back while another one of its month is running, whoever asked for that. The run goes on
if the command is killed; Ctrl-C cancels it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from churn_platform.local import joining
from churn_platform.local.lock import held_since
from churn_platform.local.steps import task_of
from churn_platform.months import Month
from churn_platform.progress import Follow, Step
from churn_platform.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

_QUEUE = "QUEUED_RUN_COORDINATOR"  # what Dagster calls the daemon that starts the queue's runs


def is_up(settings: Settings, instance: dg.DagsterInstance) -> bool:
    """Whether a daemon starts the runs of the queue: that of the `churn up` that is up, or one of other machines."""
    since = held_since(settings.home)
    if since is None:
        if not settings.postgres_url.get_secret_value():
            return False  # its last sign of life outlives a `churn up`
        since = 0.0
    sign = instance.get_daemon_heartbeats().get(_QUEUE)
    return sign is not None and sign.timestamp > max(since, time.time() - joining.HEARTBEAT_SECONDS)


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

    with capture_interrupts() as captured:  # a run that is made but not queued would count as under way for a while
        run = made(process=None)
        behind, interrupted = joining.came_first(instance, month, run), captured()
        if behind or interrupted:
            instance.delete_run(run.run_id)
        else:
            instance.report_dagster_event(dg.DagsterEvent.job_enqueue(run), run_id=run.run_id)
    if interrupted:
        raise KeyboardInterrupt
    if behind:
        return None
    try:
        for number, told in joining.steps(instance, run.run_id):
            follow(Step(task_of(job.name, month), number, len(job.nodes), told))
        ended = joining.ended(instance, run.run_id)
    except KeyboardInterrupt:
        _cancel(instance, run.run_id)
        raise
    now = instance.get_run_by_id(run.run_id)
    if now and now.status == dg.DagsterRunStatus.QUEUED:  # nobody is left who would start it
        _cancel(instance, run.run_id)
        instance.delete_run(run.run_id)
    return joining.success(instance, ended) if ended else None


def _cancel(instance: dg.DagsterInstance, run_id: str) -> None:
    """Cancel a run. Where its code server is away, the run ends with that, or Dagster finds it dead.

    One that is only being started ends as failed, and would be run again.
    """
    import dagster as dg

    from churn_platform.automation.dagster_private import MAX_RETRIES_TAG

    with suppress(dg.DagsterError):
        instance.add_run_tags(run_id, {MAX_RETRIES_TAG: "0"})
        instance.run_coordinator.cancel_run(run_id)
