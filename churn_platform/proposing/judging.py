"""Judging: what a column is, by its figures and its name: its kind, its role, and what may be in it.

Here: one column by itself. Not here: its figures (`profiles`), whether it gives the label away (`leaks`), or what
it has to agree on with others (`columns`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from msgspec.structs import replace

from churn_platform.company.declaration import DeclaredColumn, Kind, Role
from churn_platform.modelling.encoding import LEARNED
from churn_platform.proposing.habits import FALSE, TRUE
from churn_platform.proposing.naming import meaning_of, names_a_yes, names_an_amount, names_an_id, names_gender
from churn_platform.proposing.profiles import Profile
from churn_platform.proposing.tolerances import Tolerances
from churn_platform.shown import MOST, as_text

MOST_LISTED = 12
"""The most values that a category lists."""
OFTEN = 5
"""How often each of them has to be seen: with rarer ones, next month has some that nobody has seen yet."""
_LONGEST_VALUE = 60
"""How long a category's values may be: longer ones are texts."""
_ALMOST_ALL = 0.99
"""The share of values that are such from which all are meant to be, whatever intake would take."""
_NEARLY = 0.95
"""The share of different values from which texts stand for something else."""
_LONG = 10**8
"""Whole numbers from here on are hardly amounts."""
_TWOS = 10
"""How many twos a count of as many zeros and ones would have at least, so that it would show that it is one."""


@dataclass(frozen=True)
class ProposedColumn:
    """A column as it is proposed, and why, in words for a person."""

    declared: DeclaredColumn
    told: str


def judge(profile: Profile, tolerated: Tolerances) -> ProposedColumn:
    """What a column is, if so much of it may be something else."""
    blanks = profile.rows - profile.filled
    told = f"; {blanks:,} blank" if blanks else ""
    kind = _kind(profile, tolerated.sound)
    if reason := _useless(profile, kind, tolerated.broken):
        return ignored(profile.name, kind, f"ignored: {reason}{told}")
    declared = replace(DeclaredColumn(kind=kind, meaning=meaning_of(profile.name)), nullable=blanks > 0)
    if kind in (Kind.CATEGORY, Kind.BOOLEAN):
        if names_gender(profile.name):
            declared, told = replace(declared, role=Role.SEGMENT), f"{told}; compares groups, and is no feature"
        return _of_words(profile, declared, told)
    known = profile.dates if kind is Kind.DATE else profile.numbers
    told += f"; {profile.filled - known:,} that are none" if known < profile.filled else ""
    if kind is Kind.DATE:
        assert profile.first is not None  # most values are days
        earliest = date(max(profile.first.year - 10, 1), 1, 1)
        return ProposedColumn(replace(declared, earliest=earliest), f"{profile.first} to {profile.last}{told}")
    assert profile.low is not None and profile.high is not None  # most values are numbers
    low = 0 if profile.low >= 0 else -_wide(profile.low)
    declared = replace(declared, minimum=low, maximum=_wide(profile.high))
    return ProposedColumn(declared, f"{profile.low:,.10g} to {profile.high:,.10g}{told}")


def _of_words(profile: Profile, declared: DeclaredColumn, told: str) -> ProposedColumn:
    """A category, or true and false."""
    if declared.kind is Kind.BOOLEAN:
        shares = [f"{as_text(text, MOST)} {count / profile.filled:.0%}" for text, count in profile.values.items()]
        return ProposedColumn(declared, f"{', '.join(shares)}{told}")
    values = listed(profile)
    rare = "" if values else ", too many or too rare to list: open"
    return ProposedColumn(replace(declared, values=values), f"{profile.different:,} different values{rare}{told}")


def ignored(name: str, kind: Kind, told: str) -> ProposedColumn:
    """A column that is kept and used for nothing: whatever is in it next month must not stop that."""
    kind = kind if kind in (Kind.TEXT, Kind.CATEGORY) else Kind.TEXT
    return ProposedColumn(DeclaredColumn(kind=kind, role=Role.IGNORED, nullable=True, meaning=meaning_of(name)), told)


def listed(profile: Profile) -> tuple[str, ...]:
    """The values that a category lists, in order; none where they are many, one is rare, or none may list one."""
    often = profile.different <= MOST_LISTED and min(profile.values.values()) >= OFTEN
    return tuple(sorted(profile.values)) if often and not any("\0" in text for text in profile.values) else ()


def _kind(profile: Profile, sound: float) -> Kind:
    most = sound * profile.filled
    if _is_boolean(profile):
        return Kind.BOOLEAN
    if profile.filled and profile.dates >= most:
        return Kind.DATE
    if profile.filled and profile.numbers >= most:
        fractions = profile.fractions or profile.whole < profile.numbers or names_an_amount(profile.name)
        return Kind.NUMBER if fractions else Kind.INTEGER
    spread = sum(sorted(profile.values.values(), reverse=True)[:LEARNED])
    fits = profile.longest <= _LONGEST_VALUE and spread * 2 >= profile.filled
    return Kind.CATEGORY if fits and not _stands_for_something(profile) else Kind.TEXT


def _is_boolean(profile: Profile) -> bool:
    """Whether it is true or false: of zeros and ones, only where they would hardly be a count."""
    texts = {text.lower() for text in profile.values}
    if profile.different > 2 * len(TRUE) or not texts <= TRUE | FALSE or not (texts & TRUE and texts & FALSE):
        return False
    ones = sum(count for text, count in profile.values.items() if text.lower() in TRUE)
    numbers = texts <= {"0", "1", "0.0", "1.0"}
    return not numbers or names_a_yes(profile.name) or ones**2 / (2 * profile.filled) >= _TWOS


def _useless(profile: Profile, kind: Kind, broken: float) -> str | None:
    """Why a column can be no feature."""
    different, filled = f"{profile.different:,}", f"{profile.filled:,}"
    if not profile.filled:
        return "blank in every row"
    if profile.different == 1:
        return f"{as_text(next(iter(profile.values)), MOST)} in every row that has it"
    if kind is Kind.DATE:
        return f"{profile.late:,} days lie after the month" if profile.late > broken * profile.filled else None
    if kind is Kind.INTEGER and _is_id(profile):
        return f"an id: {different} of {filled} different"
    if kind is not Kind.TEXT:
        return None
    if profile.amounts >= _ALMOST_ALL * profile.filled:
        return "amounts with signs in them, such as $1,234.50: deliver them as plain numbers"
    if profile.different >= _NEARLY * profile.filled:
        return f"an id or free text: {different} of {filled} different"
    return f"free text: {different} different, {LEARNED} of which are less than half"


def _stands_for_something(profile: Profile) -> bool:
    return profile.different >= _NEARLY * profile.filled


def _is_id(profile: Profile) -> bool:
    """Whether whole numbers are an id: hardly the same twice, although amounts between these bounds would be."""
    if profile.different < _ALMOST_ALL * profile.filled or profile.low is None or profile.high is None:
        return False
    twice = profile.filled**2 / (2 * max(profile.high - profile.low, 1))  # as often as they would be by chance
    repeated = profile.filled - profile.different
    long = profile.low >= _LONG and not repeated  # such as a telephone's number
    return (twice >= _TWOS and repeated * 10 <= twice) or long or names_an_id(profile.name)


def _wide(bound: float) -> int:
    """A power of ten that is at least ten times as much: amounts grow, and cents taken for dollars are more."""
    return int(10 ** max(math.ceil(math.log10(max(abs(bound), 1) * 10) - 1e-9), 1))
