"""Months: the platform's partition key and its calendar.

Here: parsing, arithmetic and naming of months. Not here: which months have a drop (`intake.drops`),
which are closed (`lake`), or Dagster's partitions (`assets.partitions`).
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date

from churn_platform.faults import Fault

_KEY = re.compile(r"(?!0000)([0-9]{4})-(0[1-9]|1[0-2])")
_FOLDER = re.compile(r"month_([0-9]{3,4})")


class MonthError(Fault, ValueError):
    """A text that is not a month. A ValueError too: only for those does pydantic say which field was wrong."""


@dataclass(frozen=True, order=True)
class Month:
    """One calendar month. `str(month)` is its partition key, such as `2024-01`."""

    year: int
    number: int

    @classmethod
    def parse(cls, key: str) -> Month:
        """The month of a key such as `2024-01`. Raises MonthError for anything else."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise MonthError(f"{key!r} is not a month: write it as YYYY-MM, such as 2024-01")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, day: date) -> Month:
        """The month that a day falls in."""
        return cls(day.year, day.month)

    @classmethod
    def of_folder(cls, name: str, first: Month) -> Month | None:
        """The month that a drop folder stands for, or None where the name is not a drop's.

        `month_NNN` counts months since `first`; `YYYY-MM` names it outright.
        """
        if (match := _FOLDER.fullmatch(name)) is not None:
            return first + int(match[1])
        return cls.parse(name) if _KEY.fullmatch(name) else None

    @property
    def as_of(self) -> date:
        """The month's last day: the date that its snapshot describes."""
        return date(self.year, self.number, calendar.monthrange(self.year, self.number)[1])

    def __add__(self, months: int) -> Month:
        years, index = divmod(self.year * 12 + self.number - 1 + months, 12)
        return Month(years, index + 1)

    def __sub__(self, months: int) -> Month:
        return self + -months

    def since(self, other: Month) -> int:
        """How many months lie between `other` and this one; negative where this one is earlier."""
        return (self.year - other.year) * 12 + self.number - other.number

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"
