"""File names: what a file's name says, and what the same file is called in other months.

Here: names alone, of files and their folders. Not here: what is in a file (`sniffing`), or names of columns (`naming`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from churn_platform.intake.names import ENDINGS
from churn_platform.months import Month

_DAY, _MONTH, YEAR = "(?:0[1-9]|[12][0-9]|3[01])", "(?:0[1-9]|1[0-2])", "(?:19|20)[0-9]{2}"
_DATE = re.compile(
    rf"(?<![0-9])(?:(?P<year>{YEAR})[-_. ]?(?P<month>{_MONTH})(?:[-_. ]?{_DAY})?"
    rf"|{_DAY}[-_. ]{_MONTH}[-_. ]{YEAR}|{_MONTH}[-_. ]{YEAR})(?![0-9])|(?<=month)[-_ ]?[0-9]{{1,4}}(?![0-9])",
    re.IGNORECASE,
)
"""What looks like a month or a day in a file's name."""

_LONGEST_NAME = 40
"""How long a table's name may be."""


def stem_of(path: Path) -> str:
    """A file's name without its ending; empty where that is not one of a table's file."""
    return next((path.name.removesuffix(ending) for ending in ENDINGS if path.name.endswith(ending)), "")


def table_name(stem: str) -> str:
    """A file's name as that of a table: small letters, digits and underscores, without what looks like a date."""
    plain = unicodedata.normalize("NFKD", _DATE.sub(" ", stem)).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "customers"
    return (f"t_{name}" if name[0].isdigit() else name)[:_LONGEST_NAME].rstrip("_")


def month_of(path: Path) -> Month | None:
    """The month that a file's name tells, or else its folder's."""
    if (told := _DATE.search(stem_of(path))) and told["month"]:
        return Month(int(told["year"]), int(told["month"]))
    folder = path.resolve().parent.name
    return Month.parse(folder) if re.fullmatch(rf"{YEAR}-{_MONTH}", folder) else None


def pattern_of(stem: str) -> str:
    """What a file is called in every month, by its own name alone, with `*` for what looks like a date.

    Where nothing else is in its name, the century stays: `*` alone would be every other table's file too.
    """
    pattern = _DATE.sub("*", stem)
    return pattern if re.search(r"[^\W_]", pattern) else _DATE.sub(_century, stem)


def _century(date: re.Match[str]) -> str:
    return f"{date['year'][:2]}*" if date["year"] else f"*{date[0][-4:-2]}*"


def patterns(stems: Sequence[str]) -> list[str]:
    """What each of these files is called in every month, as far as no two are confused: such a one keeps its name."""
    return [
        stem if pattern != stem and any(fnmatchcase(other, pattern) for other in stems if other != stem) else pattern
        for stem, pattern in ((stem, pattern_of(stem)) for stem in stems)
    ]
