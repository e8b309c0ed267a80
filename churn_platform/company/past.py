"""Past: what a column's past is called, in formulas and as features, and what features were called in the past.

Here: names. Not here: which columns have one (`declaration`), or what it is made of (`tables.features`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from churn_platform.company.declaration import Declaration, DeclaredColumn, DeclaredHistory

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


def made_of(name: str, column: DeclaredColumn, history: DeclaredHistory | None) -> Iterator[str]:
    """The column's features where it has this name; without a history, those of its past are none."""
    yield days(name) if column.dates_a_feature else name
    if history:
        yield from (change(name, months) for months in history.change)
        yield from (ratio(name, months) for months in history.ratio)


def former(declaration: Declaration) -> dict[str, str]:
    """What features were called before their columns were renamed, each with its present name."""
    found = dict[str, str]()
    for table in declaration.states.values():
        for name, column in table.columns.items():
            history = declaration.features.history if name in declaration.features.history.columns else None
            for old in column.was:
                found |= zip(made_of(old, column, history), made_of(name, column, history), strict=True)
    return found


def called(former: Mapping[str, str], feature: str, known: Collection[str]) -> str:
    """What a feature of any time is called among these names; its own name where it is not among them."""
    present = former.get(feature, feature)
    names = (feature, present, *(old for old, new in former.items() if new == present))
    return next((name for name in names if name in known), feature)
