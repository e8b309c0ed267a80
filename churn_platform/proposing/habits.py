"""Habits: how a file writes numbers, dates, true and false, and what stands where nothing is known.

Here: what a declaration says of a whole file, judged by the casts that intake will use. Not here: encodings and
delimiters (`sniffing`), or what a column is (`judging`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from churn_platform.company.declaration import Kind
from churn_platform.contracts import Column, TableFile
from churn_platform.intake.casting import cast_of, quoted
from churn_platform.proposing.sniffing import Sheet

if TYPE_CHECKING:
    import duckdb

ISO = "%Y-%m-%d"
DATE_FORMATS = (
    *(ISO, "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d", "%d.%m.%y"),
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"),
)
"""How days may be written, the likeliest first."""

TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0", "ja", "j", "oui", "si", "sí", "sim", "tak", "on"})
FALSE = frozenset({"false", "f", "no", "n", "0", "0.0", "nein", "non", "não", "nie", "off"})
"""Words for true and false, in small letters."""
UNDECLARED = frozenset({"true", "t", "yes", "y", "1", "1.0", "false", "f", "no", "n", "0", "0.0"})
"""Those of them that intake understands without being told."""

_NOTHING = ("NULL", "null", "NaN", "nan", "N/A", "n/a", "#N/A", "\\N", "<NA>")
"""What means nothing in any column."""
_PERHAPS = ("NA", "None", "none", "-", "--", "?", "unknown", "Unknown", "missing", "k.A.", "nil", ".")
"""What means nothing among numbers, days, or yes and no."""

_OTHERS = 0.1
"""The most of a column that may be a text which is not known to mean nothing, and means it all the same."""
_FEW = 300
"""How many values are looked at for the format of dates, before all are."""
_WORDS = "words"


@dataclass(frozen=True)
class Look:
    """What a column's texts can be: for each reading that understands some of them, how many rows it does.

    A reading is `.` or `,` for numbers with that decimal sign, `words` for true and false, or a format of dates.
    `filled` counts the rows that are not blank; `nothing` are texts that stand where nothing is known.
    """

    filled: int
    readings: Mapping[str, int]
    nothing: tuple[str, ...]


@dataclass(frozen=True)
class Habits:
    """How a file writes things, as `company.declaration.DeclaredTable` has it.

    `fractions` says whether some column shows the decimal sign, `either_first` that days and months may be the other
    way round: no value tells.
    """

    decimal: Literal[".", ","] = "."
    date_format: str = ISO
    null_values: tuple[str, ...] = ()
    fractions: bool = False
    either_first: bool = False


def habits(con: duckdb.DuckDBPyConnection, sheet: Sheet, but: str, sound: float) -> Habits:
    """How a file writes things in its columns, but for the key; of each, the share `sound` is written like that."""
    looks = [_look(con, sheet, column) for column in sheet.columns if column != but]
    votes, rows = Counter[str](), Counter[str]()
    for seen in looks:
        rows.update(seen.readings)
        fitting = [name for name, count in seen.readings.items() if count >= sound * seen.filled]
        if not {".", ","} <= set(fitting):  # whole numbers are written alike in both
            votes.update(fitting)
    decimal: Literal[".", ","] = "," if _has_commas(votes, sheet) else "."
    written, either = _date_format(votes, rows)
    nothing = sorted({text for seen in looks for text in seen.nothing})
    iso = sheet.parquet
    return Habits(decimal, ISO if iso else written, tuple(nothing), votes[decimal] > 0, either and not iso)


def _date_format(votes: Counter[str], rows: Counter[str]) -> tuple[str, bool]:
    """How most columns, and then most rows, write days; and whether another order of day and month fits as well."""

    def fit(form: str) -> tuple[int, int]:
        return votes[form], rows[form]

    written = max((form for form in DATE_FORMATS if votes[form]), key=fit, default=ISO)
    turned = re.sub("%[dm]", lambda found: "%m" if found[0] == "%d" else "%d", written)
    return written, turned != written and turned in DATE_FORMATS and fit(turned) == fit(written)


def _has_commas(votes: Counter[str], sheet: Sheet) -> bool:
    """Whether amounts have a comma; where columns disagree, a file with semicolons has them for that reason."""
    even = 0 < votes[","] == votes["."] and sheet.delimiter == ";"
    return not sheet.parquet and (votes[","] > votes["."] or even)


def take_column(con: duckdb.DuckDBPyConnection, sheet: Sheet, column: str, nothing: Sequence[str] = ()) -> None:
    """Make the table `seen` of a column's different texts: `value`, and the number `n` of its rows, without blanks."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE seen AS SELECT {quoted(column)} AS value, count(*)::BIGINT AS n "
        f"FROM {sheet.sql} WHERE {quoted(column)} IS NOT NULL AND NOT list_contains(?::VARCHAR[], {quoted(column)}) "
        "GROUP BY 1",
        [list(nothing)],
    )


def cast(kind: Kind, sheet: Sheet, habit: Habits = Habits()) -> str:
    """What intake makes of `value`, as SQL; null where it is not of the kind."""
    file = TableFile("", (), decimal=habit.decimal, date_format=habit.date_format)
    return f"({cast_of(Column('value', kind, ''), file, sheet.parquet).sql})"


def words(values: Iterable[str]) -> str:
    """1 where `value` is one of these words, in any letters, as SQL."""
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(values))
    return f"CASE WHEN lower(value) IN ({listed}) THEN 1 END"


def sides(texts: Iterable[str]) -> dict[str, bool]:
    """Whether each of these words means true."""
    return {text: text.lower() in TRUE for text in texts}


def _look(con: duckdb.DuckDBPyConnection, sheet: Sheet, column: str) -> Look:
    take_column(con, sheet, column)
    blank = "trim(value) = '' OR list_contains(?, value)"
    nothing = con.execute(f"SELECT value FROM seen WHERE {blank}", [list(_NOTHING)]).fetchall()
    con.execute(f"DELETE FROM seen WHERE {blank}", [list(_NOTHING)])
    names = _readings(con, sheet)
    filled, readings = _understood(con, sheet, names)
    most = max(readings, key=lambda name: readings[name])
    strays: list[str] = []
    if 0 < readings[most] < filled:
        share = 0 if most == _WORDS else readings[most] / filled
        strays = _strays(con, _sql(sheet, most), share)
        con.execute("DELETE FROM seen WHERE list_contains(?, value)", [strays])
        filled, readings = _understood(con, sheet, names)
    for sign in _untold(con):
        readings.pop(sign)
    return Look(filled, readings, (*(text for (text,) in nothing), *strays))


def grouped(sign: str, other: str) -> str:
    """Whether `value` is a number whose thousands this sign may set apart, and the other one its fraction, as SQL."""
    return f"regexp_full_match(value, '[-+]?[1-9][0-9]{{0,2}}([{sign}][0-9]{{3}})+([{other}][0-9]+)?')"


def _untold(con: duckdb.DuckDBPyConnection) -> str:
    """The decimal signs for which a column is no evidence, since all of its points may set thousands apart."""
    found = con.execute(
        f"SELECT bool_and({grouped('.', ',')}), bool_or(contains(value, ',')) FROM seen WHERE contains(value, '.')"
    ).fetchone()
    assert found is not None  # an aggregate has a row
    thousands, commas = found
    return "" if not thousands else "." if commas else ".,"


def _readings(con: duckdb.DuckDBPyConnection, sheet: Sheet) -> Sequence[str]:
    """The readings that may understand the column: a format of dates must understand half of some values first."""
    dates = (ISO,) if sheet.parquet else DATE_FORMATS
    tried = ", ".join(f"count({_sql(sheet, form)})" for form in dates)
    found = con.execute(f"SELECT count(*), {tried} FROM (FROM seen ORDER BY n DESC, value LIMIT {_FEW})").fetchone()
    assert found is not None  # an aggregate has a row
    total, *counts = found
    return (".", ",", _WORDS, *(form for form, count in zip(dates, counts, strict=True) if count * 2 > total))


def _understood(con: duckdb.DuckDBPyConnection, sheet: Sheet, names: Sequence[str]) -> tuple[int, dict[str, int]]:
    """How many rows there are, and how many of them each reading understands."""
    counts = ", ".join(f"coalesce(sum(n) FILTER ({_sql(sheet, name)} IS NOT NULL), 0)" for name in names)
    found = con.execute(f"SELECT coalesce(sum(n), 0), {counts} FROM seen").fetchone()
    assert found is not None  # an aggregate has a row
    return int(found[0]), {name: int(count) for name, count in zip(names, found[1:], strict=True)}


def _sql(sheet: Sheet, reading: str) -> str:
    if reading == _WORDS:
        return words(TRUE | FALSE)
    if reading == ",":
        # 1,234 is hardly a little more than one.
        return f"CASE WHEN NOT {grouped(',', '.')} THEN {cast(Kind.NUMBER, sheet, Habits(','))} END"
    return cast(Kind.NUMBER, sheet) if reading == "." else cast(Kind.DATE, sheet, Habits(date_format=reading))


def _strays(con: duckdb.DuckDBPyConnection, understood: str, share: float) -> list[str]:
    """What stands where nothing is known, among texts that are understood: known signs, or one that is repeated."""
    found = con.execute(
        f"SELECT value, n FROM seen WHERE {understood} IS NULL ORDER BY n DESC, value LIMIT {len(_PERHAPS)}"
    ).fetchall()
    known = [text for text, _ in found if text in _PERHAPS]
    if len(known) == len(found) or share >= 1 - _OTHERS:
        return known or [text for text, times in found[:1] if times > 1 and not any(map(str.isdigit, text))]
    return []
