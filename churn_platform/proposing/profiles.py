"""Profiles: what is in a column, in figures, once it is known how its file writes things.

Here: counting, with the casts that intake will use. Not here: what follows from the figures (`judging`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from churn_platform.company.declaration import Kind
from churn_platform.proposing.habits import Habits, cast, take_column
from churn_platform.proposing.sniffing import Sheet

if TYPE_CHECKING:
    import duckdb

LOOKED_AT = 60
"""How many different values of a column are looked at one by one, the most frequent ones."""


@dataclass(frozen=True)
class Profile:
    """A column's figures. `filled` of its `rows` are not blank, with so many `different` texts.

    `whole`, `numbers` and `dates` are how many of those are such; `fractions`, how many are written with one that is
    not `.0`. The bounds are of numbers and dates. `values` are the most frequent texts with their rows, `longest` is
    the length of any; `late` counts days after the month; `amounts`, numbers with signs as in $1,234.50.
    """

    name: str
    rows: int
    values: Mapping[str, int]
    filled: int
    different: int
    whole: int
    numbers: int
    fractions: int
    dates: int
    low: float | None
    high: float | None
    first: date | None
    last: date | None
    late: int
    longest: int
    amounts: int


def profile(con: duckdb.DuckDBPyConnection, sheet: Sheet, column: str, habit: Habits, as_of: date) -> Profile:
    """A column's figures; `late` counts the days after `as_of`."""
    take_column(con, sheet, column, habit.null_values)
    whole, number, day = (cast(kind, sheet, habit) for kind in (Kind.INTEGER, Kind.NUMBER, Kind.DATE))
    found = con.execute(
        f"SELECT {_rows('true')}, count(*), {_rows(f'{whole} IS NOT NULL')}, {_rows(f'{number} IS NOT NULL')},"
        f" {_rows(f'{number} IS NOT NULL AND NOT {_WRITTEN_WHOLE}')}, {_rows(f'{day} IS NOT NULL')},"
        f" min({number}), max({number}), min({day}), max({day}), {_rows(f'{day} > ?')},"
        f" coalesce(max(length(value)), 0), {_rows(_AMOUNT)} FROM seen",
        [as_of],
    ).fetchone()
    assert found is not None  # an aggregate has a row
    frequent = con.execute(f"SELECT value, n FROM seen ORDER BY n DESC, value LIMIT {LOOKED_AT}").fetchall()
    return Profile(column, sheet.rows, dict(frequent), *found)


_WRITTEN_WHOLE = "regexp_full_match(value, '[-+]?[0-9]+([.]0)?')"
"""Written as a whole number, or as pandas writes one in a column with blanks."""
_AMOUNT = r"regexp_full_match(value, '[-+]?[$€£]? ?[0-9]{1,3}([,. ''][0-9]{3})*([.,][0-9]+)? ?[$€£%]?')"


def _rows(condition: str) -> str:
    return f"coalesce(sum(n) FILTER ({condition}), 0)::BIGINT"
