"""Maturity: from which day a month's labels count, and keeping those that come before.

Here: the day, and labels that are kept until then. Not here: judging labels (`intake.landing`), or which months are
matured (`training_set.matured`): those whose labels have landed, which these have not yet.
"""

from __future__ import annotations

from datetime import date, timedelta

from churn_platform.company.declaration import EARLY_LABELS
from churn_platform.contracts import Contract
from churn_platform.day import today
from churn_platform.intake import deliveries
from churn_platform.intake.landing import Judged
from churn_platform.intake.meaning import Meaning, meaning
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables import taking
from churn_platform.tables.names import landed, quarantine

_EARLY = "early "
"""How the content of labels begins before their day: on that day, they are something else."""


def known_from(contract: Contract, month: Month) -> date:
    """The day from which the month's labels count: before, not all who will churn have done so.

    Where who leaves has churned, it is the first day after the month that shows who is gone.
    """
    if contract.leaves:
        return (month + contract.leaves).as_of + timedelta(days=1)
    return month.as_of + timedelta(days=contract.declaration.label.horizon_days)


def are_early(contract: Contract, month: Month) -> bool:
    """Whether labels that are delivered for the month do not count yet."""
    return not contract.leaves and today() < known_from(contract, month)


def content(contract: Contract, month: Month, labels: str | None) -> str | None:
    """What labels of this content are today; None where there are none."""
    if not labels:
        return labels
    plain = labels.removeprefix(_EARLY)
    return f"{_EARLY}{plain}" if are_early(contract, month) else plain


def is_early(content: str) -> bool:
    """Whether labels of this content do not count yet."""
    return content.startswith(_EARLY)


def same_labels(content: str, other: str | None) -> bool:
    """Whether two contents are the same labels, before their day or after it."""
    return other is not None and content.removeprefix(_EARLY) == other.removeprefix(_EARLY)


def keep(lake: Lake, month: Month, judged: Judged, labels: str) -> bool:
    """Keep judged labels until their day, and say whether the month had some that counted already."""
    tables = {landed(EARLY_LABELS): judged.kept, quarantine(EARLY_LABELS): judged.quarantine()}
    with lake.replacing(month, tables):
        deliveries.forget(lake, month, deliveries.LATER)
    return _kept(lake, month, labels, meaning(lake.contract, (lake.contract.labels,)))


def bring_up_to_date(lake: Lake, month: Month) -> bool:
    """Land the month's kept labels where their day has come, keep landed ones where it is yet to come.

    Says whether labels that counted no longer do. It is for a month whose drop is gone: others are judged again.
    """
    before = deliveries.taken(lake, month, deliveries.LATER)
    now, labels = content(lake.contract, month, before), lake.contract.labels
    if now is None or now == before:
        return False
    early, meant = is_early(now), deliveries.meaning_of(lake, month, deliveries.LATER)
    source, target = (labels.name, EARLY_LABELS) if early else (EARLY_LABELS, labels.name)
    if not lake.has(landed(source), month):  # a file without any, since they were blank
        taking.without_labels(lake, month, now)
        return False
    with lake.replacing(month, {name(target): lake.read(name(source), month) for name in (landed, quarantine)}):
        deliveries.forget(lake, month, deliveries.LATER)
    if early:
        return _kept(lake, month, now, meant)
    deliveries.take(lake, month, deliveries.LATER, now, (labels.name,), [], meant)
    taking.remove_early(lake, month)
    return False


def _kept(lake: Lake, month: Month, labels: str, meant: Meaning | None) -> bool:
    """Record that labels are kept, and take back what counted before."""
    had = taking.withdraw(lake, month)
    deliveries.take(lake, month, deliveries.LATER, labels, (EARLY_LABELS,), [], meant)
    return had
