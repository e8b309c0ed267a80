"""Landing: a drop's file is judged against its contract; sound rows may be kept, broken ones are named.

Here: what is kept, what is quarantined and whether the month stops. Not here: reading files (`parsing`), the rules on
one table (`rules`), the page that shows what breaks them (`expectations`), where landed tables go (`lake`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from churn_platform.company.declaration import Role
from churn_platform.contracts import Contract, Table
from churn_platform.intake import expectations, rules
from churn_platform.intake.drops import file_of
from churn_platform.intake.parsing import ROW, Parsed, parse
from churn_platform.months import Month
from churn_platform.shown import counted, inert
from churn_platform.tombstones import Tombstones

if TYPE_CHECKING:
    import ibis
    from ibis.backends.duckdb import Backend

_QUARANTINE = {"file": "string", "line": "int64", "column": "string", "value": "string", "rule": "string"}
"""The columns of every quarantine, with Ibis's types."""

UNKNOWN_CUSTOMER = "is an unknown customer"
RAGGED = "ragged line"

_LISTED = 80
"""How many characters a message shows of a rule that lists values: they may be many."""


@dataclass(frozen=True)
class Violation:
    """One broken rule: its place in the file, the value found there, and the rule.

    `line` counts from 1 in a CSV file, its header included, and is the row's number in a Parquet file: `unit` says
    which, `line` or `row`.
    `column` is empty where the whole line is at fault. `part` names the file where the table is a folder of them.
    """

    line: int
    column: str
    value: str | None
    rule: str
    part: str = ""
    unit: str = "line"

    def __str__(self) -> str:
        place = f"{inert(self.part) + ', ' if self.part else ''}{self.unit} {self.line}"
        value = "None" if self.value is None else f"'{inert(self.value)}'"
        return f"{place}{', column ' + self.column if self.column else ''}: {value} {_cut(self.rule)}"


def _cut(rule: str) -> str:
    """A rule, without the rest of a list of values that is long; between two of them, where there are two."""
    if not rule.startswith(rules.NOT_LISTED) or len(rule) <= _LISTED:
        return rule
    values, comma, _ = rule[:_LISTED].rpartition(", ")
    return f"{values}, ..." if comma else f"{rule[:_LISTED]}..."


def nothing_quarantined() -> ibis.Table:
    """A quarantine without rows."""
    import ibis

    return ibis.memtable([], schema=_QUARANTINE)


@dataclass(frozen=True)
class Judged:
    """A file after parsing and judging: what may be kept, what is quarantined, and whether the month stops.

    `kept` has the contract's columns, in key order. `delivered` has every row that could be read, broken ones too.
    `total` counts the file's rows, unreadable ones included, but not the `erased` ones: of customers who were erased.
    `fault` says in one sentence why the month stops; None where it goes on.
    """

    table: Table
    path: Path
    total: int
    kept: ibis.Table
    delivered: ibis.Table
    violations: tuple[Violation, ...]
    judgement: expectations.Judgement
    fault: str | None
    erased: int = 0

    @property
    def quarantined(self) -> int:
        """How many rows are taken out."""
        return _rows(self.violations)

    def seen(self) -> ibis.Table:
        """Every key that the file has a row of, broken or not, each once, in order."""
        keys = self.delivered.select(self.table.key.name)
        return keys.filter(keys[self.table.key.name].notnull()).distinct().order_by(self.table.key.name)

    def quarantine(self) -> ibis.Table:
        """The quarantine's table: file, line, column, value, rule; one row per broken rule."""
        import ibis

        return ibis.memtable(
            [(f"{self.path.name}/{v.part}".rstrip("/"), v.line, v.column, v.value, v.rule) for v in self.violations],
            schema=_QUARANTINE,
        ).order_by("file", "line", "column", "rule")


def first_violations(quarantine: ibis.Table, most: int) -> tuple[Violation, ...]:
    """The first broken rules that a quarantine's table tells of, by file and line."""
    rows = quarantine.order_by("file", "line", "column", "rule").limit(most).to_pyarrow().to_pylist()
    return tuple(
        Violation(r["line"], r["column"], r["value"], r["rule"], r["file"].partition("/")[2], unit_of(r["file"]))
        for r in rows
    )


def judge_state(
    engine: Backend,
    drop: Path,
    contract: Contract,
    tolerance: float,
    as_of: date,
    tombstones: Tombstones | None = None,
) -> tuple[Judged, ...]:
    """Judge a drop's tables about customers, first the one that says who they are: rows of others are broken too.

    One that the drop need not have in this month is left out where it is not there. A date after `as_of`, the month's
    last day, is broken. Whoever has a tombstone is left out. Nothing is written. Raises DropError for a fault of
    structure.
    """
    customers = judge_customers(engine, drop, contract, tolerance, as_of, tombstones)
    there = [table for table in contract.states[1:] if file_of(drop, table.at(Month.of(as_of)))]
    return (customers, *(_judge(engine, drop, table, tolerance, as_of, customers, tombstones) for table in there))


def judge_customers(
    engine: Backend,
    drop: Path,
    contract: Contract,
    tolerance: float,
    as_of: date,
    tombstones: Tombstones | None = None,
) -> Judged:
    """Judge only the table that says who the customers are, as `judge_state` does."""
    return _judge(engine, drop, contract.customers, tolerance, as_of, None, tombstones)


def judge_labels(
    engine: Backend,
    drop: Path,
    table: Table,
    tolerance: float,
    as_of: date,
    customers: Judged,
    tombstones: Tombstones | None = None,
) -> Judged | None:
    """Judge a drop's labels, or None where they have not arrived. What is kept of `customers` is what the month has.

    Labels that stand in a table about customers are blank until they are known: those rows are left out.
    """
    if file_of(drop, table) is None:
        return None
    judged = _judge(engine, drop, table, tolerance, as_of, customers, tombstones)
    label = next(column for column in table.columns if column.role is Role.LABEL)
    if not label.nullable:
        return judged
    known = replace(judged, kept=judged.kept.filter(judged.kept[label.name].notnull()))
    some = any(broken.column == label.name for broken in judged.violations)
    return known if some or known.kept.count().to_pyarrow().as_py() else None


def _judge(
    engine: Backend,
    drop: Path,
    table: Table,
    tolerance: float,
    as_of: date,
    customers: Judged | None,
    tombstones: Tombstones | None,
) -> Judged:
    """Judge one table; rows of others than these customers are broken.

    Rows of customers who were delivered and taken out are no fault of this table: it is told where they stood.
    """
    path = file_of(drop, table)
    assert path is not None  # file_of raises for a required table
    wanted, key = table.at(Month.of(as_of)), table.key.name
    parsed = parse(engine, path, wanted, tombstones)
    breaks = rules.broken(engine, parsed.typed, wanted, as_of)
    frame = expectations.most_rows(parsed.typed, parsed.readable, ROW, key)
    judgement = expectations.evaluate_suite(wanted, frame, ROW if breaks else None, tolerance, as_of, parsed.readable)

    broken = {(row, column): rule for row, column, rule in parsed.wrong_types()}
    for found in _without_repeats(engine, parsed.typed, key, breaks):
        broken.setdefault((found.row, found.column), found.rule)
    own = dict(broken)
    if customers is not None:
        strangers = _except_rows(parsed.typed, broken).anti_join(customers.kept, key)
        broken |= _unknown(strangers, key)
        if not customers.fault:
            own |= _unknown(strangers.anti_join(customers.delivered, key), key)

    places = _found(parsed, {row for row, _ in broken} | {value.row for value in judgement.broken})
    judgement.show(places, unit_of(path.name))
    violations = _violations(parsed, broken, places)
    kept = _except_rows(parsed.typed, broken).drop(ROW).order_by(key)
    total = parsed.readable + len(parsed.unreadable)
    fault = _fault(parsed, total, _violations(parsed, own, places), tolerance)
    return Judged(table, path, total, kept, parsed.typed, violations, judgement, fault, parsed.erased)


def _unknown(rows: ibis.Table, key: str) -> dict[tuple[int, str], str]:
    return {(int(row), key): UNKNOWN_CUSTOMER for row in rows[ROW].to_pandas()}


def unit_of(file: str) -> str:
    """What a place in this file counts: rows in Parquet, lines elsewhere."""
    return "row" if file.partition("/")[0].endswith(".parquet") else "line"


def _found(parsed: Parsed, rows: set[int]) -> dict[int, expectations.Found]:
    """Where each of these rows is in the file, and its texts there."""
    if not rows:
        return {}
    values = parsed.values(rows)
    return {row: expectations.Found(place.part, place.line, values[row]) for row, place in parsed.places(rows).items()}


def _except_rows(rows: ibis.Table, broken: Iterable[tuple[int, str]]) -> ibis.Table:
    bad = sorted({row for row, _ in broken})
    return rows.filter(rows[ROW].notin(bad)) if bad else rows


def _without_repeats(
    engine: Backend, rows: ibis.Table, key: str, broken: Sequence[rules.Broken]
) -> Iterator[rules.Broken]:
    """Keep the first of identical rows; rows that contradict each other are all broken.

    That way the order of the file's rows cannot decide what is kept.
    """
    doubles = {b.row for b in broken if b.rule == rules.DUPLICATE}
    spared = rules.first_of_equals(engine, rows, key, doubles) if doubles else set()
    return (b for b in broken if b.rule != rules.DUPLICATE or b.row not in spared)


def _violations(
    parsed: Parsed, broken: Mapping[tuple[int, str], str], places: Mapping[int, expectations.Found]
) -> tuple[Violation, ...]:
    """The broken rules with their places in the file and the text found there, in the file's order."""
    unit = unit_of(parsed.path.name)
    told = [
        Violation(place.line, "", line.text, f"{RAGGED}: {line.reason}", place.part, unit)
        for place, line in parsed.unreadable.items()
    ]
    for (row, column), rule in broken.items():
        found = places[row]
        told.append(Violation(found.line, column, found.texts.get(column), rule, found.part, unit))
    return tuple(sorted(told, key=lambda v: (v.part, v.line, v.column, v.rule)))


def _rows(violations: Iterable[Violation]) -> int:
    """How many rows break a rule."""
    return len({(violation.part, violation.line) for violation in violations})


def _fault(parsed: Parsed, total: int, violations: Sequence[Violation], tolerance: float) -> str | None:
    """Why the month stops, in a sentence with the first broken rows; None within the tolerance."""
    bad = _rows(violations)
    if bad <= tolerance * total:
        return None
    first = "; ".join(str(violation) for violation in violations[:3])
    unlisted = sorted({violation.column for violation in violations if violation.rule.startswith(rules.NOT_LISTED)})
    cure = f"; add it to `values` of {', '.join(unlisted)}, or leave `values` out" if unlisted else ""
    return (
        f"{parsed.path.name}: {bad:,} of {counted(total, 'row')} of {parsed.table.name} "
        f"{'breaks' if bad == 1 else 'break'} its contract ({bad / total:.1%}, "
        f"CHURN_QUARANTINE_TOLERANCE allows {tolerance:.1%}): {first}{'; ...' if len(violations) > 3 else ''}{cure}"
    )
