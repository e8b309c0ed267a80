"""History: the runs so far, as plain facts.

Here: asking Dagster's instance about runs. Not here: deciding on them (`triggers`), or starting any (`local.runs`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from churn_platform.automation.triggers import EVENT_TAG, Run, RunState
from churn_platform.champion.tags import PARTITION_TAG
from churn_platform.months import Month
from churn_platform.shown import as_text

if TYPE_CHECKING:
    import dagster as dg

PATIENCE = 120.0
"""Seconds within which a run that was made begins, and one that Dagster means to retry is retried."""


class Failure(NamedTuple):
    """Why a run has failed, in the fault's own sentence, and whether trying again helps (see `Fault`)."""

    fault: str
    lasting: bool


def runs_of(instance: dg.DagsterInstance, month: Month, *jobs: str) -> tuple[Run, ...]:
    """A month's runs of these jobs, newest first. Only the newest one's fault is looked up."""
    import dagster as dg

    records = instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: str(month)}))
    found = [record for record in records if record.dagster_run.job_name in jobs]
    return tuple(_run(instance, record, newest=position == 0) for position, record in enumerate(found))


def _run(instance: dg.DagsterInstance, record: dg.RunRecord, *, newest: bool) -> Run:
    run, state = record.dagster_run, state_of(record)
    failure = failure_of(instance, run) if newest and state == RunState.FAILED else Failure("", lasting=False)
    return Run(run.run_id, run.tags.get(EVENT_TAG, ""), state, failure.fault, failure.lasting, _since(record))


def under_way(instance: dg.DagsterInstance, *jobs: str) -> str | None:
    """A sentence about a run of one of these jobs that is waiting or running, or None where there is none."""
    import dagster as dg

    from churn_platform.automation.dagster_private import NOT_FINISHED_STATUSES

    for job in jobs:
        for record in instance.get_run_records(dg.RunsFilter(job_name=job, statuses=NOT_FINISHED_STATUSES)):
            if state_of(record) == RunState.UNDER_WAY:
                run = record.dagster_run
                return f"{job} of {run.tags.get(PARTITION_TAG, 'no month')} is under way, run {run.run_id[:8]}"
    return None


def state_of(record: dg.RunRecord) -> RunState:
    """How a run stands. One that is about to begin, or to be retried, and does not within a while never will.

    Whoever was to see to that has died in between, and neither Dagster's run monitoring nor its retries return to it.
    """
    import dagster as dg

    run = record.dagster_run
    if run.is_success:
        return RunState.SUCCEEDED
    if run.status == dg.DagsterRunStatus.NOT_STARTED or _will_retry(run):
        return RunState.FAILED if _since(record) > PATIENCE else RunState.UNDER_WAY
    return RunState.FAILED if run.is_finished else RunState.UNDER_WAY


def _since(record: dg.RunRecord) -> float:
    """Seconds since the run ended; where it has not, since it last changed."""
    return max(0.0, time.time() - (record.end_time or record.update_timestamp.timestamp()))


def _will_retry(run: dg.DagsterRun) -> bool:
    """Whether Dagster means to retry a failed run, and has not begun yet."""
    from churn_platform.automation.dagster_private import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

    return run.is_failure and run.tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_RUN_ID_TAG not in run.tags


def failure_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Failure:
    """Why a run has failed, and whether that is a lasting fault. What a person has cancelled stays so."""
    import dagster as dg

    if run.status == dg.DagsterRunStatus.CANCELED:
        return Failure("the run was cancelled", lasting=True)
    if not run.is_finished:
        return Failure("the run was made, but never began", lasting=False)
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    entries = instance.all_logs(run.run_id, of_type=kinds)
    events = [entry.dagster_event for entry in entries if entry.dagster_event]
    if was_interrupted(events):
        return Failure("the run was interrupted", lasting=False)
    return Failure(fault_of(run.run_id, events), _is_lasting(events))


def _is_lasting(events: Iterable[dg.DagsterEvent]) -> bool:
    """Whether a step failed with a fault that comes back however often it is tried."""
    from churn_platform.assets.faults import LASTING

    told = [event.step_failure_data.user_failure_data for event in events if event.is_step_failure]
    return any(LASTING in failure.metadata and failure.metadata[LASTING].value for failure in told if failure)


def failed_checks(instance: dg.DagsterInstance, asset: str, checks: Iterable[str], month: Month) -> tuple[str, ...]:
    """Those of an asset's checks that Dagster shows as failed for a month."""
    import dagster as dg

    from churn_platform.automation.dagster_private import PartitionKeyFilter

    keys = [dg.AssetCheckKey(dg.AssetKey(asset), check) for check in checks]
    of_month = PartitionKeyFilter(key=str(month))
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys, of_month)
    return tuple(key.name for key, record in found.items() if record.status.value == "FAILED")


def fault_of(run_id: str, events: Iterable[dg.DagsterEvent]) -> str:
    """The sentence of the first failed step among a run's events, or of the run where it failed before any step.

    Whatever raised it, it is one line.
    """
    return as_text(_fault_of(run_id, list(events)))


def _fault_of(run_id: str, events: list[dg.DagsterEvent]) -> str:
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
