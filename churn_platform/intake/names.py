"""Names: which month or table somebody meant who named a folder or a file otherwise than it is read.

Here: guessing from a name alone. Not here: what is there (`drops`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from churn_platform.contracts import Table
from churn_platform.months import Month

ENDINGS = (".csv", ".csv.gz", ".parquet")

UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".temp", ".download", ".crdownload")
"""What browsers, rsync, sftp clients and object stores add to a file's name until it has arrived in full."""

_COUNTED = re.compile(r"months?[\s_=.-]*(\d{1,4})")
_DATED = re.compile(r"(?:months?[\s_=.-]*)?((?:19|20)\d{2})[\s_.-]?(\d{1,2})(?:[\s_.-]?(?:0[1-9]|[12]\d|3[01]))?")
_PACKED = (".zip", ".tar", ".tgz", ".tar.gz", ".7z")
_SIGNS = re.compile(r"[?\[]")
"""What stands for itself in a table's file name: only `*` is a sign there."""

_SHORTEST = 4
"""The fewest letters by which the beginning of a table's name is known."""


def month_meant(name: str, first: Month) -> Month | None:
    """The month that a folder such as `month_1`, `Month-001`, `2024-2` or `2024_02 ` was meant for; None if none is."""
    plain = name.strip().lower()
    for ending in _PACKED:
        plain = plain.removesuffix(ending)
    if (dated := _DATED.fullmatch(plain)) and 1 <= int(dated[2]) <= 12:
        return Month(int(dated[1]), int(dated[2]))
    return first + int(counted[1]) if (counted := _COUNTED.fullmatch(plain)) else None


def table_meant(name: str, tables: Sequence[Table]) -> Table | None:
    """The one of these tables that a file such as `Labels.CSV`, `user.csv` or `usage.xlsx` was meant for; else None.

    Hidden files, unfinished ones and programs' own, such as `users.csv~`, were meant for none.
    """
    if name.startswith((".", "_", "~", "#")) or name.endswith(("~", *UNFINISHED)):
        return None
    stem = re.split(r"[\s.(]", name.strip().lower(), maxsplit=1)[0].replace("-", "_")
    by_name = {file.strip("*").lower(): table for table in tables for file in (table.file.name, *table.file.former)}
    if begun := [table for known, table in by_name.items() if _begins(known, stem)]:
        return begun[0]
    return next((by_name[known] for known in get_close_matches(stem, by_name, n=1, cutoff=0.8)), None)


def _begins(known: str, stem: str) -> bool:
    return stem.startswith(known) or (len(stem) >= _SHORTEST and known.startswith(stem))


def file_names(table: Table) -> str:
    """The names that a table's file may have, in words."""
    return " or ".join(table.file.name + ending for ending in ENDINGS)


def is_file_of(name: str, table: Table) -> bool:
    """Whether a file of this name is the table's."""
    stem = next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), None)
    return stem is not None and any(fnmatchcase(stem, pattern) for pattern in _patterns(table))


def is_written_for(name: str, table: Table) -> bool:
    """Whether a hidden file of this name may become the table's, as rsync's `.users.csv.Xy12Ab`."""
    return name.startswith(".") and any(fnmatchcase(name, f".{pattern}.*") for pattern in _patterns(table))


def _patterns(table: Table) -> list[str]:
    return [_SIGNS.sub(r"[\g<0>]", file) for file in (table.file.name, *table.file.former)]
