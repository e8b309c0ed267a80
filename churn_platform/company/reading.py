"""Reading: a declaration's file as its types, or every fault in it at once.

Here: parsing, and what the parts of a declaration have to agree on. Not here: what it may say (`declaration`).
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Any, get_args, get_origin

import msgspec

from churn_platform.company.declaration import Declaration, DeclaredColumn, Kind, Role
from churn_platform.faults import Fault
from churn_platform.shown import inert

_SHIPPED = "streamflow.toml"
_NUMBERS = (Kind.INTEGER, Kind.NUMBER)


class DeclarationError(Fault):
    """A declaration that cannot be used; the message names the file and, by table and column, every fault in it."""

    lasting = True


@cache
def shipped() -> Declaration:
    """StreamFlow's declaration, which comes with the platform."""
    return read(resources.files("churn_platform.company").joinpath(_SHIPPED).read_text(), _SHIPPED)


def read(text: str, name: str) -> Declaration:
    """The declaration that this text is; `name` is its file's. Raises DeclarationError."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(f"{name} is not TOML: {error}") from error
    faults = list(_slips(found, Declaration))
    if not faults:
        declaration = msgspec.convert(found, Declaration)
        faults = list(_disagreements(declaration))
    if faults:
        raise DeclarationError(f"{name}: {'; '.join(faults)}")
    return declaration


def _slips(said: object, kind: Any, place: str = "") -> Iterator[str]:
    """What is not as the types say, part by part: msgspec alone would stop at the first."""
    if not isinstance(said, dict):
        yield from _slip(said, kind, place)
    elif get_origin(kind) is dict:
        name_kind, part_kind = get_args(kind)
        for name, part in said.items():
            yield from _slip(name, name_kind, _within(place, name))
            yield from _slips(part, part_kind, _within(place, name))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in sorted(said.keys() - fields.keys()):
            yield f"{_within(place, name)} is unknown: {_or(fields)} may be there"
        for name, field in fields.items():
            if name in said:
                yield from _slips(said[name], field.type, _within(place, name))
            elif field.required:
                yield f"{_within(place, name)} is missing"
    else:
        yield from _slip(said, kind, place)


def _slip(said: object, kind: Any, place: str) -> Iterator[str]:
    try:
        msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        yield f"{place}: {error}"


def _within(place: str, name: str) -> str:
    return f"{place}.{inert(name)}" if place else inert(name)


def _or(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _disagreements(declaration: Declaration) -> Iterator[str]:
    """What no part has wrong by itself."""
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
    described = [table for name, table in declaration.tables.items() if name != declaration.label.table]
    columns = {column: declared for table in described for column, declared in table.columns.items()}
    for column, times in Counter(column for table in described for column in table.columns).items():
        if times > 1:
            yield f"tables: {times} of them have a column {column}: give each another name"
    for place, column in (
        ("money.fee", declaration.money.fee),
        *(("features.history", name) for name in declaration.features.history),
    ):
        if column not in columns:
            yield f"{place}: there is no column {column}"
        elif columns[column].kind not in _NUMBERS:
            yield f"{place}: {column} is no number"


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
