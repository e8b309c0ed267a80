"""Drops: which months were delivered, where their files are, and what bytes they hold.

Here: the folder of drops. Not here: reading a file's rows (`parsing`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from churn_platform.contracts import TABLES, Table
from churn_platform.faults import Fault
from churn_platform.files import sha256, sha256_of
from churn_platform.months import Month

ENDINGS = (".csv", ".csv.gz", ".parquet")


class DropError(Fault):
    """A fault that stops a month: one message with file, table and fault. Nothing of the drop is kept."""

    lasting = True


def delivered(folder: Path, first: Month) -> dict[Month, Path]:
    """The drops of a folder by month, oldest first. Raises DropError where two folders claim one month."""
    found: dict[Month, list[Path]] = defaultdict(list)
    for month, path in _drops(folder, first):
        found[month].append(path)
    for month, paths in found.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise DropError(f"{month}: {names} in {folder} are both drops of this month; keep one of them")
    return {month: found[month][0] for month in sorted(found)}


def newest(folder: Path, first: Month) -> Month | None:
    """The newest month that has a drop, or None where there is none. Drops before the first month do not count."""
    return max((month for month, _ in _drops(folder, first) if month >= first), default=None)


def _drops(folder: Path, first: Month) -> Iterator[tuple[Month, Path]]:
    """The folders that stand for a month, in the order of their names."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and (month := Month.of_folder(path.name, first)) is not None:
            yield month, path


def drop_of(folder: Path, first: Month, month: Month) -> Path:
    """The drop of one month. Raises a DropError that says which month or folder is wanted."""
    if month < first:
        raise DropError(f"{month} is before the first month: the platform starts with {first} (CHURN_FIRST_MONTH)")
    path = delivered(folder, first).get(month)
    if path is None:
        raise DropError(
            f"{month} has no drop in {folder} (CHURN_DROPS): expected month_{month.since(first):03d} or {month}"
        )
    return path


def file_of(drop: Path, table: Table) -> Path | None:
    """The file of a table in a drop, or None where a table that may come later is not there.

    Raises DropError where a required table is missing, or where two files claim one table.
    """
    files = [drop / f"{table.name}{ending}" for ending in ENDINGS if (drop / f"{table.name}{ending}").is_file()]
    if len(files) > 1:
        raise DropError(f"{table.name}: {' and '.join(f.name for f in files)} are both in {drop}; keep one")
    if not files and table.required:
        names = ", ".join(table.name + ending for ending in ENDINGS)
        raise DropError(f"{table.name}: no file in {drop}; expected one of {names}")
    return files[0] if files else None


def content_hash(drop: Path, tables: tuple[Table, ...] = TABLES) -> str:
    """A hash of the bytes of these tables' files: different content is a different drop."""
    files = [path for table in tables if (path := file_of(drop, table)) is not None]
    return sha256("".join(f"{path.name}:{sha256_of(path)}\n" for path in files).encode())
