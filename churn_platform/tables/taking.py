"""Taking in: a month's judged tables become its landed ones together or not at all, and labels can be withdrawn.

Here: replacing the landed tables with judged ones, and removing labels with all that is about them. Not here: judging
(`intake.landing`), or what a drop holds and what was taken in before (`intake.deliveries`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from churn_platform.company.declaration import EARLY_LABELS
from churn_platform.contracts import Contract, Table
from churn_platform.intake import deliveries
from churn_platform.intake.landing import Judged, nothing_quarantined
from churn_platform.intake.meaning import meaning
from churn_platform.intake.oddities import Oddity
from churn_platform.lake import Lake, Written
from churn_platform.months import Month
from churn_platform.tables.features import nothing
from churn_platform.tables.names import FROM_LABELS, SEEN, landed, quarantine

if TYPE_CHECKING:
    import ibis


def _tables(contract: Contract) -> Mapping[str, tuple[Table, ...]]:
    """The tables of each record."""
    return {deliveries.STATE: contract.states, deliveries.LATER: (contract.labels,)}


def take_in(
    lake: Lake,
    month: Month,
    judged: Sequence[Judged],
    contents: Mapping[str, str | None],
    odd: Sequence[Oddity] = (),
    left_out: Sequence[Table] = (),
) -> dict[str, Written]:
    """Replace the month's landed tables and quarantines with what was judged, and return the tables by name.

    `contents` are the drop's, by record; what is odd is kept with them. Tables that were `left_out`, as the declaration
    has it, are landed without rows. Whatever fails, no table is changed. A process that is killed while the files are
    moved into place leaves no record, so that the month is landed again.
    """
    names = {*(found.table.name for found in judged), *(table.name for table in left_out)}
    records = [name for name, tables in _tables(lake.contract).items() if names & {table.name for table in tables}]
    files = {landed(found.table.name): found.kept for found in judged}
    files |= {quarantine(found.table.name): found.quarantine() for found in judged}
    for table in left_out:
        files |= _without_rows(table)
    for found in judged:
        if found.table is lake.contract.customers and lake.contract.leaves:
            files[SEEN] = found.seen()
    with lake.replacing(month, files) as written:
        for name in records:
            deliveries.forget(lake, month, name)
    for name in records:
        content = contents[name]
        assert content is not None, f"{name} was judged without files"
        tables = _tables(lake.contract)[name]
        notes = [oddity.sentence for oddity in odd if oddity.table in {table.name for table in tables}]
        landed_names = [table.name for table in tables]
        deliveries.take(lake, month, name, content, landed_names, notes, meaning(lake.contract, tables))
    if lake.contract.labels.name in names:
        remove_early(lake, month)
    if lake.contract.customers.name in names and not lake.contract.leaves:
        lake.remove(SEEN, month)
    return {name: written[landed(name)] for name in names}


def _without_rows(table: Table) -> dict[str, ibis.Table]:
    return {landed(table.name): nothing(table), quarantine(table.name): nothing_quarantined()}


def leave_out(lake: Lake, month: Month, table: Table) -> Written:
    """Land a table without rows for a month that was closed before the table was declared."""
    with lake.replacing(month, _without_rows(table)) as written:
        pass
    return written[landed(table.name)]


def lost(lake: Lake, month: Month, record: str) -> tuple[str, ...]:
    """The files that were taken in with a record and are no longer in the lake, by their names there."""
    names = [name(table) for table in deliveries.tables_taken(lake, month, record) for name in (landed, quarantine)]
    return tuple(name for name in names if not lake.has(name, month))


def landed_months(lake: Lake) -> tuple[Month, ...]:
    """The months whose customers are landed, oldest first."""
    return lake.months(landed(lake.contract.customers.name))


def is_landed(lake: Lake, month: Month) -> bool:
    """Whether the month's tables about customers are landed, all of them and whole."""
    return deliveries.taken(lake, month, deliveries.STATE) is not None and not lost(lake, month, deliveries.STATE)


def without_labels(lake: Lake, month: Month, content: str | None = None) -> bool:
    """Take in that the month has no labels: remove what it had and all that is about them, and say whether it had any.

    `content` is that of the file in which they are still blank, if they stand in a table about customers. The record
    comes last: a process that is killed on the way leaves it, so that the labels are withdrawn again.
    """
    early, had = bool(deliveries.tables_taken(lake, month, deliveries.LATER)), withdraw(lake, month)
    remove_early(lake, month)
    if had or early or content:
        deliveries.take_without_labels(lake, month, content or "", withdrawn=had or early)
    return had


def withdraw(lake: Lake, month: Month) -> bool:
    """Remove the month's landed labels and all that is about them, and say whether it had any."""
    labels = lake.contract.labels.name
    had = lake.has(landed(labels), month) or labels in deliveries.tables_taken(lake, month, deliveries.LATER)
    if had:
        for name in (*FROM_LABELS, landed(labels), quarantine(labels)):
            lake.remove(name, month)
    return had


def remove_early(lake: Lake, month: Month) -> None:
    """Remove labels that were kept until their day."""
    for name in (landed(EARLY_LABELS), quarantine(EARLY_LABELS)):
        lake.remove(name, month)
