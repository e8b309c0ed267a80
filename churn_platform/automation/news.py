"""News: what people should know, found in runs, receipts and the lake.

Here: which events become alerts, and in which words. Not here: sending them once (`alerts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from churn_platform.automation.alerts import Alert, Outbox
from churn_platform.automation.history import failure_of, state_of
from churn_platform.automation.triggers import CLOSE, EVENT_TAG, MATURE, RETRAIN, RunState
from churn_platform.champion.agreement import findings
from churn_platform.champion.receipts import Receipt, digest_of
from churn_platform.champion.tags import CAUSE_TAG, PARTITION_TAG
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.months import Month
from churn_platform.shown import counted
from churn_platform.tables.names import EVALUATION, FEATURES

if TYPE_CHECKING:
    import dagster as dg

DAYS = 7
"""How many days back runs are looked at: longer than any daemon should be down."""


def tell(home: Home, instance: dg.DagsterInstance) -> str:
    """Send what is new, and say in a sentence how that went."""
    settings = home.settings
    outbox = Outbox(settings.home / "alerts", settings.alert_urls.get_secret_value())
    done = outbox.send(alerts(home, instance, date.today()))
    if done.failed:
        failed = f"{counted(done.failed, 'alert')} could not be sent, to be tried again: check CHURN_ALERT_URLS"
        return f"{failed}; {done.sent} sent"
    return f"{counted(done.sent, 'alert')} sent" if done.sent else "nothing new to report"


def alerts(home: Home, instance: dg.DagsterInstance, today: date) -> Iterator[Alert]:
    """Everything worth reporting, new or not, the oldest of each kind first."""
    yield from _of_runs(home, instance)
    yield from _of_disagreements(home)
    yield from _of_decisions(home)
    yield from _of_features(home, today)


def _of_runs(home: Home, instance: dg.DagsterInstance) -> Iterator[Alert]:
    import dagster as dg

    settings = home.settings
    since = datetime.now(UTC) - timedelta(days=DAYS)
    for record in reversed(instance.get_run_records(dg.RunsFilter(updated_after=since))):
        run = record.dagster_run
        month, link = run.tags.get(PARTITION_TAG, ""), settings.run_url(run.run_id)
        cause, event = run.tags.get(CAUSE_TAG, "by hand"), run.tags.get(EVENT_TAG, run.run_id)
        if run.job_name == RETRAIN:
            yield Alert(f"retraining {event}", f"Retraining for {month} started", f"{cause}\n{link}")
        if state_of(record) == RunState.FAILED:
            failure = failure_of(instance, run)
            title = f"{month} stopped" if run.job_name in (CLOSE, MATURE) else f"{run.job_name} {month} failed".strip()
            again = "" if failure.lasting or EVENT_TAG not in run.tags else "\nIt is tried again by itself."
            day = record.update_timestamp.date()  # however often it is tried, once a day is enough
            yield Alert(f"failure of {run.job_name} {event} {day}", title, f"{failure.fault}{again}\n{link}")


def _of_disagreements(home: Home) -> Iterator[Alert]:
    """Whether registry and receipts tell different stories. While a store is away, that is for others to report."""
    try:
        newest = home.ledger.newest()
        found = findings(home.registry, home.ledger) if newest else []  # before that, opening a registry would make it
    except Fault:
        return
    for told in found:
        yield Alert(f"disagreement after {newest}: {told}", "Champion and receipts disagree", told)


def _of_decisions(home: Home) -> Iterator[Alert]:
    for receipt in _receipts(home):
        told = "".join(f"\nAt that time {despite}" for despite in receipt.despite)
        body = f"{receipt.reason}\nDecided by {receipt.decided_by}.{told}"
        yield Alert(f"receipt {receipt.number}", receipt.title[0].upper() + receipt.title[1:], body)
    for month in home.lake.months(FEATURES):
        evaluation = home.lake.document(EVALUATION, month, Evaluation, "churn retrain")
        if evaluation is not None and not evaluation.promote:
            title = f"Version {evaluation.candidate.version} not promoted"
            yield Alert(f"evaluation {digest_of(evaluation)}", title, evaluation.decision)


def _receipts(home: Home) -> tuple[Receipt, ...]:
    """Every receipt; none while they cannot be read, which must not keep other news back."""
    try:
        return home.ledger.all()
    except Fault:
        return ()


def _of_features(home: Home, today: date) -> Iterator[Alert]:
    """Whether the feature table of the last month that should be closed by now is missing."""
    newest = max(home.lake.months(FEATURES), default=None)
    due = Month.of(today - timedelta(days=home.settings.features_due_days)) - 1
    if newest is not None and newest < due:
        ended = f"{newest + 1} ended on {(newest + 1).as_of} and is not closed yet"
        body = f"{ended}; scores and predictions are still for {newest}."
        yield Alert(f"stale features {due}", f"The features are still those of {newest}", body)
