"""Quarantines: the broken rows of erased customers taken out, with all that is told of them.

Here: which rows of quarantine tell of a customer, and removing them. Not here: tables of customers (`tables`), or the
same values on pages and in logs (`texts`).

A quarantine names a row by its place in the drop, and holds one value for each broken rule: only that of a broken key
names the customer. The others are found through the drop, if it is still there. Without it, they are values of nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from churn_platform.company.declaration import EARLY_LABELS
from churn_platform.contracts import Table
from churn_platform.erasure.drops import places_of
from churn_platform.erasure.forms import is_common
from churn_platform.erasure.tables import Changed, replaced
from churn_platform.intake.records import fields_of
from churn_platform.lake import Lake, row_count
from churn_platform.months import Month
from churn_platform.tables.names import quarantine
from churn_platform.tombstones import Tombstones

if TYPE_CHECKING:
    import pandas as pd


def erase(lake: Lake, customers: Collection[str], drops: Mapping[Month, Path]) -> dict[Path, Changed]:
    """Take the customers' rows out of all quarantines. `drops` are those that are as they were landed, by month."""
    wanted, changed = frozenset(customers), {}
    telling = [customer for customer in customers if not is_common(customer)]
    for path, table in _files(lake):
        rows, month = lake.read_file(path, places=True), Month.parse(path.stem)
        frame = rows.to_pandas()
        found = places_of(lake, table, month, drops[month], wanted) if month in drops else ()
        places = {(f"{file}/{place.part}".rstrip("/"), place.line) for file, place in found}
        told = list(zip(frame["file"], frame["line"], strict=True))
        places |= {at for at, keys in zip(told, _keys(table, frame), strict=True) if keys & wanted}
        torn = frame[(frame["column"] == "") & frame["value"].notna()]
        places |= {
            (file, line)
            for file, line, value in zip(torn["file"], torn["line"], torn["value"], strict=True)
            if any(customer in value for customer in telling)
        }
        left = [place for place, at in zip(frame[Lake.PLACE], told, strict=True) if at not in places]
        if len(left) < len(frame):
            changed[path] = replaced(lake, path, rows.filter(rows[Lake.PLACE].isin(left)))
    return changed


def named(lake: Lake, customers: Collection[str]) -> set[str]:
    """Those of the customers whose keys stand in a quarantine."""
    return _all_keys(lake) & set(customers)


def erased_in(lake: Lake, tombstones: Tombstones) -> set[str]:
    """Whoever has a tombstone and stands in a quarantine all the same."""
    return tombstones.among(_all_keys(lake)) if tombstones.hashes else set()


def _all_keys(lake: Lake) -> set[str]:
    found = set[str]()
    for path, table in _files(lake):
        found.update(*_keys(table, lake.read_file(path).to_pandas()))
    return found


def _files(lake: Lake) -> Iterator[tuple[Path, Table]]:
    """The quarantines that have any rows, and what they are of."""
    tables = {table.name: table for table in lake.contract.tables} | {EARLY_LABELS: lake.contract.labels}
    for path in sorted((lake.root / quarantine("")).rglob("*.parquet")):
        if path.parent.name in tables and row_count(path):
            yield path, tables[path.parent.name]


def _keys(table: Table, quarantined: pd.DataFrame) -> Iterator[set[str]]:
    """What each of these rows has for a customer's key: the broken key, or of a torn line any field that may be one.

    A number, or a word that might stand in any column, may be one only at the line's beginning, where keys stand.
    """
    names = {table.key.name, *table.key.was}
    for column, value in zip(quarantined["column"], quarantined["value"], strict=True):
        if not value or (column and column not in names):
            yield set()
        elif column:
            yield {value}
        else:
            first, *others = fields_of(value, table.file.delimiter)
            yield {value, first, *(field for field in others if not is_common(field))}
