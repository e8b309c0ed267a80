"""Rules: what the values of a table's rows have to keep, as its contract implies, and which of them do not.

Here: each rule on one table once, with its words and bounds, and the queries that find what breaks it. Not here: the
same rules as Great Expectations has them (`expectations`), texts that are of no type (`parsing`), rules between tables
and what happens to broken rows (`landing`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from churn_platform.company.declaration import LONGEST_KEY, Kind, Role
from churn_platform.company.engines import whole
from churn_platform.contracts import Column, Table
from churn_platform.intake.casting import quoted, texts
from churn_platform.intake.parsing import ROW

if TYPE_CHECKING:
    import ibis
    from ibis.backends.duckdb import Backend

DUPLICATE = "duplicate key"
NOT_LISTED = "is not one of"

_AT_ONCE = 100_000
"""How many texts are compared with a pattern before the next are fetched."""


@dataclass(frozen=True)
class Rule:
    """What one column's values have to keep; `words` are said of one that does not. A blank breaks `Known` only."""

    column: str
    words: str


@dataclass(frozen=True)
class Known(Rule):
    """No value is blank."""


@dataclass(frozen=True)
class Unique(Rule):
    """No value stands in two rows: each of them breaks it."""


@dataclass(frozen=True)
class Matching(Rule):
    """Each value has a match of `regex`, which is Python's."""

    regex: str


@dataclass(frozen=True)
class Short(Rule):
    """No value has more characters than `most`."""

    most: int


@dataclass(frozen=True)
class OneOf(Rule):
    """Each value is one of these texts."""

    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Within(Rule):
    """No value is below `low` or above `high`: numbers, or dates. None bounds nothing."""

    low: float | date | None
    high: float | date | None


@dataclass(frozen=True)
class Broken:
    """One value that breaks a rule: its row, as ROW counts them, its column, and the rule's words."""

    row: int
    column: str
    rule: str


def rules_of(table: Table, as_of: date) -> tuple[Rule, ...]:
    """The rules on a table of the month that ends on `as_of`, column by column. A value is told of by the first."""
    return tuple(rule for column in table.columns for rule in _rules(column, as_of))


def _rules(column: Column, as_of: date) -> Iterator[Rule]:
    name = column.name
    if not column.nullable and not column.optional:
        yield Known(name, "is blank")
    if column.role is Role.KEY:
        yield Unique(name, DUPLICATE)
        yield Short(name, f"has more than {LONGEST_KEY} characters", LONGEST_KEY)
    if column.pattern:
        yield Matching(name, f"does not match {column.pattern}", whole(column.pattern))
    if column.allowed:
        yield OneOf(name, f"{NOT_LISTED} {', '.join(column.allowed)}", column.allowed)
    if column.outside:
        yield Within(name, f"is {column.outside}", column.minimum, column.maximum)
    if column.kind is Kind.DATE:
        words = f"is outside {column.earliest} to {as_of}" if column.earliest else f"is after {as_of}"
        yield Within(name, words, column.earliest, as_of)


def broken(engine: Backend, rows: ibis.Table, table: Table, as_of: date) -> tuple[Broken, ...]:
    """Every value of a table's parsed rows that breaks a rule, by row and column, then in the order of the rules."""
    name, rules = quoted(rows.get_name()), rules_of(table, as_of)
    queries = [
        f"SELECT {ROW}, {number} FROM {name} WHERE {_breaks(rule, name)}"
        for number, rule in enumerate(rules)
        if not isinstance(rule, Matching)
    ]
    found = [(row, number) for row, number in engine.con.execute(" UNION ALL ".join(queries)).fetchall()]
    for number, rule in enumerate(rules):
        if isinstance(rule, Matching):
            found += [(row, number) for row in _without_match(engine, name, rule)]
    found.sort(key=lambda at: (at[0], rules[at[1]].column, at[1]))
    return tuple(Broken(row, rules[number].column, rules[number].words) for row, number in found)


def _breaks(rule: Rule, rows: str) -> str:
    """The condition in SQL that holds for what breaks a rule. It holds for no blank: there, it is unknown."""
    column = quoted(rule.column)
    match rule:
        case Known():
            return f"{column} IS NULL"
        case Unique():
            return f"{column} IN (SELECT {column} FROM {rows} GROUP BY {column} HAVING count(*) > 1)"
        case Short():
            return f"length({column}) > {rule.most}"
        case OneOf():
            return f"{column} NOT IN ({texts(rule.allowed)})"
        case Within():
            bounds = (("<", rule.low), (">", rule.high))
            return " OR ".join(f"{column} {sign} {_literal(bound)}" for sign, bound in bounds if bound is not None)
    raise AssertionError(rule)


def _literal(bound: float | date) -> str:
    # A literal such as 0.1 would be a DECIMAL, and 1e400 an error.
    return f"DATE '{bound}'" if isinstance(bound, date) else f"'{bound!r}'::DOUBLE"


def _without_match(engine: Backend, rows: str, rule: Matching) -> Iterator[int]:
    r"""The rows whose text breaks a pattern.

    Patterns are Python's, as everywhere else in the platform. DuckDB's are not: they know no lookahead, and mean other
    things by `\d` and `\w`. So Python compares the texts, a batch at a time.
    """
    matches, column = re.compile(rule.regex).search, quoted(rule.column)
    batches = engine.con.execute(f"SELECT {ROW}, {column} FROM {rows} WHERE {column} IS NOT NULL")
    for batch in batches.to_arrow_reader(_AT_ONCE):
        numbers, found = batch.columns
        for place, text in enumerate(found.to_pylist()):
            if not matches(text):
                yield numbers[place].as_py()


def first_of_equals(engine: Backend, rows: ibis.Table, key: str, repeated: Iterable[int]) -> set[int]:
    """Of rows with repeated keys, the first for each key whose rows are all the same."""
    found = engine.con.execute(
        f"SELECT min({ROW}) FROM (SELECT * EXCLUDE {ROW}, min({ROW}) AS {ROW} FROM {quoted(rows.get_name())}"
        f" WHERE {ROW} IN (SELECT unnest(?::BIGINT[])) GROUP BY ALL) GROUP BY {quoted(key)} HAVING count(*) = 1",
        [list(repeated)],
    ).fetchall()
    return {row for (row,) in found}
