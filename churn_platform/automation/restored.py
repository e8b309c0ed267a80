"""Restored: the runs of a platform that was brought back from a backup.

Here: ending those that were under way when it was made. Not here: bringing it back (`backup.restoring`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg


def end_runs(instance: dg.DagsterInstance, made_at: str) -> int:
    """End the runs that were under way when the backup was made, and say how many there were.

    Their processes are another platform's, perhaps another machine's, so nobody could find out that they are gone.
    They count as failed, so Dagster starts those again that it starts again where a process dies; those that somebody
    was cancelling are cancelled. Those that waited in the queue still wait.
    """
    import dagster as dg

    status = dg.DagsterRunStatus
    begun = dg.RunsFilter(statuses=[status.STARTING, status.STARTED, status.CANCELING])
    runs = instance.get_runs(begun)
    for run in runs:
        told = f"it was under way when the backup of {made_at} was made"
        if run.status == status.CANCELING:
            instance.report_run_canceled(run, told)
        else:
            instance.report_run_failed(run, told)
    return len(runs)
