"""Oddities: what is odd about a drop as a whole, although each of its rows may keep the contract.

Here: customers without a row, fewer customers than last month, a month that repeats the one before, labels that are few
or all the same. Not here: the rules on rows (`rules`, `landing`), or what is done about an oddity (the settings,
and `assets.landing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from churn_platform.company.declaration import Missing
from churn_platform.contracts import Contract, Table
from churn_platform.intake.landing import RAGGED, Judged
from churn_platform.months import Month
from churn_platform.settings.groups import LandingSettings
from churn_platform.shown import counted

if TYPE_CHECKING:
    import ibis

FEWER_CUSTOMERS = "fewer_customers"
REPEATED_MONTH = "repeated_month"
FEW_LABELS = "few_labels"
EQUAL_LABELS = "equal_labels"


@dataclass(frozen=True)
class Oddity:
    """Something odd about one table of a drop: a sentence with figures, and whether the month stops for it.

    Customers without a row are normal within the tolerance: then the sentence is a figure, and no warning.
    """

    table: str
    sentence: str
    stops: bool
    warns: bool = True
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Drop:
    """A month's judged tables by name; its customers; and what was landed for the month before, by table, if anything.

    `customers` are the judged users, or the landed ones where only labels are judged.
    """

    month: Month
    contract: Contract
    judged: Mapping[str, Judged]
    customers: ibis.Table
    before: Mapping[str, ibis.Table]


def oddities(drop: Drop, settings: LandingSettings) -> Iterator[Oddity]:
    """Everything that is odd about the drop."""
    yield from _absent(drop, settings.absence_tolerance)
    named: tuple[tuple[str, Callable[[Drop, LandingSettings], tuple[Table, str] | None]], ...] = (
        (FEWER_CUSTOMERS, _gone if drop.contract.leaves else _fewer_customers),
        (REPEATED_MONTH, _repeated),
        (FEW_LABELS, _few_labels),
        (EQUAL_LABELS, _equal_labels),
    )
    for name, find in named:
        if (found := find(drop, settings)) is not None:
            table, sentence = found
            # Whoever is missing from a file that was cut would have left; from one that was copied, nobody would.
            misleads = drop.contract.leaves is not None and name in (FEWER_CUSTOMERS, REPEATED_MONTH)
            yield Oddity(table.name, sentence, stops=misleads or name in settings.stopping)
    yield from _unreadable(drop)


def absent(judged: Judged, customers: ibis.Table) -> int:
    """How many of these customers have no row in a table's file, not even a broken one."""
    return _count(customers.anti_join(judged.delivered, judged.table.key.name))


def _absent(drop: Drop, tolerance: float) -> Iterator[Oddity]:
    active = _count(drop.customers)
    for table in drop.contract.states:
        if table.customers or table.missing is not Missing.UNKNOWN or table.name not in drop.judged:
            continue
        judged = drop.judged[table.name]
        if not (missing := absent(judged, drop.customers)):
            continue
        stops = missing > tolerance * active
        yield Oddity(
            table.name,
            f"{judged.path.name}: {_of(missing, active)} of {drop.month} {'has' if missing == 1 else 'have'} no row"
            + (
                f"; CHURN_ABSENCE_TOLERANCE allows {tolerance:.1%}: is the file whole?"
                if stops
                else f", and {'is' if missing == 1 else 'are'} unknown there"
            ),
            stops=stops,
            warns=stops,
            figures={"customers_without_a_row": missing, "share_without_a_row": missing / active},
        )


def _fewer_customers(drop: Drop, settings: LandingSettings) -> tuple[Table, str] | None:
    table = drop.contract.customers
    if table.name not in drop.judged or table.name not in drop.before:
        return None
    now, before = _count(drop.customers), _count(drop.before[table.name])
    if now >= before * (1 - settings.fewer_customers):
        return None
    fewer = f"{1 - now / before:.1%} fewer"
    return table, (
        f"{drop.judged[table.name].path.name}: {drop.month} has {counted(now, 'customer')}, {fewer} than "
        f"{drop.month - 1} with {before:,}; CHURN_FEWER_CUSTOMERS allows {settings.fewer_customers:.1%}: is the drop "
        "whole?"
    )


def _gone(drop: Drop, settings: LandingSettings) -> tuple[Table, str] | None:
    """Whether more customers of the month before are gone than the setting allows, whoever has come instead."""
    table = drop.contract.customers
    if table.name not in drop.judged or table.name not in drop.before:
        return None
    judged, before = drop.judged[table.name], drop.before[table.name]
    gone, all_before = _count(before.anti_join(judged.seen(), table.key.name)), _count(before)
    if gone <= all_before * settings.fewer_customers:
        return None
    return table, (
        f"{judged.path.name}: {_of(gone, all_before)} of {drop.month - 1} are gone in {drop.month}, and would count as "
        f"having left; CHURN_FEWER_CUSTOMERS allows {settings.fewer_customers:.1%}: is the drop whole?"
    )


def _unreadable(drop: Drop) -> Iterator[Oddity]:
    """A line of the customers that cannot be read, where whoever has no row has left."""
    table = drop.contract.customers
    if drop.contract.leaves is None or table.name not in drop.judged:
        return
    judged = drop.judged[table.name]
    if lines := [violation for violation in judged.violations if violation.rule.startswith(RAGGED)]:
        told = f"{judged.path.name}: {lines[0]}, so nobody knows whose line it is, and they would count as having left"
        yield Oddity(table.name, f"{told}: correct it", stops=True)


def _repeated(drop: Drop, settings: LandingSettings) -> tuple[Table, str] | None:
    """Whether every table about customers holds what it held the month before, in whatever order and format."""
    there = [t for t in drop.contract.states if t.at(drop.month).required or t.name in drop.judged]
    names = [table.name for table in there]
    if not all(name in drop.judged and name in drop.before for name in names):
        return None
    if not all(_are_equal(drop.judged[name].kept, drop.before[name]) for name in names):
        return None
    told = f"{drop.month} holds the same rows as {drop.month - 1}: was the drop of {drop.month - 1} copied?"
    return drop.contract.customers, told


def _few_labels(drop: Drop, settings: LandingSettings) -> tuple[Table, str] | None:
    if (judged := drop.judged.get(drop.contract.labels.name)) is None:
        return None
    labels, active = _count(judged.kept), _count(drop.customers)
    if labels >= settings.labelled_share * active:
        return None
    return drop.contract.labels, (
        f"{judged.path.name}: only {_of(labels, active)} of {drop.month} {'has' if labels == 1 else 'have'} a label; "
        f"CHURN_LABELLED_SHARE expects {settings.labelled_share:.1%}: is the file whole?"
    )


def _equal_labels(drop: Drop, settings: LandingSettings) -> tuple[Table, str] | None:
    if (judged := drop.judged.get(drop.contract.labels.name)) is None:
        return None
    labels, churned = _count(judged.kept), _count(judged.kept.filter(judged.kept[drop.contract.label]))
    if not labels or churned not in (0, labels):
        return None
    told = "churned: does it list only those who did?" if churned else "stayed: was churn known yet?"
    return (
        drop.contract.labels,
        f"{judged.path.name}: all {counted(labels, 'labelled customer')} of {drop.month} {told}",
    )


def _are_equal(rows: ibis.Table, others: ibis.Table) -> bool:
    if dict(rows.schema()) != dict(others.schema()) or _count(rows) != _count(others):
        return False
    return _count(rows.difference(others.select(*rows.columns))) == 0


def _count(rows: ibis.Table) -> int:
    return int(rows.count().to_pyarrow().as_py())


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / max(whole, 1):.1%}) customer{'' if whole == 1 else 's'}"
