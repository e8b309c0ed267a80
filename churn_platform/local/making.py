"""Making: a Dagster run for a job and a month that nobody has begun yet.

Here: what such a run says of itself: its month, who asked for it, where the UI finds its job. Not here: executing it,
which this process does (`runs`), or a platform that is up (`submitting`).
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from churn_platform.automation.instance import LOCATION
from churn_platform.faults import Fault
from churn_platform.months import Month

if TYPE_CHECKING:
    import dagster as dg

    from churn_platform.automation.dagster_private import RemoteJobOrigin


class RefusedError(Fault):
    """A request that cannot be met now; the message says what is needed first."""


def make(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    month: Month | None,
    *,
    config: dict[str, Any] | None,
    tags: Mapping[str, str],
    again: dg.DagsterRun | None,
    process: str | None,
) -> dg.DagsterRun:
    """A run that has not begun, with the origin by which the UI's timeline and its job's page find it.

    `again` is the run that it repeats; `process` names the process that will execute it, None stands for Dagster's
    queue. Raises RefusedError where the platform has no such month.
    """
    from churn_platform.automation.dagster_private import MAX_RETRIES_TAG, PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG
    from churn_platform.automation.launcher import PROCESS_TAG

    parent, root = (again.run_id, again.root_run_id or again.run_id) if again else (None, None)
    return instance.create_run_for_job(
        job,
        parent_run_id=parent,
        root_run_id=root,
        run_config={
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},  # the UI has the log
            **({"ops": config} if config else {}),
        },
        tags={
            **job.run_tags,
            **(_partition(job, month) if month else {}),
            "churn/by": getpass.getuser(),
            # If that process dies, Dagster finds the run dead. The daemon cannot run it again, but a person can.
            **({PROCESS_TAG: process, MAX_RETRIES_TAG: "0"} if process else {}),
            **({PARENT_RUN_ID_TAG: parent, ROOT_RUN_ID_TAG: root} if parent and root else {}),
            **tags,
        },
        remote_job_origin=_origin(job.name),
    )


def _partition(job: dg.JobDefinition, month: Month) -> Mapping[str, str]:
    """The tags of a run for this month. Raises RefusedError where the platform has no such month."""
    months = job.partitions_def
    assert months is not None, f"{job.name} is not run by month"
    if not months.has_partition_key(str(month)):
        first, last = months.get_first_partition_key(), months.get_last_partition_key()
        known = f"they begin with {first} (CHURN_FIRST_MONTH) and end with {last}" if first else "none has ended yet"
        raise RefusedError(f"{month} is not one of the platform's months: {known}")
    return job.get_tags_for_partition_key(str(month), selected_asset_keys=None)


def _origin(job: str) -> RemoteJobOrigin:
    """Where the UI finds the job: in the code location that `churn up` serves."""
    from churn_platform.automation import dagster_private

    location = dagster_private.RegisteredCodeLocationOrigin(LOCATION)
    repository = dagster_private.RemoteRepositoryOrigin(location, dagster_private.SINGLETON_REPOSITORY_NAME)
    return dagster_private.RemoteJobOrigin(repository, job)
