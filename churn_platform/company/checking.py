"""Checking: what the parts of a declaration have to agree on.

Here: references, names, roles, bounds and formulas. Not here: what the types alone refuse (`reading`), or what may
stand in a formula (`formulas`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from churn_platform.company.declaration import Declaration, DeclarationError, DeclaredColumn, Kind, Role
from churn_platform.company.past import MONTHS, ago, features

if TYPE_CHECKING:
    from churn_platform.company.formulas import Formula

AS_OF = "as_of"
RESERVED = frozenset(
    {AS_OF, "last_seen", "month", "probability", "decile", "value_at_risk", "reasons", "model_version", "row"}
)
"""What the platform's own tables call their columns."""

_NUMBERS = (Kind.INTEGER, Kind.NUMBER)


def disagreements(declaration: Declaration) -> Iterator[str]:
    """What no part has wrong by itself, one sentence for each fault, with its place."""
    tables = declaration.tables
    if len([table for table in tables.values() if table.customers]) != 1:
        yield "tables: exactly one has to say `customers = true`: whoever has a row in it is active in the month"
    for name, table in tables.items():
        for column, declared in table.columns.items():
            for fault in _faults_of(column, declared, declaration):
                yield f"tables.{name}.columns.{column}: {fault}"
    label = declaration.label
    if label.table not in tables or label.column not in tables[label.table].columns:
        yield f"label: there is no column {label.column} in a table {label.table}"
    elif tables[label.table].columns[label.column].role is not Role.LABEL:
        yield f"tables.{label.table}.columns.{label.column}: is the label, so its role has to be `label`"
    elif tables[label.table].customers:
        yield f"label: {label.table} says who is active, so the label cannot come with it: put it in a table of its own"
    yield from _of_features(declaration)


def _of_features(declaration: Declaration) -> Iterator[str]:
    """Whether what features and money refer to is there; a name stands for one column in all tables."""
    columns = _described(declaration)
    history = declaration.features.history
    for place, column in (
        ("money.fee", declaration.money.fee),
        *(("features.history.columns", name) for name in history.columns),
    ):
        if column not in columns:
            yield f"{place}: there is no column {column}"
        elif columns[column].kind not in _NUMBERS:
            yield f"{place}: {column} is no number"
    yield from _names(declaration)
    if not [name for name in history.columns if name not in columns]:
        _, faults = _formulas(declaration)
        yield from faults


def _described(declaration: Declaration) -> dict[str, DeclaredColumn]:
    """The columns of the tables that describe customers, by name."""
    tables = [table for name, table in declaration.tables.items() if name != declaration.label.table]
    return {column: declared for table in tables for column, declared in table.columns.items()}


def _names(declaration: Declaration) -> Iterator[str]:
    """Whether each name stands for one thing; programs that read tables do not tell capitals from small letters."""
    history = declaration.features.history
    named = [
        *((column, f"tables.{name}") for name, table in declaration.tables.items() for column in table.columns),
        *((name, "features.derived") for name in declaration.features.derived),
        *((name, "features.history") for name, _ in features(history)),
        *((ago(column, months), "features.history") for column in history.columns for months in MONTHS),
    ]
    places = defaultdict(list)
    for name, place in named:
        places[name.lower()].append((name, place))
        if name.lower() in RESERVED:
            yield f"{place}: {name} is a name that the platform's own tables use: give it another one"
    for found in places.values():
        if len(found) > 1:
            yield f"{' and '.join(f'{place} has {name}' for name, place in found)}: give each another name"


def formulas(declaration: Declaration) -> Mapping[str, Formula]:
    """Every derived feature's formula, checked, by its name. Raises DeclarationError."""
    found, faults = _formulas(declaration)
    if faults:
        raise DeclarationError("; ".join(faults))
    return found


def _formulas(declaration: Declaration) -> tuple[dict[str, Formula], list[str]]:
    """The formulas that are sound, and what is wrong with the others."""
    if not declaration.features.derived:
        return {}, []
    from churn_platform.company.formulas import FormulaError, formula

    history = declaration.features.history
    kinds = {name: column.kind for name, column in _described(declaration).items() if column.role is Role.FEATURE}
    kinds |= {ago(name, months): kinds[name] for name in history.columns if name in kinds for months in MONTHS}
    kinds |= {AS_OF: Kind.DATE, **{name: Kind.NUMBER for name, _ in features(history)}}
    found, faults = {}, []
    for name, derived in declaration.features.derived.items():
        place = f"features.derived.{name}"
        try:
            found[name] = formula(derived.sql, kinds)
        except FormulaError as error:
            faults.append(f"{place}: {error}")
        else:
            if found[name].kind is not derived.kind:
                faults.append(f"{place}: gives a {found[name].kind}, so its kind has to be `{found[name].kind}`")
    return found, faults


def _faults_of(name: str, column: DeclaredColumn, declaration: Declaration) -> Iterator[str]:
    if name == declaration.customer.key:
        yield "is the customer's key, which every table has without saying so: remove it here"
    if column.role is Role.KEY:
        yield "has the role `key`: name the key in [customer]"
    if (column.kind is Kind.CATEGORY) is not bool(column.values):
        yield "`values` are there for a category, and for nothing else"
    if column.kind not in _NUMBERS and (column.minimum is not None or column.maximum is not None):
        yield "only a number has a minimum and a maximum"
    if column.minimum is not None and column.maximum is not None and column.minimum > column.maximum:
        yield "its minimum is above its maximum"
    if column.kind is not Kind.DATE and column.earliest is not None:
        yield "only a date has an earliest day"
    if column.kind is Kind.TEXT and column.role is Role.FEATURE:
        yield "free text is no feature: give it the role `ignored`, or make it a category"
    if column.pattern is not None:
        try:
            re.compile(column.pattern)
        except re.error as error:
            yield f"its pattern is no regular expression: {error}"
