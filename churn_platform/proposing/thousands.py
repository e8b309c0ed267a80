"""Thousands: numbers whose thousands may be set apart, as in 1.663 and 1,234.50, which intake reads otherwise or not.

Here: whether a column has such ones, and how sure that is. Not here: which sign a file's amounts have (`habits`), or
what becomes of the column (`columns`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn_platform.proposing.habits import Habits, grouped
from churn_platform.proposing.sniffing import Sheet
from churn_platform.shown import MOST, as_text

if TYPE_CHECKING:
    import duckdb

_NUMBER = "regexp_full_match(value, '[-+]?[0-9][0-9.,]*')"
_CALLED = {".": "point", ",": "comma"}
_ALMOST_ALL = 0.9
"""The share of a column's values that have to be numbers, written in whatever way."""


@dataclass(frozen=True)
class Thousands:
    """That a column's numbers may be written like that, with one of them.

    `sure`, where they can be nothing else; `assumed`, where they are taken for it although no value tells.
    """

    sign: str
    example: str
    sure: bool
    assumed: bool

    @property
    def told(self) -> str:
        """What to say of the column."""
        told = f"thousands set apart by a {_CALLED[self.sign]}"
        if self.sure:
            return f"{told}, as in {self.example}: deliver plain numbers"
        if self.assumed:
            likely = "no value tells, but files with semicolons often do"
            return f"{self.example} may have {told}: {likely}; if it is a fraction, declare a number"
        return f"{self.example} may have {told}: no value tells, read as a fraction; ignore the column if that is wrong"


def thousands(con: duckdb.DuckDBPyConnection, sheet: Sheet, habit: Habits) -> Thousands | None:
    """Whether the column that `habits.take_column` has taken may set thousands apart; None where it does not.

    It may where just three digits follow each sign, and no zero begins. Numbers that had a type tell nothing.
    """
    if sheet.parquet:
        return None
    found = (_by(con, sheet, habit, sign, other) for sign, other in ((".", ","), (",", ".")))
    return next((one for one in found if one), None)


def _by(con: duckdb.DuckDBPyConnection, sheet: Sheet, habit: Habits, sign: str, other: str) -> Thousands | None:
    apart = grouped(sign, other)
    once = f"regexp_full_match(value, '[-+]?[0-9]+[{sign}][0-9]{{3}}')"
    has = f"contains(value, '{sign}')"
    short = f"regexp_full_match(value, '[-+]?[0-9]{{1,3}}([{other}][0-9]+)?')"
    row = con.execute(
        f"SELECT sum(n), sum(n) FILTER ({_NUMBER}), max(value) FILTER ({apart}),"
        f" coalesce(bool_or({has} AND NOT {apart}) FILTER ({_NUMBER}), false),"
        f" coalesce(bool_or({apart} AND NOT {once}), false),"
        f" coalesce(bool_or({once} AND value LIKE '%0'), false),"
        f" coalesce(bool_or(NOT {has}) AND bool_and({has} OR {short}) FILTER ({_NUMBER}), false) FROM seen"
    ).fetchone()
    assert row is not None  # an aggregate has a row
    total, numbers, example, otherwise, several, zeros, others_short = row
    if example is None or otherwise or numbers < _ALMOST_ALL * total:
        return None
    # Neither a fixed number of places nor the shortest way to write a fraction leaves both 12.000 and 980.
    mixed = zeros and others_short
    foreign = sign == "." and sheet.delimiter == ";" and not habit.fractions
    return Thousands(sign, as_text(example, MOST), several or habit.decimal == other or mixed, foreign)
