"""Closed: what a month holds once it is closed, in words.

Here: the sentences that the command line, the screen of `churn up` and alerts share. Not here: closing
(`local.runs`), or every month at once (`status`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from churn_platform.home import Home
from churn_platform.intake import deliveries
from churn_platform.intake.landing import Violation, first_violations
from churn_platform.monitoring.status import quarantined_rows
from churn_platform.months import Month
from churn_platform.shown import counted
from churn_platform.tables.names import FEATURES, quarantine
from churn_platform.tables.training_set import matured

SHOWN = 3
"""How many broken rules of a table are told."""


@dataclass(frozen=True)
class PutAside:
    """How many of a table's rows are in quarantine, and the first of the rules that they broke."""

    table: str
    rows: int
    first: tuple[Violation, ...]


@dataclass(frozen=True)
class Closed:
    """A closed month: what it holds, and whether its snapshots differ from those of its last closing.

    `notes` are sentences that people should know about what was delivered; `quarantine` says where the rows are that
    were put aside, with TABLE for a table's name.
    """

    month: Month
    customers: int
    matured: bool
    changed: bool
    put_aside: tuple[PutAside, ...]
    quarantine: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """What happened, in one line."""
        told = [counted(self.customers, "active customer"), "labels landed" if self.matured else "no labels yet"]
        return f"{self.month} closed: {', '.join([*told, *['changed'] * self.changed])}"

    def details(self) -> Iterator[str]:
        """What people should know besides: rows in quarantine, with the first broken ones' places, and notes."""
        for found in self.put_aside:
            yield f"{self.month}: {counted(found.rows, 'row')} in quarantine from {found.table}"
            yield from (f"    {violation}" for violation in found.first)
        if self.put_aside:
            yield f"all rows of {self.month} in quarantine: {self.quarantine}"
        yield from self.notes


def closed(home: Home, month: Month, *, changed: bool = False) -> Closed:
    """What a closed month holds. Raises MissingTableError."""
    lake = home.lake
    rows = {table: count for table, count in quarantined_rows(lake, month).items() if count}
    first = {table: first_violations(lake.read(quarantine(table), month), SHOWN) for table in rows}
    return Closed(
        month,
        lake.rows(FEATURES, month),
        month in matured(lake),
        changed,
        tuple(PutAside(table, count, first[table]) for table, count in rows.items()),
        str(lake.path(quarantine("TABLE"), month)),
        deliveries.notes(lake, month),
    )
