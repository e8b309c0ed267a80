"""Checking: what the parts of a declaration have to agree on.

Here: references, roles, bounds and formulas. Not here: what the types alone refuse (`reading`), which names are taken
(`names`), or what may stand in a formula (`formulas`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from churn_platform.company.declaration import (
    EARLY_LABELS,
    LABELS,
    SNAPSHOTS,
    Declaration,
    DeclarationError,
    DeclaredColumn,
    DeclaredLabel,
    DeclaredTable,
    Kind,
    Role,
)
from churn_platform.company.engines import wrong_date_format, wrong_encoding, wrong_pattern
from churn_platform.company.names import clashes
from churn_platform.company.past import AS_OF, MONTHS, ago, features
from churn_platform.shown import inert

if TYPE_CHECKING:
    from churn_platform.company.formulas import Formula

_BESIDE_ALL = frozenset({AS_OF, "last_seen", "file_row"})
"""What of them stands beside the columns of a drop, ignored ones too."""

_NUMBERS = (Kind.INTEGER, Kind.NUMBER)
_TEXTS = (Kind.TEXT, Kind.CATEGORY)
_USABLE = (Role.FEATURE, Role.BASIS)
"""The roles of what formulas may use."""


def disagreements(declaration: Declaration) -> Iterator[str]:
    """What no part has wrong by itself, one sentence for each fault, with its place."""
    tables = declaration.tables
    if len([table for table in tables.values() if table.customers]) != 1:
        yield "tables: exactly one has to say `customers = true`: whoever has a row in it is active in the month"
    for name, table in tables.items():
        yield from (f"tables.{name}: {fault}" for fault in (*_of_table(name, table, declaration), *_of_key(table)))
        for column, declared in table.columns.items():
            faults = (
                *_of_column(column, declared, declaration),
                *_of_bounds(declared),
                *_of_months(declared, table),
                *_of_role(column, declared, table, declaration),
            )
            for fault in faults:
                yield f"tables.{name}.columns.{column}: {fault}"
    if (pattern := declaration.customer.pattern) is not None and (told := wrong_pattern(pattern)):
        yield f"customer.pattern: {told}"
    # A set, since a table that has its first name again has it twice.
    files = [(file, name) for name, said in tables.items() for file in sorted({said.file or name, *said.was})]
    yield from _repeated("is read from the file", files)
    yield from _repeated("was called", ((said.called(name), name) for name, said in tables.items()))
    snapshots = [(said.snapshots or f"{said.called(name)}{SNAPSHOTS}", name) for name, said in tables.items()]
    yield from _repeated("has the snapshots", snapshots)
    yield from _of_label(declaration)
    yield from _of_features(declaration)


def _repeated(told: str, named: Iterable[tuple[str, str]]) -> Iterator[str]:
    places = defaultdict(list)
    for thing, table in named:
        places[thing].append(table)
    for thing, found in places.items():
        if len(found) > 1:
            yield f"tables: more than one {told} {inert(thing)}: {', '.join(found)}"


def _of_table(name: str, table: DeclaredTable, declaration: Declaration) -> Iterator[str]:
    own = {EARLY_LABELS} if name == declaration.label.table and not table.describes else {LABELS, EARLY_LABELS}
    if taken := sorted({name, table.called(name)} & own):
        yield f"{taken[0]} is what the platform calls a table of its own: give this one another name"
    if table.since and table.until and table.since > table.until:
        yield "its `since` is after its `until`"
    if (table.since or table.until) and (table.customers or not table.describes):
        yield "cannot have `since` or `until`: every month has customers, and labels may come at any time"
    if table.snapshots and not table.snapshots.endswith(SNAPSHOTS):
        yield f"the name of its snapshots has to end with {SNAPSHOTS}"
    if bool(table.true_values) != bool(table.false_values) or set(table.true_values) & set(table.false_values):
        yield "true_values and false_values go together, and no value is in both"
    yield from filter(None, (wrong_encoding(table.encoding), wrong_date_format(table.date_format)))


def _of_key(table: DeclaredTable) -> Iterator[str]:
    columns = {called for name, said in table.columns.items() for called in (name, *said.was, *said.headers)}
    if table.key and table.key in columns:
        yield f"its key {inert(table.key)} is a column of it, too: give only one of them"


def _of_label(declaration: Declaration) -> Iterator[str]:
    label, tables = declaration.label, declaration.tables
    if label.leaves and (label.table in tables or label.horizon_days or label.involuntary):
        yield "label: with `leaves` nobody delivers labels: it cannot have a table, `horizon_days` or `involuntary`"
    if label.leaves or (label.table not in tables and label == DeclaredLabel(horizon_days=label.horizon_days)):
        return  # made from the months themselves, or to come: no month matures yet
    if label.table not in tables or label.column not in tables[label.table].columns:
        yield f"label: there is no column {label.column} in a table {label.table}"
        return
    if (table := tables[label.table]).describes and not table.customers:
        told = "holds the label, and is no table of customers: what else it says would be known only with it"
        yield f"tables.{label.table}: {told}: give its other columns the role `ignored`"
    column = table.columns[label.column]
    if column.role is not Role.LABEL:
        yield f"tables.{label.table}.columns.{label.column}: is the label, so its role has to be `label`"
    if column.kind is not Kind.BOOLEAN:
        yield f"tables.{label.table}.columns.{label.column}: is the label, so its kind has to be `boolean`"
    if (chosen := label.involuntary) and (reason := table.columns.get(chosen.column)) is None:
        yield f"label.involuntary: there is no column {chosen.column} in {label.table}"
    elif chosen and reason and (reason.role is not Role.IGNORED or reason.kind not in _TEXTS):
        told = "says why customers left: its kind has to be `text` or `category`, its role `ignored`"
        yield f"tables.{label.table}.columns.{chosen.column}: {told}"
    elif chosen and reason and (other := sorted({*chosen.values} - {*(reason.values or chosen.values)})):
        yield f"label.involuntary: {label.table} lists no value {', '.join(map(inert, other))} of {chosen.column}"


def _of_features(declaration: Declaration) -> Iterator[str]:
    """Whether what features and money refer to is there; a name stands for one column in all tables."""
    columns = declaration.described
    history = declaration.features.history
    if not declaration.features.derived and all(said.role is not Role.FEATURE for said in columns.values()):
        yield "tables: no column has the role `feature`, and no formula makes one: nothing could be learned"
    for place, column in (
        *([("money.fee", declaration.money.fee)] if declaration.money.fee else []),
        *(("features.history.columns", name) for name in history.columns),
    ):
        if column not in columns:
            yield f"{place}: there is no column {column}"
        elif columns[column].kind not in _NUMBERS:
            yield f"{place}: {column} is no number"
        elif columns[column].role is not Role.FEATURE:
            yield f"{place}: {column} has to have the role `feature`"
    yield from clashes(declaration)


def formulas(declaration: Declaration) -> Mapping[str, Formula]:
    """Every derived feature's formula, by its name. Raises DeclarationError, with everything that is wrong in them.

    sqlglot takes long to load, and serving does without it: so this is no part of reading a declaration.
    """
    if not declaration.features.derived:
        return {}
    from churn_platform.company.formulas import FormulaError, formula

    kinds, found, faults = usable(declaration), {}, []
    for name, derived in declaration.features.derived.items():
        place = f"features.derived.{name}"
        try:
            found[name] = formula(derived.sql, kinds)
        except FormulaError as error:
            faults.append(f"{place}: {error}")
        else:
            if found[name].kind is not derived.kind:
                faults.append(f"{place}: gives a {found[name].kind}, so its kind has to be `{found[name].kind}`")
    if faults:
        raise DeclarationError("; ".join(faults))
    return found


def usable(declaration: Declaration) -> dict[str, Kind]:
    """What formulas may use: the columns of this month, those of the months before, and the features of the past."""
    history = declaration.features.history
    kinds = {name: column.kind for name, column in declaration.described.items() if column.role in _USABLE}
    kinds |= {ago(name, months): kinds[name] for name in history.columns if name in kinds for months in MONTHS}
    return kinds | {AS_OF: Kind.DATE, **{name: Kind.NUMBER for name, _ in features(history)}}


def _of_role(name: str, column: DeclaredColumn, table: DeclaredTable, declaration: Declaration) -> Iterator[str]:
    if column.role is Role.IGNORED and name.lower() in _BESIDE_ALL:
        yield "is a name that the platform's own tables use: give the column another one in the file"
    if column.role is Role.KEY:
        yield "has the role `key`: name the key in [customer]"
    if column.role is Role.LABEL and (name != declaration.label.column or declaration.label.leaves):
        yield "has the role `label`: name the label in [label], without `leaves`"
    if column.role is Role.SEGMENT and not table.customers:
        yield "is a segment: those stand in the table that says who the customers are"
    if column.role is Role.SEGMENT and column.kind not in (Kind.CATEGORY, Kind.BOOLEAN):
        yield "is a segment: its kind has to be `category` or `boolean`"
    if column.kind is Kind.TEXT and column.role in (Role.FEATURE, Role.BASIS):
        yield "free text is no feature: give it the role `ignored`, or make it a category"


def _of_column(name: str, column: DeclaredColumn, declaration: Declaration) -> Iterator[str]:
    if name == declaration.customer.key:
        yield "is the customer's key, which every table has without saying so: remove it here"
    if column.values and column.kind is not Kind.CATEGORY:
        yield "only a category has `values`"
    if len(set(column.values)) < len(column.values):
        yield "its `values` repeat one"
    if column.pattern is not None and column.kind not in _TEXTS:
        yield "only a text or a category has a pattern"
    if column.pattern is not None and (fault := wrong_pattern(column.pattern)):
        yield f"its pattern {fault}"


def _of_bounds(column: DeclaredColumn) -> Iterator[str]:
    if not all(bound is None or _is_finite(bound) for bound in (column.minimum, column.maximum)):
        yield "its minimum and maximum have to be numbers that a file may hold, not nan or inf"
    if column.kind not in _NUMBERS and (column.minimum is not None or column.maximum is not None):
        yield "only a number has a minimum and a maximum"
    if column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
        yield "its minimum is above its maximum"
    if column.kind is not Kind.DATE and column.earliest is not None:
        yield "only a date has an earliest day"


def _is_finite(bound: float) -> bool:
    """Whether it is a number to databases, too."""
    try:
        return math.isfinite(bound)
    except OverflowError:
        return False


def _of_months(column: DeclaredColumn, table: DeclaredTable) -> Iterator[str]:
    if column.since and column.until and column.since > column.until:
        yield "its `since` is after its `until`"
    if column.until and table.since and column.until < table.since:
        yield f"its `until` is before its table's `since`, {table.since}: it would be in no month"
    if column.since and table.until and column.since > table.until:
        yield f"its `since` is after its table's `until`, {table.until}: it would be in no month"
