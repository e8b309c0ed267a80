"""Tables: customers taken out of the lake's tables, whose other rows stay as they are.

Here: every Parquet file of a month with customers in it, and the hashes by which documents name tables. Not here:
broken rows (`quarantines`), rows that are kept by content (`kept_rows`), or texts in documents (`texts`).

A table without them is what would be made of drops without them: of anybody else, no value depends on theirs but the
decile of a score, which stays what was served. So what was built from a table need not be built again, and its new hash
takes the place of the old one wherever that stands.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from churn_platform.files import replacing, sha256_of
from churn_platform.intake import deliveries
from churn_platform.lake import Lake, opened, picked
from churn_platform.months import Month
from churn_platform.tables import leaving
from churn_platform.tables.names import CANDIDATE, EVALUATION, HOLDOUT_ROWS, SEEN, TRAINING_ROWS, TRAINING_SET, landed
from churn_platform.tombstones import Tombstones

if TYPE_CHECKING:
    import ibis

_HISTORY = (TRAINING_SET, CANDIDATE, EVALUATION)
"""Documents of what was done once, and with what: receipts name some of them by their content."""

_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


class Changed(NamedTuple):
    """What became of a file: how many rows went, and its hash before and after."""

    rows: int
    before: str
    after: str


def files_with(lake: Lake, customers: Collection[str]) -> Iterator[tuple[Path, frozenset[str]]]:
    """Each table's file that has rows of any of these customers, and of whom. Raises DamagedTableError."""
    for path in _files(lake):
        key = _key_in(lake, path)
        if key and (found := picked(path, [key], key, customers)).num_rows:
            yield path, frozenset(found[key].to_pylist())


def erased_in(lake: Lake, tombstones: Tombstones) -> set[str]:
    """Whoever has a tombstone and rows in the tables all the same. Raises DamagedTableError."""
    found = set[str]()
    for path in _files(lake) if tombstones.hashes else ():
        if key := _key_in(lake, path):
            with opened(path) as file:
                found |= tombstones.among(set(file.read([key])[key].drop_null().to_pylist()))
    return found


def erase(lake: Lake, customers: Collection[str]) -> dict[Path, Changed]:
    """Take these customers out of the tables, those first that others are built from. Raises DamagedTableError.

    The documents that name a table follow at once. A process that is killed in between leaves a month that counts as
    built from something else: it is built again, from what holds nobody who was erased.
    """
    import ibis

    changed = {}
    for path, _ in list(files_with(lake, customers)):
        rows, key = lake.read_file(path, places=True), _key_in(lake, path)
        erased = ibis.memtable({key: list(customers)}, schema={key: "string"})
        changed[path] = replaced(lake, path, rows.anti_join(erased, key))
        rename(lake, {changed[path].before: changed[path].after}, Month.parse(path.stem))
    return changed


def replaced(lake: Lake, path: Path, left: ibis.Table) -> Changed:
    """Replace a file by those of its rows that are left, read with their places, in its own order.

    Where a run has replaced the file meanwhile, it is left to that one: whoever waits for the run erases again.
    """
    inode, before, rows = path.stat().st_ino, sha256_of(path), opened(path).metadata.num_rows
    made = path.with_name(f".{path.name}.erasing")
    written = lake.write_file(made, left.order_by(Lake.PLACE).drop(Lake.PLACE))
    if path.stat().st_ino != inode:
        made.unlink()
        return Changed(0, before, before)
    made.replace(path)
    return Changed(rows - written.rows, before, written.sha256)


def labels_content(lake: Lake) -> Mapping[Month, str]:
    """What labels that follow from who has left are known by, by month; it changes with the customers."""
    if not lake.contract.leaves:
        return {}
    months = lake.months(landed(lake.contract.labels.name))
    taken = {month: deliveries.taken(lake, month, deliveries.LATER) for month in months}
    return {month: content for month, content in taken.items() if content and content == leaving.content(lake, month)}


def rename(lake: Lake, hashes: Mapping[str, str], since: Month | None = None) -> None:
    """Put new hashes into the documents, of a month and those after it, that name tables by the old ones."""
    for path in sorted(lake.root.rglob("????-??.json")):
        if path.relative_to(lake.root).parts[0] in _HISTORY or (since and Month.parse(path.stem) < since):
            continue
        text = path.read_text()
        renamed = _SHA256.sub(lambda found: hashes.get(found[0], found[0]), text)
        if renamed != text:
            with replacing(path) as temporary:
                temporary.write_text(renamed)


def _files(lake: Lake) -> Iterator[Path]:
    """The months' files, in the order in which a close writes them."""
    order = (landed("").rstrip("/"), SEEN, *lake.contract.snapshots)
    rank = {folder: position for position, folder in enumerate(order)}
    found = [(path.relative_to(lake.root).parts[0], path) for path in lake.root.rglob("*.parquet")]
    tables = [(folder, path) for folder, path in found if folder not in (TRAINING_ROWS, HOLDOUT_ROWS)]
    yield from (path for _, path in sorted(tables, key=lambda one: (rank.get(one[0], len(order)), one[1])))


def _key_in(lake: Lake, path: Path) -> str | None:
    """What the customers' key is called in a file; None where it has none, as a quarantine."""
    with opened(path) as file:
        columns = file.schema_arrow.names
    return next((name for name in (lake.contract.key, *lake.contract.customers.key.was) if name in columns), None)
