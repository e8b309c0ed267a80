"""Drops: where the company's own files name customers who are to be erased.

Here: finding them. Not here: changing those files, which are the company's, or leaving customers out when a drop is
taken in (`intake.parsing`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from churn_platform.contracts import Table
from churn_platform.intake.drops import DropError, file_of
from churn_platform.intake.parsing import ROW, Place, parse
from churn_platform.lake import Lake
from churn_platform.months import Month


def places_of(
    lake: Lake, table: Table, month: Month, drop: Path, customers: Collection[str]
) -> Iterator[tuple[str, Place]]:
    """Where a table's file in a drop has rows of customers: the file's name, and the place in it.

    Nowhere, where the drop has no such file, or one that cannot be read.
    """
    wanted = table.at(month)
    try:
        if (path := file_of(drop, wanted)) is None:
            return
        parsed = parse(lake.engine, path, wanted)
    except DropError:
        return
    rows = parsed.typed
    theirs = rows.filter(rows[table.key.name].isin(sorted(customers)))[ROW].to_pandas()
    for place in parsed.places(int(row) for row in theirs).values():
        yield path.name, place


def files_with(lake: Lake, drops: Mapping[Month, Path], customers: Collection[str]) -> Iterator[Path]:
    """The files of drops that have rows of customers."""
    for month, drop in drops.items():
        for table in lake.contract.tables:
            names = {
                f"{file}/{place.part}".rstrip("/") for file, place in places_of(lake, table, month, drop, customers)
            }
            yield from (drop / name for name in sorted(names))
