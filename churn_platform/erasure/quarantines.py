"""Quarantines: the broken rows of erased customers taken out, with all that is told of them.

Here: which rows of quarantine tell of a customer, and removing them. Not here: tables of customers (`tables`), or the
same values on pages and in logs (`texts`).

A quarantine names a row by its place in the drop, and holds one value for each broken rule: only that of a broken key
names the customer. The others are found through the drop, if it is still there. Without it, they are values of nobody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from churn_platform.erasure.drops import places_of
from churn_platform.erasure.tables import Changed, replaced
from churn_platform.lake import Lake, row_count
from churn_platform.months import Month
from churn_platform.tables.names import quarantine

_BETWEEN = re.compile(r"""[\s,;|"']+""")
"""What stands between the fields of a line that could not be read."""


def erase(lake: Lake, customers: Collection[str], drops: Mapping[Month, Path]) -> dict[Path, Changed]:
    """Take the customers' rows out of all quarantines. `drops` are those that are still there, by month."""
    wanted, changed = frozenset(customers), {}
    for path in sorted((lake.root / quarantine("")).rglob("*.parquet")):
        if not row_count(path):
            continue
        rows, month = lake.read_file(path, places=True), Month.parse(path.stem)
        frame = rows.to_pandas()
        table = next((table for table in lake.contract.tables if table.name == path.parent.name), None)
        found = places_of(lake, table, month, drops[month], wanted) if table and month in drops else ()
        places = {(f"{file}/{place.part}".rstrip("/"), place.line) for file, place in found}
        told = list(zip(frame["file"], frame["line"], strict=True))
        places |= {at for at, value in zip(told, frame["value"], strict=True) if value and _names(value, wanted)}
        left = [place for place, at in zip(frame[Lake.PLACE], told, strict=True) if at not in places]
        if len(left) < len(frame):
            changed[path] = replaced(lake, path, rows.filter(rows[Lake.PLACE].isin(left)))
    return changed


def named(lake: Lake, customers: Collection[str]) -> set[str]:
    """Those of the customers whose keys stand in a quarantine."""
    wanted, found = frozenset(customers), set[str]()
    for path in (lake.root / quarantine("")).rglob("*.parquet"):
        for value in filter(None, lake.read_file(path)["value"].to_pandas()):
            found |= wanted & {value, *_BETWEEN.split(value)}
    return found


def _names(value: str, customers: frozenset[str]) -> bool:
    """Whether a broken value is a customer's key, or a line with that in it."""
    return value in customers or not customers.isdisjoint(_BETWEEN.split(value))
