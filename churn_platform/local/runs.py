"""Runs: Dagster runs started from this process, so that the UI shows what the command line does.

Here: running jobs on the shared instance, in this process or through a platform that is up; closing months, retraining.
Not here: people's decisions (`decisions`), what jobs do (`jobs`), or the words on the screen (`cli`).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from datetime import date
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from churn_platform.automation.closing import MonthFacts, not_over
from churn_platform.automation.history import fault_of, runs_of, was_interrupted
from churn_platform.automation.instance import answering, open_instance
from churn_platform.automation.triggers import CLOSE, EVENT_TAG, MATURE, PROMOTE, RETRAIN, RunState
from churn_platform.automation.watch import EXPECTED_DROPS, month_facts
from churn_platform.champion.promotion import paused
from churn_platform.champion.receipts import Receipt
from churn_platform.faults import Fault
from churn_platform.files.owners import own_process
from churn_platform.home import Home
from churn_platform.intake import deliveries
from churn_platform.intake.drops import delivered, drop_of, passed_over
from churn_platform.local import joining, submitting
from churn_platform.local.joining import RunFailedError
from churn_platform.local.making import RefusedError, make
from churn_platform.local.steps import followed
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.monitoring.closed import Closed, closed
from churn_platform.months import Month
from churn_platform.progress import Follow, unseen
from churn_platform.settings import Settings
from churn_platform.tables import lineage, taking
from churn_platform.tables.names import EVALUATION, FEATURES, TRAINING_SET
from churn_platform.tables.training_set import TrainingSet, is_current, months_to_learn_from
from churn_platform.telling import safe

if TYPE_CHECKING:
    import dagster as dg


class Runs:
    """Runs on the instance of these settings, one after the other in this process. `follow` is told their steps."""

    def __init__(self, settings: Settings, follow: Follow = unseen) -> None:
        self.home = Home(settings)
        self._follow = follow
        self._own: set[str] = set()

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
        *,
        own: bool = False,
    ) -> dg.DagsterRun:
        """Run a job to its end. `again` is a run of it that was cut off, and that this one repeats.

        Where a run of the month is under way, it waits for that one. If that one did the very job, from what is there
        now, it is the run, unless it has to be an `own` one. Where a platform is up, its queue has the run; otherwise,
        and without a month, it is executed in this process.

        Raises RefusedError before it runs where the platform has no such month, RunFailedError, and
        KeyboardInterrupt where a signal ended it: to Dagster, Ctrl-C only fails the run, but whoever pressed it
        wants the command to end.
        """
        definition = self._definitions.resolve_job_def(job)
        made = partial(make, self.instance, definition, month, config=config, tags=tags or {}, again=again)
        with _one_sentence(), answering(self.home.settings):
            while True:
                if month and (other := joining.join(self.instance, definition, month, self._follow)):
                    if not own and self._is_of_now(month, other):
                        return joining.success(self.instance, other)
                    continue
                if month and submitting.is_up(self.home.settings, self.instance):
                    run = submitting.submit(self.instance, definition, month, made, self._follow)
                else:
                    run = self._execute(definition, month, made)
                if run:
                    self._own.add(run.run_id)
                    return run

    def _is_of_now(self, month: Month, record: dg.RunRecord) -> bool:
        """Whether somebody else's run of the month has read what there is now."""
        import dagster as dg

        run, lake = record.dagster_run, self.home.lake
        if run.status == dg.DagsterRunStatus.CANCELED:
            return False  # by whoever had asked for it, or tidied up after a platform that had ended
        if run.job_name == RETRAIN:
            gathered = lake.document(TRAINING_SET, month, TrainingSet, "churn retrain")
            return run.is_success and gathered is not None and is_current(lake, month, gathered)
        drop = delivered(self.home.settings.drops, self.home.settings.first).get(month)
        if run.job_name == MATURE and self.home.contract.leaves:
            return False  # it follows from other months' drops as well
        if run.job_name not in (CLOSE, MATURE) or drop is None:
            return True
        changed = max(path.stat().st_ctime for path in (drop, *drop.rglob("*")) if path.exists())
        return changed < (record.start_time or record.create_timestamp.timestamp())

    def _execute(
        self, job: dg.JobDefinition, month: Month | None, made: Callable[..., dg.DagsterRun]
    ) -> dg.DagsterRun | None:
        """Make a run and run it to its end here; None where another one of the month came first, and has to end."""
        import dagster as dg

        from churn_platform.automation import dagster_private as private

        events: list[dg.DagsterEvent] = []
        # Interrupts are captured early: a run that is made but never begins would count as under way for ever.
        with private.capture_interrupts() as captured:
            run = made(process=own_process())
            if behind := month is not None and joining.came_first(self.instance, month, run):
                self.instance.delete_run(run.run_id)
                interrupted = captured()
            else:
                executing = private.execute_run_iterator(private.InMemoryJob(job), run, self.instance)
                events = list(followed(executing, job, month, self._follow))
                interrupted = was_interrupted(events)
        if behind and not interrupted:
            return None
        if any(event.event_type == dg.DagsterEventType.RUN_SUCCESS for event in events):
            return run
        if interrupted:
            raise KeyboardInterrupt
        raise RunFailedError(fault_of(run.run_id, events))

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
        self._see_who_left()

    def close_all(self) -> Iterator[Closed]:
        """Close every month that is delivered, or landed and its drop gone, and is over, oldest first.

        `left_out` says which ones are not closed. Raises RefusedError where there is no drop, and what `close` raises.
        """
        for month in self.closable():
            self._refuse_unclosable(month)
            yield self._close(month)
        self._see_who_left()

    def _see_who_left(self) -> None:
        """Mature the months of which closed ones have come to say who has left."""
        for facts in month_facts(self.home, settle_seconds=0) if self.home.contract.leaves else ():
            if facts.to_mature:
                self.run(MATURE, facts.month, tags={EVENT_TAG: facts.event})

    def closable(self) -> tuple[Month, ...]:
        """The months that can be closed, oldest first: delivered or landed, since the first month, and over."""
        settings, lake = self.home.settings, self.home.lake
        whole = {month for month in taking.landed_months(lake) if taking.is_landed(lake, month)}
        months = sorted(month for month in {*self.delivered(), *whole} if month >= settings.first)
        return tuple(month for month in months if not_over(month, Month.of(date.today())) is None)

    def left_out(self) -> tuple[str, ...]:
        """A sentence about each drop that is not closed, or is misnamed: the sensor `drops` says the same."""
        place = (self.home.settings.drops, self.home.settings.first)
        early = (not_over(month, Month.of(date.today())) for month in delivered(*place))
        misnamed = passed_over(*place, self.home.contract.tables)
        return (*deliveries.before(*place), *misnamed, *(why for why in early if why))

    def delivered(self) -> tuple[Month, ...]:
        """The months that have a drop, oldest first. Raises RefusedError where there is none, and DropError."""
        settings = self.home.settings
        months = tuple(delivered(settings.drops, settings.first))
        if not months:
            none = f"there is no drop in {settings.drops} (CHURN_DROPS): {EXPECTED_DROPS}"
            raise RefusedError(
                "; ".join((none, *passed_over(settings.drops, settings.first, self.home.contract.tables)))
            )
        return months

    def retrain(
        self, month: Month, tags: Mapping[str, str] | None = None, *, own: bool = False
    ) -> tuple[Evaluation, Receipt | None]:
        """Train and compare a candidate, then settle the evaluation if the gate passes, unless a daemon has done it.

        Returns the receipt too where the gate passed, otherwise None; None as well while promotions are paused. Raises
        NotTrainableError before anything runs where the month has no labels, and RunFailedError.
        """
        if not_over(month, Month.of(date.today())) is None:  # a later one is refused as none of the platform's
            months_to_learn_from(self.home.lake, month)
        self.run(RETRAIN, month, tags=tags, own=own)
        return self._settled(month)

    def not_taken_in(self, month: Month) -> str | None:
        """A sentence about what has happened to the month and is not taken in yet; None where nothing has."""
        facts = self._facts(month)
        if facts is None or facts.unready or not (facts.to_close or facts.to_mature):
            return None
        return f"{facts.why}, which is not taken in yet"

    def trained_by_itself(self, month: Month) -> tuple[Evaluation, Receipt | None] | None:
        """What `retrain` would return, where the platform has just done that by itself, from the data that is there.

        None where it has not: where the newest retraining for the month was a person's, or the data, the declaration,
        the champion or the settings have changed since. Raises NotTrainableError where one would be refused by now.
        """
        with answering(self.home.settings):
            runs = runs_of(self.instance, month, RETRAIN)
        if not runs or not runs[0].event or runs[0].state != RunState.SUCCEEDED:
            return None
        gathered = self.home.lake.document(TRAINING_SET, month, TrainingSet, "churn retrain")
        if gathered is None or not is_current(self.home.lake, month, gathered) or not self._would_be_same(month):
            return None
        return self._settled(month)

    def _would_be_same(self, month: Month) -> bool:
        """Whether training now would compare the same candidate with the same champion, by the same rule."""
        settings, registry = self.home.settings, self.home.registry
        evaluation = self.home.lake.document(EVALUATION, month, Evaluation, "churn retrain")
        if evaluation is None or evaluation.delta != settings.delta:
            return False
        receipt, champion = self.home.ledger.of_evaluation(evaluation), registry.champion()
        winner = evaluation.candidate if receipt and receipt.appoints else evaluation.champion
        if (champion and champion.number) != (winner and winner.version):
            return False  # somebody has decided otherwise since
        made_by = registry.parameters(registry.version(evaluation.candidate.version))
        return (made_by.get("estimator"), made_by.get("seed")) == (settings.estimator, str(settings.seed))

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
        # A run that says what it is about is not repeated by a sensor, which waits for something else to happen.
        facts = self._facts(month)
        run = self.run(CLOSE, month, tags={EVENT_TAG: facts.event} if facts else None)
        told = bool(before) and run.run_id in self._own  # before somebody else's there was another state
        return closed(self.home, month, changed=told and self._state(month) != before)

    def _facts(self, month: Month) -> MonthFacts | None:
        """What a sensor would decide on about the month, if its drop had settled; None where there is no such month."""
        return next((facts for facts in month_facts(self.home, settle_seconds=0) if facts.month == month), None)

    def _state(self, month: Month) -> dict[str, str]:
        """The content of the month's snapshots; empty where it is not closed."""
        lake = self.home.lake
        return {name: lake.sha256(name, month) for name in lake.contract.snapshots if lake.has(name, month)}


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
