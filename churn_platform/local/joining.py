"""Joining: what a command does beside others that run the same platform: sensors, people, other commands.

Here: finding a run of the month that is under way, and following it to its end. Not here: running a job (`runs`), or
what the platform starts by itself (`automation.watch`).

Two runs of a month would write the same tables. Dagster's queue holds the runs back that it starts; a command's run may
be in its own process, so the command looks first. A run that does what it asks for is joined: it counts as the
command's, unless what it has read has changed since, which only the command can say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from churn_platform.automation.history import failure_of, state_of
from churn_platform.automation.triggers import RunState
from churn_platform.champion.tags import PARTITION_TAG
from churn_platform.faults import Fault
from churn_platform.files.owners import lives, own_process
from churn_platform.local.steps import task_of, words
from churn_platform.months import Month
from churn_platform.progress import Follow, Step

if TYPE_CHECKING:
    import dagster as dg

HEARTBEAT_SECONDS = 60.0
"""How old a daemon's last sign of life may be; it gives one every 30 seconds."""
_POLL_SECONDS = 0.5


class RunFailedError(Fault):
    """A run that ended badly, whoever began it; the message is its fault's own sentence."""


def join(instance: dg.DagsterInstance, job: dg.JobDefinition, month: Month, follow: Follow) -> dg.RunRecord | None:
    """Wait for the month's runs that are under way. Returns the first that did what the job does, once it has ended.

    None where there is none, so that nothing is in the way.
    """
    while others := under_way(instance, month):
        run = others[0].dagster_run
        same = run.job_name == job.name
        name = f"run {run.run_id[:8]}"
        task = task_of(run.job_name, month)
        for number, told in steps(instance, run.run_id):
            if same:
                follow(Step(f"{task} (joined {name}, which was under way)", number, len(job.nodes), told))
            else:
                follow(Step(f"{task_of(job.name, month)} after {name}, {task}", 0, len(job.nodes), told))
        if same and (record := ended(instance, run.run_id)):
            return record
    return None


def ended(instance: dg.DagsterInstance, run_id: str) -> dg.RunRecord | None:
    """A run that has ended; None for one that has not, is deleted, or is run again since its process died."""
    import dagster as dg

    from churn_platform.automation.dagster_private import AUTO_RETRY_RUN_ID_TAG

    while True:
        found = instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))
        run = found[0].dagster_run if found else None
        if run is None or not run.is_finished or AUTO_RETRY_RUN_ID_TAG in run.tags:
            return None
        if state_of(found[0]) != RunState.UNDER_WAY:
            return found[0]
        time.sleep(_POLL_SECONDS)  # Dagster means to run it again, and has not begun yet


def success(instance: dg.DagsterInstance, record: dg.RunRecord) -> dg.DagsterRun:
    """A run that ended well. Raises RunFailedError for one that did not."""
    if record.dagster_run.is_success:
        return record.dagster_run
    raise RunFailedError(failure_of(instance, record.dagster_run).fault)


def came_first(instance: dg.DagsterInstance, month: Month, mine: dg.DagsterRun) -> bool:
    """Whether a run of the month that was made before mine is under way: two commands may have looked at once."""
    import dagster as dg

    [own] = instance.get_run_records(dg.RunsFilter(run_ids=[mine.run_id]))
    return any(record.storage_id < own.storage_id for record in under_way(instance, month))


def under_way(instance: dg.DagsterInstance, month: Month) -> list[dg.RunRecord]:
    """The month's runs that are waiting or running, and that somebody else will bring to an end; oldest first."""
    import dagster as dg

    from churn_platform.automation.dagster_private import NOT_FINISHED_STATUSES

    filters = dg.RunsFilter(tags={PARTITION_TAG: str(month)}, statuses=NOT_FINISHED_STATUSES)
    found = [record for record in instance.get_run_records(filters) if state_of(record) == RunState.UNDER_WAY]
    alive = [record for record in found if _is_alive(instance, record.dagster_run)]
    return sorted(alive, key=lambda record: record.storage_id)


def _is_alive(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether somebody will bring the run to an end: its process, or a daemon that starts it or notices its death.

    One of this process's own is over, since it runs them one after the other; it may only not have been able to say so.
    """
    from churn_platform.automation.launcher import PROCESS_TAG, WatchedRunLauncher

    if process := run.tags.get(PROCESS_TAG):
        return process != own_process() and lives(process)
    launcher = instance.run_launcher
    if isinstance(launcher, WatchedRunLauncher) and launcher.runs_here(run):
        return True
    signs = [heartbeat.timestamp for heartbeat in instance.get_daemon_heartbeats().values()]
    return time.time() - max(signs, default=0.0) < HEARTBEAT_SECONDS


def steps(instance: dg.DagsterInstance, run_id: str) -> Iterator[tuple[int, str]]:
    """The number and words of the run's newest step, each time that there is one, until it ends or nobody ends it."""
    import dagster as dg

    cursor, number = None, 0
    yield 0, "waiting to begin"
    while True:
        run = instance.get_run_by_id(run_id)
        over = run is None or run.is_finished or not _is_alive(instance, run)
        page = instance.get_records_for_run(run_id, cursor)
        cursor, newest = page.cursor, None
        for event in (record.event_log_entry.dagster_event for record in page.records):
            if event and event.event_type in (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SKIPPED):
                number, newest = number + 1, event.step_key
        if newest:
            yield number, words(newest)
        if over:
            return
        time.sleep(_POLL_SECONDS)
