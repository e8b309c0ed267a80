"""Customers: which column says whom a row is about, and which file says who is active.

Here: the key in all files, and how their customers relate. Not here: any other column (`judging`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from churn_platform.company.names import of_key
from churn_platform.intake.casting import quoted
from churn_platform.proposing.label_column import Label
from churn_platform.proposing.naming import names_a_customer
from churn_platform.proposing.sniffing import Sheet, UnfitError
from churn_platform.proposing.tolerances import Tolerances
from churn_platform.shown import MOST, as_text, counted, inert

if TYPE_CHECKING:
    import duckdb

_VARIOUS = 0.7
"""The share of different values from which a column is counted out; the quick look is some percent wrong."""
_NEITHER = "regexp_full_match({0}, '-?[0-9]+[.,][0-9]*[1-9][0-9]*|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}.*')"
"""Numbers with fractions, and days, are no keys."""
_DIGITS = "regexp_extract({0}, '^-?[0-9]+')"
_WHOLE_KEY = "(regexp_full_match({0}, '(0|-?[1-9][0-9]*)([.]0*)?') AND TRY_CAST(" + _DIGITS + " AS BIGINT) IS NOT NULL)"
"""Numbers that are the same customer however they are written; 007 is not 7, and databases have no longer ones."""


@dataclass(frozen=True)
class Key:
    """The column that says which customer a row is about, and whether its values are whole numbers."""

    name: str
    kind: Literal["text", "integer"]
    told: str

    @property
    def sql(self) -> str:
        """The key as intake has it."""
        column = quoted(self.name)
        return _DIGITS.format(column) if self.kind == "integer" else column


@dataclass(frozen=True)
class _Use:
    """How a file uses a column that may be the key."""

    sheet: Sheet
    name: str
    filled: int
    different: int
    once: int
    whole: bool
    neither: bool

    def is_unique(self, tolerated: Tolerances) -> bool:
        return self.once >= tolerated.sound * self.sheet.rows


def key_of(con: duckdb.DuckDBPyConnection, sheets: Sequence[Sheet], wanted: str | None, tolerated: Tolerances) -> Key:
    """The column that all files have and that is different in each of their rows. Raises UnfitError."""
    shared = [name for name in sheets[0].columns if all(name in sheet.columns for sheet in sheets)]
    if wanted is not None:
        if lacking := next((sheet for sheet in sheets if wanted not in sheet.columns), None):
            raise UnfitError(f"{lacking.path} has no column {inert(wanted)}: name the key that all files have (--key)")
        shared = [wanted]
    if not shared:
        names = "; ".join(f"{s.path.name} has {', '.join(map(inert, s.columns[:5]))}" for s in sheets[:3])
        raise UnfitError(f"no column is in all files, and each has to have the customer's key by one name: {names}")
    various = [name for name in shared if wanted or all(_is_various(con, sheet, name) for sheet in sheets)]
    uses = {name: [_use(con, sheet, name) for sheet in sheets] for name in various}
    able = [name for name, found in uses.items() if all(use.is_unique(tolerated) and not use.neither for use in found)]
    likely = sorted(able, key=lambda name: -names_a_customer(name))
    if not likely:
        name = max(shared, key=names_a_customer)
        raise UnfitError(_why_none(name, [_use(con, sheet, name) for sheet in sheets], wanted, tolerated))
    best = likely[0]
    if wanted is None and names_a_customer(best) <= 0 and (len(likely) > 1 or names_a_customer(best) < 0):
        raise UnfitError(f"{_list(likely)} could each be the customer's key: say which one with --key COLUMN")
    if reason := of_key(best):
        told = f"{uses[best][0].sheet.path}: {inert(best)} {reason}: give it another name in all files, or write the"
        raise UnfitError(f'{told} declaration with another name, and `key = "{inert(best)}"` in each table')
    kind: Literal["text", "integer"] = "integer" if all(use.whole for use in uses[best]) else "text"
    first = uses[best][0]
    told = f"{first.different:,} of {first.sheet.rows:,} different values in {as_text(first.sheet.path.name, MOST)}"
    return Key(best, kind, f"{told}; in all files" if len(sheets) > 1 else told)


def _is_various(con: duckdb.DuckDBPyConnection, sheet: Sheet, name: str) -> bool:
    """Whether a column may be different in each row, as far as a quick look tells: most columns are not."""
    return _one(con, f"SELECT approx_count_distinct({quoted(name)}) FROM {sheet.sql}") >= _VARIOUS * sheet.rows


def _use(con: duckdb.DuckDBPyConnection, sheet: Sheet, name: str) -> _Use:
    column = quoted(name)
    canonical = f"CASE WHEN {_WHOLE_KEY.format(column)} THEN {_DIGITS.format(column)} ELSE {column} END"
    found = con.execute(
        "SELECT coalesce(sum(n), 0), count(*), count(*) FILTER (n = 1), coalesce(bool_and(whole), false),"
        " count(*) FILTER (neither) * 2 > count(*) FROM (SELECT "
        f"{canonical} AS key, count(*) AS n, bool_and({_WHOLE_KEY.format(column)}) AS whole,"
        f" bool_or({_NEITHER.format(column)}) AS neither FROM {sheet.sql} WHERE trim({column}) != '' GROUP BY 1)"
    ).fetchone()
    assert found is not None  # an aggregate has a row
    return _Use(sheet, name, *found)


def _why_none(name: str, uses: Sequence[_Use], wanted: str | None, tolerated: Tolerances) -> str:
    """Why not even the likeliest column is the key: it has several rows for one customer, or sounds odd."""
    use = min(uses, key=lambda use: use.once / use.sheet.rows)
    if (wanted is None and names_a_customer(name) <= 0) or use.neither:
        where = f"{use.sheet.path} has no column" if len(uses) == 1 else "no column is in all files"
        return f"{where} that is different in each row: name the customer's key with --key COLUMN"
    if (blank := use.sheet.rows - use.filled) > tolerated.broken * use.sheet.rows:
        return f"{use.sheet.path}: {inert(name)} is blank in {counted(blank, 'row')}: give every customer a key"
    return (
        f"{use.sheet.path} has several rows for one customer: {use.sheet.rows:,} rows for {use.different:,} values of "
        f"{inert(name)}; aggregate them to one row for each customer first, as in SELECT {inert(quoted(name))}, "
        f"count(*), max(...) FROM {use.sheet.name} GROUP BY {inert(quoted(name))}, or name another key with --key"
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(inert, names[:5]))


@dataclass(frozen=True)
class Customers:
    """The table that says who is active, and how many of its customers have no row in each other table.

    Where they are more than a month may lack, the table is `sparse`: it has to list only those who did something.
    """

    sheet: Sheet
    told: str
    absent: dict[str, int]
    sparse: frozenset[str]
    total: int


def customers_of(
    con: duckdb.DuckDBPyConnection, sheets: Sequence[Sheet], key: Key, label: Label | None, tolerated: Tolerances
) -> Customers:
    """The table that lists every customer: the one with most, and then the one that says most but who left.

    Raises UnfitError where another one has customers whom it lacks.
    """
    totals = {sheet.name: _one(con, f"SELECT count(DISTINCT {key.sql}) FROM {sheet.sql}") for sheet in sheets}

    def preference(sheet: Sheet) -> tuple[int, bool, bool]:
        alone = label is not None and sheet is label.sheet and len(sheet.columns) <= _LABELS_OWN
        sounds = any(names_a_customer(f"{word} id") > 1 for word in sheet.name.rstrip("s").split("_"))
        return totals[sheet.name] if not alone else 0, not alone, sounds

    best = max(sheets, key=preference)
    absent = {}
    for other in sheets:
        if other is best:
            continue
        strangers = _one(con, _except(key, other, best))
        if strangers > tolerated.broken * other.rows:
            raise UnfitError(
                f"{other.path} has {counted(strangers, 'customer')} whom {best.path} does not have: one file has to "
                "list everybody who is active, and be there"
            )
        absent[other.name] = _one(con, _except(key, best, other))
    total = totals[best.name]
    told = f"{total:,} customers" + (", no other file has more" if len(sheets) > 1 else "")
    sparse = frozenset(name for name, lacking in absent.items() if lacking > tolerated.absent * total)
    return Customers(best, told, absent, sparse, total)


_LABELS_OWN = 3
"""How many columns a table that is only for the label may have, its key included."""


def _except(key: Key, sheet: Sheet, other: Sheet) -> str:
    mine, theirs = (f"SELECT {key.sql} FROM {table.sql} WHERE {quoted(key.name)} != ''" for table in (sheet, other))
    return f"SELECT count(*) FROM ({mine} EXCEPT {theirs})"


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    found = con.execute(sql).fetchone()
    assert found is not None  # an aggregate has a row
    return int(found[0])
