"""Runs: Dagster runs started from this process, so that the UI shows what the command line does.

Here: running jobs in process on the shared instance, closing months, retraining. Not here: people's decisions
(`decisions`), what jobs do (`jobs`), or the words on the screen (`cli`).
"""

from __future__ import annotations

import getpass
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from churn_platform.automation.closing import not_over
from churn_platform.automation.history import fault_of, runs_of, was_interrupted
from churn_platform.automation.instance import LOCATION, answering, open_instance
from churn_platform.automation.triggers import PROMOTE, RETRAIN, RunState
from churn_platform.automation.watch import EXPECTED_DROPS
from churn_platform.champion.promotion import paused
from churn_platform.champion.receipts import Receipt
from churn_platform.contracts import USERS
from churn_platform.faults import Fault
from churn_platform.files.owners import own_process
from churn_platform.home import Home
from churn_platform.intake import deliveries
from churn_platform.intake.drops import delivered, drop_of, passed_over
from churn_platform.local import joining
from churn_platform.local.steps import followed
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.monitoring.closed import Closed, closed
from churn_platform.months import Month
from churn_platform.progress import Follow, unseen
from churn_platform.settings import Settings
from churn_platform.tables import lineage, taking
from churn_platform.tables.names import EVALUATION, FEATURES, SNAPSHOTS, TRAINING_SET, landed
from churn_platform.tables.training_set import TrainingSet, is_current
from churn_platform.telling import safe

if TYPE_CHECKING:
    import dagster as dg

    from churn_platform.automation.dagster_private import RemoteJobOrigin


class RunFailedError(Fault):
    """A run that ended badly; the message is the fault's own sentence."""


class RefusedError(Fault):
    """A request that cannot be met now; the message says what is needed first."""


class Runs:
    """Runs on the instance of these settings, one after the other in this process. `follow` is told their steps."""

    def __init__(self, settings: Settings, follow: Follow = unseen) -> None:
        self.home = Home(settings)
        self._follow = follow

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """The instance that these runs are on."""
        return open_instance(self.home.settings)

    @cached_property
    def _definitions(self) -> dg.Definitions:
        from churn_platform.definitions import build_defs

        return build_defs(self.home.settings)

    def run(
        self,
        job: str,
        month: Month | None = None,
        config: dict[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        again: dg.DagsterRun | None = None,
    ) -> dg.DagsterRun:
        """Run a job to its end. `again` is a run of it that was cut off, and that this one repeats.

        Where a run of the month is under way, it waits for that one; if that one did the very job, it is the run.

        Raises RefusedError before it runs where the platform has no such month, RunFailedError, JoinedRunFailedError,
        and KeyboardInterrupt where a signal ended it: to Dagster, Ctrl-C only fails the run, but whoever pressed it
        wants the command to end.
        """
        definition = self._definitions.resolve_job_def(job)
        with _one_sentence(), answering(self.home.settings):
            while True:
                if month and (other := joining.join(self.instance, definition, month, self._follow)):
                    return other
                if run := self._run(definition, month, lambda: self._make(definition, month, config, tags, again)):
                    return run

    def _run(
        self, job: dg.JobDefinition, month: Month | None, make: Callable[[], dg.DagsterRun]
    ) -> dg.DagsterRun | None:
        """Make a run and run it to its end; None where another one of the month came first, which it gives way to."""
        import dagster as dg

        from churn_platform.automation.dagster_private import InMemoryJob, capture_interrupts, execute_run_iterator

        # Interrupts are captured early: a run that is made but never begins would count as under way for ever.
        with capture_interrupts():
            run = make()
            if month and joining.came_first(self.instance, month, run):
                self.instance.delete_run(run.run_id)
                return None
            executing = execute_run_iterator(InMemoryJob(job), run, self.instance)
            events = list(followed(executing, job, month, self._follow))
        if any(event.event_type == dg.DagsterEventType.RUN_SUCCESS for event in events):
            return run
        if was_interrupted(events):
            raise KeyboardInterrupt
        raise RunFailedError(fault_of(run.run_id, events))

    def _make(
        self,
        job: dg.JobDefinition,
        month: Month | None,
        config: dict[str, Any] | None,
        tags: Mapping[str, str] | None,
        again: dg.DagsterRun | None,
    ) -> dg.DagsterRun:
        """A run that has not begun, with the origin by which the UI's timeline and its job's page find it."""
        from churn_platform.automation.dagster_private import MAX_RETRIES_TAG, PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG
        from churn_platform.automation.launcher import PROCESS_TAG

        parent, root = (again.run_id, again.root_run_id or again.run_id) if again else (None, None)
        return self.instance.create_run_for_job(
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
                # If this process dies, the run is found dead. The daemon could not run it again; a person can.
                PROCESS_TAG: own_process(),
                MAX_RETRIES_TAG: "0",
                **({PARENT_RUN_ID_TAG: parent, ROOT_RUN_ID_TAG: root} if parent and root else {}),
                **(tags or {}),
            },
            remote_job_origin=_origin(job.name),
        )

    def close(self, month: Month) -> Iterator[Closed]:
        """Close a month, and then close again each later month that was built from what has changed.

        Raises RefusedError or DropError before anything runs where the month cannot be closed, and RunFailedError.
        """
        self._refuse_unclosable(month)
        yield self._close(month)
        first = self.home.settings.first
        for later in self.home.lake.months(FEATURES):
            if later > month and lineage.is_stale(self.home.lake, later, first):
                yield self._close(later)

    def close_all(self) -> Iterator[Closed]:
        """Close every month that is delivered, or landed and its drop gone, and is over, oldest first.

        `left_out` says which ones are not closed. Raises RefusedError where there is no drop, and what `close` raises.
        """
        for month in self.closable():
            self._refuse_unclosable(month)
            yield self._close(month)

    def closable(self) -> tuple[Month, ...]:
        """The months that can be closed, oldest first: delivered or landed, since the first month, and over."""
        settings, lake = self.home.settings, self.home.lake
        landed_before = {month for month in lake.months(landed(USERS.name)) if taking.is_landed(lake, month)}
        months = sorted(month for month in {*self.delivered(), *landed_before} if month >= settings.first)
        return tuple(month for month in months if not_over(month, Month.of(date.today())) is None)

    def left_out(self) -> tuple[str, ...]:
        """A sentence about each drop that is not closed, or is misnamed: the sensor `drops` says the same."""
        place = (self.home.settings.drops, self.home.settings.first)
        early = (not_over(month, Month.of(date.today())) for month in delivered(*place))
        return (*deliveries.before(*place), *passed_over(*place), *(why for why in early if why))

    def delivered(self) -> tuple[Month, ...]:
        """The months that have a drop, oldest first. Raises RefusedError where there is none, and DropError."""
        settings = self.home.settings
        months = tuple(delivered(settings.drops, settings.first))
        if not months:
            none = f"there is no drop in {settings.drops} (CHURN_DROPS): {EXPECTED_DROPS}"
            raise RefusedError("; ".join((none, *passed_over(settings.drops, settings.first))))
        return months

    def retrain(self, month: Month, tags: Mapping[str, str] | None = None) -> tuple[Evaluation, Receipt | None]:
        """Train and compare a candidate, then settle the evaluation if the gate passes, unless a daemon has done it.

        Returns the receipt too where the gate passed, otherwise None; None as well while promotions are paused. Raises
        RunFailedError.
        """
        self.run(RETRAIN, month, tags=tags)
        return self._settled(month)

    def trained_by_itself(self, month: Month) -> tuple[Evaluation, Receipt | None] | None:
        """What `retrain` would return, where the platform has just done that by itself, from the data that is there.

        None where it has not: where the newest retraining for the month was a person's, or the data has changed since.
        """
        with answering(self.home.settings):
            runs = runs_of(self.instance, month, RETRAIN)
        if not runs or not runs[0].event or runs[0].state != RunState.SUCCEEDED:
            return None
        gathered = self.home.lake.document(TRAINING_SET, month, TrainingSet, "churn retrain")
        if gathered is None or not is_current(self.home.lake, month, gathered):
            return None
        return self._settled(month)

    def _settled(self, month: Month) -> tuple[Evaluation, Receipt | None]:
        """The month's evaluation and its receipt, after settling it where nobody has."""
        evaluation = self.home.lake.require_document(EVALUATION, month, Evaluation, "churn retrain")
        if not evaluation.promote:
            return evaluation, None
        if (settled := self.home.ledger.of_evaluation(evaluation)) is None:
            if paused(self.home.ledger):
                return evaluation, None
            self.run(PROMOTE, month)
            settled = self.home.ledger.of_evaluation(evaluation)
        return evaluation, settled

    def _refuse_unclosable(self, month: Month) -> None:
        settings, lake = self.home.settings, self.home.lake
        if not taking.is_landed(lake, month):
            drop_of(settings.drops, settings.first, month)
        if later := not_over(month, Month.of(date.today())):
            raise RefusedError(later)
        if month > settings.first and not lake.has(FEATURES, month - 1):
            raise RefusedError(f"{month} cannot be closed before {month - 1}: close {month - 1} first")

    def _close(self, month: Month) -> Closed:
        before = self._state(month)
        self.run("month_close", month)
        return closed(self.home, month, changed=bool(before) and self._state(month) != before)

    def _state(self, month: Month) -> dict[str, str]:
        """The content of the month's snapshots; empty where it is not closed."""
        lake = self.home.lake
        return {name: lake.sha256(name, month) for name in SNAPSHOTS if lake.has(name, month)}


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Hold back what libraries write to stderr beside what they raise, unless what is raised is a bug."""
    written = io.StringIO()
    try:
        with redirect_stderr(written):
            yield
    except (Fault, KeyboardInterrupt):
        raise
    except BaseException:
        sys.stderr.write(safe(written.getvalue()))
        raise


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
