"""History: the runs so far, as plain facts.

Here: asking Dagster's instance about runs. Not here: deciding on them (`triggers`), or starting any (`local.runs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from churn_platform.automation.triggers import EVENT_TAG, Run, RunState
from churn_platform.months import Month

if TYPE_CHECKING:
    import dagster as dg

PARTITION_TAG = "dagster/partition"


def runs_of(instance: dg.DagsterInstance, month: Month, *jobs: str) -> tuple[Run, ...]:
    """A month's runs of these jobs, newest first. Only the newest one's fault is looked up."""
    import dagster as dg

    found = [run for run in instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: str(month)})) if run.job_name in jobs]
    return tuple(
        Run(
            run.run_id,
            run.tags.get(EVENT_TAG, ""),
            state := _state(run),
            fault_of_run(instance, run) if state == RunState.FAILED and position == 0 else "",
        )
        for position, run in enumerate(found)
    )


def under_way(instance: dg.DagsterInstance, *jobs: str) -> str | None:
    """A sentence about a run of one of these jobs that is waiting or running, or None where there is none."""
    import dagster as dg

    from churn_platform.automation.dagster_private import NOT_FINISHED_STATUSES

    for job in jobs:
        for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=NOT_FINISHED_STATUSES), limit=1):
            return f"{job} of {run.tags.get(PARTITION_TAG, 'no month')} is under way, run {run.run_id[:8]}"
    return None


def _state(run: dg.DagsterRun) -> RunState:
    if not run.is_finished or will_retry(run):
        return RunState.UNDER_WAY
    return RunState.SUCCEEDED if run.is_success else RunState.FAILED


def will_retry(run: dg.DagsterRun) -> bool:
    """Whether Dagster is about to retry a failed run, and has not begun yet."""
    from churn_platform.automation.dagster_private import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

    return run.is_failure and run.tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_RUN_ID_TAG not in run.tags


def fault_of_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Why a run has failed, in the fault's own sentence."""
    import dagster as dg

    if run.status == dg.DagsterRunStatus.CANCELED:
        return f"run {run.run_id[:8]} was cancelled"
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    entries = instance.all_logs(run.run_id, of_type=kinds)
    return fault_of(run.run_id, [entry.dagster_event for entry in entries if entry.dagster_event])


def fault_of(run_id: str, events: Iterable[dg.DagsterEvent]) -> str:
    """The sentence of the first failed step among a run's events, or of the run where it failed before any step."""
    events = list(events)
    for event in events:
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return failure.user_failure_data.description
            if failure.error:
                return _innermost(failure.error)
    for event in events:
        if (data := event.event_specific_data) is not None and getattr(data, "error", None):
            return _innermost(data.error)  # type: ignore[union-attr]
    return f"run {run_id} failed; its log in the UI says why"


def was_interrupted(events: Iterable[dg.DagsterEvent]) -> bool:
    """Whether a signal, such as Ctrl-C's, ended the run that these events belong to."""
    import dagster as dg

    interruption = dg.DagsterExecutionInterruptedError.__name__
    return any(error.cls_name == interruption for event in events for error in _errors(event))


def _errors(event: dg.DagsterEvent) -> Iterator[Any]:
    """The error that an event reports, then those that caused it, innermost last."""
    error = getattr(event.event_specific_data, "error", None)
    while error is not None:
        yield error
        error = error.cause or error.context


def _innermost(error: Any) -> str:
    """The sentence of a `Failure`, whatever caused it; else the message of the exception that started it all."""
    while error.cls_name != "Failure" and error.cause is not None:
        error = error.cause
    message = str(error.message).strip()
    return message.partition(": ")[2] if error.cls_name == "Failure" else message
