"""Drops: which months were delivered, where their files are, and what bytes they hold.

Here: the folder of drops. Not here: reading a file's rows (`parsing`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from churn_platform.contracts import Table
from churn_platform.faults import Fault
from churn_platform.files import sha256, sha256_of
from churn_platform.intake.names import ENDINGS, file_names, is_file_of, month_meant, table_meant
from churn_platform.months import Month
from churn_platform.shown import inert

WRITING = "_temporary"
"""What Spark and Hadoop keep in a table's folder while they write it."""


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
            f"{month} has no drop in {folder} (CHURN_DROPS): expected {' or '.join(_folder_names(month, first))}"
            + "".join(f"; {told}" for meant, told in _passed_over(folder, first) if meant == month)
        )
    return path


def passed_over(folder: Path, first: Month, tables: Sequence[Table]) -> tuple[str, ...]:
    """What in a folder of drops looks like a drop or a table's file, but is named otherwise; a sentence for each."""
    told = [sentence for _, sentence in _passed_over(folder, first)]
    for month, drop in _drops(folder, first):
        told += [sentence for sentence in misnamed(drop, tables, tables) if month >= first]
    return tuple(told)


def _passed_over(folder: Path, first: Month) -> Iterator[tuple[Month, str]]:
    """The month that each misnamed folder was meant for, and what to say."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        known = Month.of_folder(path.name, first) is not None
        if (known and path.is_dir()) or (meant := month_meant(path.name, first)) is None:
            continue
        name, names = f"'{inert(path.name)}'", " or ".join(_folder_names(meant, first))
        if path.is_dir():
            yield meant, f"{name} is passed over: the drop of {meant} is named {names}"
        elif not any((folder / own).is_dir() for own in _folder_names(meant, first)):  # its drop was unpacked from it
            yield meant, f"{name} is passed over: it is no folder, and the drop of {meant} is one, named {names}"


def _folder_names(month: Month, first: Month) -> tuple[str, ...]:
    return (str(month),) if month < first else (f"month_{month.since(first):03d}", str(month))


def misnamed(drop: Path, tables: Sequence[Table], known: Sequence[Table]) -> tuple[str, ...]:
    """What in a drop looks like a missing file of these tables; for each a sentence that says why it is not.

    `known` are all tables that a file may have been meant for.
    """
    missing = {table.name for table in tables if not files_of(drop, table)}
    return tuple(
        f"'{inert(f'{drop.name}/{path.name}')}' is passed over: {why}"
        for path in sorted(drop.iterdir())
        if (table := table_meant(path.name, known)) is not None
        and table.name in missing
        and (why := _why_not(path, table))
    )


def _why_not(path: Path, table: Table) -> str | None:
    """Why this is not the table's file; None for a link to nothing that has not its name, as editors leave them."""
    if not is_file_of(path.name, table):
        return f"the file of {table.name} is named {file_names(table)}" if path.exists() else None
    if path.is_dir():
        return "the folder holds no data files"
    return "it is no file that can be read again, such as a pipe" if path.exists() else "it is a link to nothing"


def files(path: Path) -> tuple[Path, ...]:
    """The files that make up a table's file: itself, or its parts, if it is a folder as Spark writes it.

    None where there is none, as with a link to nothing. What begins with a dot or an underscore is not data.
    """
    if not path.is_dir():
        return (path,) if path.is_file() else ()
    return tuple(sorted(part for part in path.iterdir() if part.name[0] not in "._" and part.is_file()))


def files_of(drop: Path, table: Table) -> list[Path]:
    """Every file, or folder of files, in a drop that is named as the table's file is."""
    return sorted(path for path in drop.iterdir() if is_file_of(path.name, table) and files(path))


def file_of(drop: Path, table: Table) -> Path | None:
    """The file of a table in a drop, or None where a table that may come later is not there.

    It may be a folder of `files`. Raises DropError where a required table is missing or still being written, or where
    two files claim one table.
    """
    found = files_of(drop, table)
    if len(found) > 1:
        raise DropError(f"{table.name}: {' and '.join(f.name for f in found)} are both in {drop}; keep one")
    if not found and table.required:
        names = ", ".join(table.file.name + ending for ending in ENDINGS)
        meant = "".join(f"; {told}" for told in misnamed(drop, (table,), (table,)))
        raise DropError(f"{table.name}: no file in {drop}; expected one of {names}{meant}")
    if found and (found[0] / WRITING).exists():
        raise DropError(f"{table.name}: {found[0]} is still being written: {WRITING} is in it")
    return found[0] if found else None


def content_hash(drop: Path, tables: Sequence[Table]) -> str:
    """A hash of the bytes of these tables' files: different content is a different drop."""
    found = [part for table in tables if (path := file_of(drop, table)) is not None for part in files(path)]
    return sha256("".join(f"{part.relative_to(drop)}:{sha256_of(part)}\n" for part in found).encode())
