"""News: what people should know, found in runs, receipts and the lake.

Here: which events become alerts, and in which words. Not here: sending them once (`alerts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from churn_platform.automation import unsafe
from churn_platform.automation.alerts import Alert, Outbox
from churn_platform.automation.history import failure_of, state_of
from churn_platform.automation.triggers import CLOSE, EVENT_TAG, MATURE, RETRAIN, RunState
from churn_platform.champion.agreement import findings
from churn_platform.champion.receipts import Receipt, digest_of
from churn_platform.champion.tags import CAUSE_TAG, PARTITION_TAG
from churn_platform.company.reading import edited
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.monitoring.closed import closed
from churn_platform.monitoring.consequences import of_champion
from churn_platform.months import Month
from churn_platform.shown import MOST, as_text, counted
from churn_platform.tables.names import EVALUATION, FEATURES

if TYPE_CHECKING:
    import dagster as dg

DAYS = 7
"""How many days back runs are looked at: longer than any daemon should be down."""
MINUTES = 10
"""How many minutes back a screen looks at them."""

_SUBJECT = re.compile(r"version \d+|\d{4}-\d\d", re.IGNORECASE)


def tell(home: Home, instance: dg.DagsterInstance) -> str:
    """Send what is new, and say in a sentence how that went."""
    done = _outbox(home).send(alerts(home, instance, date.today()))
    if done.failed:
        failed = f"{counted(done.failed, 'alert')} could not be sent, to be tried again: check CHURN_ALERT_URLS"
        return f"{failed}; {done.sent} sent"
    return f"{counted(done.sent, 'alert')} sent" if done.sent else "nothing new to report"


def tell_of_declaration(home: Home) -> None:
    """Send what is new about the declaration and the champion; what cannot be sent now is sent by `tell`."""
    _outbox(home).send(_of_declaration(home))


def _outbox(home: Home) -> Outbox:
    return Outbox(home.settings.home / "alerts", home.settings.alert_urls.get_secret_value())


def alerts(home: Home, instance: dg.DagsterInstance, today: date) -> Iterator[Alert]:
    """Everything worth reporting, new or not, the oldest of each kind first."""
    yield from _of_runs(home, _records(instance, timedelta(days=DAYS)), instance)
    yield from _of_disagreements(home)
    yield from _of_edits(home)
    yield from _of_declaration(home)
    yield from _of_unsafety(home)
    yield from _of_decisions(home)
    yield from _of_features(home, today)


class Happening(NamedTuple):
    """What a screen tells of an event, which it tells once."""

    event: str
    text: str


def happening(home: Home, instance: dg.DagsterInstance, today: date) -> Iterator[Iterator[Happening]]:
    """What a screen shows as it happens, by kind: closed months too, but nothing that needs MLflow.

    It is asked every few seconds. Going through a kind raises a Fault where that cannot be read.
    """
    records = _records(instance, timedelta(minutes=MINUTES))
    for record in records:
        yield _of_closing(home, record)
    for found in (
        _of_edits(home),
        _of_runs(home, records, instance),
        _of_decisions(home),
        _of_features(home, today),
    ):
        yield (Happening(alert.event, in_a_line(alert)) for alert in found)


def in_a_line(alert: Alert) -> str:
    """What happened, once, without the link to a page, and without what would steer a terminal."""
    first = alert.body.split("\n")[0]
    subject, same = _SUBJECT.match(alert.title), _SUBJECT.match(first)
    if subject and same and same[0].lower() == subject[0].lower():
        told = first[0].upper() + first[1:]
    else:
        told = f"{alert.title}: {first}"
    return as_text(told)


def _records(instance: dg.DagsterInstance, ago: timedelta) -> list[dg.RunRecord]:
    """The runs that have changed since then, oldest first."""
    import dagster as dg

    return list(reversed(instance.get_run_records(dg.RunsFilter(updated_after=datetime.now(UTC) - ago))))


def _of_closing(home: Home, record: dg.RunRecord) -> Iterator[Happening]:
    run = record.dagster_run
    if not run.is_success or run.job_name not in (CLOSE, MATURE):
        return
    month = Month.parse(run.tags[PARTITION_TAG])
    if home.lake.has(FEATURES, month):  # it was delivered
        found = closed(home, month)
        happened = str(found) if run.job_name == CLOSE else f"the labels of {month} were taken in"
        yield Happening(f"closed {run.run_id}", "\n".join((happened, *found.details())))


def _of_runs(home: Home, records: Iterable[dg.RunRecord], instance: dg.DagsterInstance) -> Iterator[Alert]:
    from churn_platform.automation.dagster_private import AUTO_RETRY_RUN_ID_TAG  # Dagster runs that one again

    settings = home.settings
    for record in records:
        run = record.dagster_run
        month, link = as_text(run.tags.get(PARTITION_TAG, ""), MOST), settings.run_url(run.run_id)
        cause, event = run.tags.get(CAUSE_TAG, "by hand"), run.tags.get(EVENT_TAG, run.run_id)
        if run.job_name == RETRAIN:
            yield Alert(f"retraining {event}", f"Retraining for {month} started", _lines(cause, link))
        if state_of(record) == RunState.FAILED and AUTO_RETRY_RUN_ID_TAG not in run.tags:
            failure = failure_of(instance, run)
            failed = " ".join(filter(None, (run.job_name, month, "failed")))
            title = f"{month} stopped" if run.job_name in (CLOSE, MATURE) else failed
            again = () if failure.lasting or EVENT_TAG not in run.tags else ("It is tried again by itself.",)
            day = record.update_timestamp.date()  # however often it is tried, once a day is enough
            yield Alert(f"failure of {run.job_name} {event} {day}", title, _lines(failure.fault, *again, link))


def _lines(*lines: str) -> str:
    """An alert's body, in which no line can pass for another."""
    return "\n".join(map(as_text, lines))


def _of_disagreements(home: Home) -> Iterator[Alert]:
    """Whether registry and receipts tell different stories. While a store is away, that is for others to report."""
    try:
        newest = home.ledger.newest()
        found = findings(home.registry, home.ledger) if newest else []  # before that, opening a registry would make it
    except Fault:
        return
    for told in found:
        yield Alert(f"disagreement after {newest}: {told}", "Champion and receipts disagree", as_text(told))


def _of_edits(home: Home) -> Iterator[Alert]:
    """Whether the declaration was changed under a platform that goes on by the one before."""
    company = home.contract.declaration.company.name
    if edit := edited(home.settings.company, home.settings.company_sha256):
        title = f"The declaration of {as_text(company)} has changed"
        yield Alert(f"edited {edit.mark}", title, as_text(edit.sentence))


def _of_declaration(home: Home) -> Iterator[Alert]:
    """How the champion and the declaration differ. While a store is away, that is for others to report."""
    try:
        found = of_champion(home) if home.ledger.newest() else ()
    except Fault:
        return
    for told in (as_text(consequence.sentence) for consequence in found):
        yield Alert(f"declaration: {told}", "Champion and declaration differ", told)


def _of_unsafety(home: Home) -> Iterator[Alert]:
    """Whether the champion scores a month unlike what it has learned. While a store is away, others report that."""
    try:
        found = unsafe.told(home) if home.ledger.newest() else None
    except Fault:
        return
    if found:
        title = "The champion may be wrong"
        yield Alert(f"unsafe: {found}", title, as_text(found))


def _of_decisions(home: Home) -> Iterator[Alert]:
    for receipt in _receipts(home):
        told = (f"At that time {despite}" for despite in receipt.despite)
        body = _lines(receipt.why, f"Decided by {receipt.who}.", *told)
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
