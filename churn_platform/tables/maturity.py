"""Maturity: from which day a month's labels count, and keeping those that come before.

Here: the day, and labels that are kept until then. Not here: judging labels (`intake.landing`), or which months are
matured (`training_set.matured`): those whose labels have landed, which these have not yet.
"""

from __future__ import annotations

from datetime import date, timedelta

from churn_platform.contracts import Contract
from churn_platform.day import today
from churn_platform.intake import deliveries
from churn_platform.intake.landing import Judged
from churn_platform.lake import Lake, Written
from churn_platform.months import Month
from churn_platform.tables.names import EARLY, landed, quarantine
from churn_platform.tables.taking import withdraw

_EARLY = "early "
"""What the record of labels begins with that have come before their day: on that day, they are something else."""


def known_from(contract: Contract, month: Month) -> date:
    """The day from which the month's labels count: before, not all who will churn have done so."""
    return month.as_of + timedelta(days=contract.declaration.label.horizon_days)


def are_early(contract: Contract, month: Month) -> bool:
    """Whether the month's labels do not count yet."""
    return today() < known_from(contract, month)


def content(contract: Contract, month: Month, labels: str | None) -> str | None:
    """What labels of this content are today; None where there are none."""
    if not labels:
        return labels
    plain = labels.removeprefix(_EARLY)
    return f"{_EARLY}{plain}" if are_early(contract, month) else plain


def keep(lake: Lake, month: Month, judged: Judged, labels: str) -> bool:
    """Keep judged labels until their day, and say whether the month had some that counted already."""
    table = lake.contract.labels
    had = withdraw(lake, month)
    with lake.replacing(month, {EARLY: judged.kept, quarantine(table.name): judged.quarantine()}):
        deliveries.forget(lake, month, deliveries.LATER)
    deliveries.take(lake, month, deliveries.LATER, labels, (), [])
    return had


def land_kept(lake: Lake, month: Month) -> Written | None:
    """Land the labels that were kept for the month, where their day has come; None where there are none."""
    kept = deliveries.taken(lake, month, deliveries.LATER)
    now = content(lake.contract, month, kept)
    if now is None or now == kept or not lake.has(EARLY, month):
        return None
    table = lake.contract.labels
    with lake.replacing(month, {landed(table.name): lake.read(EARLY, month)}) as written:
        deliveries.forget(lake, month, deliveries.LATER)
    deliveries.take(lake, month, deliveries.LATER, now, (table,), [])
    lake.remove(EARLY, month)
    return written[landed(table.name)]
