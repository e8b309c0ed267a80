"""Past: what a column's past is called, in formulas and as features, and how long ago a day was.

Here: names. Not here: which columns have one (`declaration`), or what it is made of (`tables.features`).
"""

from __future__ import annotations

from collections.abc import Iterator

from churn_platform.company.declaration import DeclaredHistory

AS_OF = "as_of"
"""The last day of the month that a row describes, which every table of the platform has."""

MONTHS = (1, 2)
"""How many months ago a formula may look."""


def ago(column: str, months: int) -> str:
    """A column's value so many months before."""
    return f"{column}__{months}m_ago"


def change(column: str, months: int) -> str:
    """The feature that is a column's change against its value so many months before."""
    return f"{column}_change_{months}m"


def ratio(column: str, months: int) -> str:
    """The feature that compares a column with its mean over so many months before."""
    return f"{column}_ratio_{months}m"


def days(column: str) -> str:
    """The feature that is how long ago a column's day was."""
    return f"days_since_{column}"


def features(history: DeclaredHistory) -> Iterator[tuple[str, str]]:
    """Each feature that is made of the past, with its column."""
    yield from ((change(column, months), column) for months in history.change for column in history.columns)
    yield from ((ratio(column, months), column) for months in history.ratio for column in history.columns)
