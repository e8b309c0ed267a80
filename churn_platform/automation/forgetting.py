"""Forgetting: the run in which customers are erased, beside whatever else is running.

Here: the job, and waiting for runs that may have read the customers before they were erased, and would write them back.
Not here: erasing (`erasure`), or who asks for it (`cli`, `serving`).
"""

import time
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from churn_platform import erasure_requests
from churn_platform.assets.faults import told_plainly
from churn_platform.automation.dagster_private import WorkerStatus
from churn_platform.erasure import erasing
from churn_platform.files import locked
from churn_platform.home import Home
from churn_platform.shown import counted

FORGET = "forget_customers"
OP = "forget"

_POLL_SECONDS = 0.5
_RUNS = 100
"""How many of the newest erasures are looked at for those of one request."""
_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_BEGUN = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


class Forgetting(dg.Config):
    """Which request: its file names the customers, whom no run's configuration does."""

    request: str


@dg.op(name=OP)
def forget(context: dg.OpExecutionContext, config: Forgetting, home: dg.ResourceParam[Home]) -> None:
    """Erase the customers of a request from everything that the platform keeps, with a receipt."""
    with told_plainly(), locked(home.settings.erasure_requests / ".lock"):  # since each waits for all other runs
        if (receipt := home.ledger.of_decision(config.request)) is None:
            gone = _erase(context, home, config.request)
            request = erasure_requests.read(home.settings.erasure_requests, config.request)
            receipt = erasing.finish(home, config.request, request, context.run_id)
            context.add_output_metadata(gone)
        context.add_output_metadata({"receipt": home.ledger.place(receipt.number)})
        erasure_requests.remove(home.settings.erasure_requests, config.request)


def _erase(context: dg.OpExecutionContext, home: Home, name: str) -> dict[str, int]:
    """Erase as often as it takes: until no other run was at work meanwhile that may have read them before.

    Nothing that begins by itself does so as long as the request waits. What a person begins finds nobody in a drop, but
    may have read a table just before it was replaced.
    """
    request, instance = erasing.begin(home, name), context.instance
    context.log.info(f"erasing {counted(len(request.customers), 'customer')}")
    gone: dict[str, int] = {}
    _wait(context, _running(instance, context.run_id))
    while True:
        began = datetime.now(UTC)
        erasing.note(home, name)
        for place, more in erasing.erase(home, request.customers).items():
            gone[place] = gone.get(place, 0) + more
        if not (others := _at_work_since(instance, began, context.run_id)):
            return gone
        _wait(context, others)


def config_of(name: str) -> dict[str, Any]:
    """The configuration of a run that does what the request of this name asks for."""
    return {"ops": {OP: {"config": {"request": name}}}}


def runs_of(instance: dg.DagsterInstance, name: str) -> list[dg.RunRecord]:
    """The runs that were to do what the request of this name asks for."""
    records = instance.get_run_records(dg.RunsFilter(job_name=FORGET), limit=_RUNS)
    return [record for record in records if record.dagster_run.run_config == config_of(name)]


def _wait(context: dg.OpExecutionContext, runs: set[str]) -> None:
    while left := runs & _running(context.instance, context.run_id):
        context.log.info(f"waiting for {', '.join(sorted(run[:8] for run in left))}, which began before")
        while left == runs & _running(context.instance, context.run_id):
            time.sleep(_POLL_SECONDS)


def _at_work_since(instance: dg.DagsterInstance, began: datetime, own: str) -> set[str]:
    """The runs of other jobs that were at work at any time since then."""
    ended = instance.get_runs(dg.RunsFilter(updated_after=began, statuses=list(_ENDED)))
    return _running(instance, own) | {run.run_id for run in ended if run.job_name != FORGET}


def _running(instance: dg.DagsterInstance, own: str) -> set[str]:
    """The runs that have begun and not ended, but for erasures; not those whose processes have died."""
    runs = instance.get_runs(dg.RunsFilter(statuses=list(_BEGUN)))
    return {run.run_id for run in runs if run.run_id != own and run.job_name != FORGET and _is_alive(instance, run)}


def _is_alive(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    launcher = instance.run_launcher
    return (
        not launcher.supports_check_run_worker_health
        or launcher.check_run_worker_health(run).status != WorkerStatus.NOT_FOUND
    )


@dg.job(name=FORGET, description="Erase customers from everything that the platform keeps: churn forget asks for it.")
def forget_customers() -> None:
    """One op, so that an erasure is a run like any other."""
    forget()
