"""Forgetting: the run in which customers are erased, beside whatever else is running.

Here: the job, and waiting for runs that may have read the customers before they were erased, and would write them back.
Not here: erasing (`erasure`), or who asks for it (`cli`, `serving`).
"""

import time

import dagster as dg

from churn_platform.assets.faults import told_plainly
from churn_platform.automation.dagster_private import WorkerStatus
from churn_platform.erasure import erasing
from churn_platform.files import locked
from churn_platform.home import Home
from churn_platform.shown import counted

FORGET = "forget_customers"
OP = "forget"

_POLL_SECONDS = 0.5
_BEGUN = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


class Forgetting(dg.Config):
    """Which request: its file names the customers, whom no run's configuration does."""

    request: str


@dg.op(name=OP)
def forget(context: dg.OpExecutionContext, config: Forgetting, home: dg.ResourceParam[Home]) -> None:
    """Erase the customers of a request from everything that the platform keeps, with a receipt."""
    with told_plainly(), locked(home.settings.erasure_requests / ".lock"):  # since each waits for all other runs
        request = erasing.begin(home, config.request)
        context.log.info(f"erasing {counted(len(request.customers), 'customer')}")
        gone = erasing.erase(home, request.customers)
        # Whatever has begun by now may have read them before. What begins later finds nobody.
        if others := _running(context.instance, context.run_id):
            context.log.info(f"waiting for {counted(len(others), 'run')} that began before")
            while others := others & _running(context.instance, context.run_id):
                time.sleep(_POLL_SECONDS)
            for place, more in erasing.erase(home, request.customers).items():
                gone[place] += more
        receipt = erasing.finish(home, config.request, request, context.run_id)
    context.add_output_metadata({**gone, "receipt": home.ledger.place(receipt.number)})


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
