"""Kinds: what kinds of columns and features are in the lake, and which columns have changed theirs.

Here: types by kind and kinds by type, and comparing a month's rows with what is declared now. Not here: reading a month
as it is declared now (`features`), or what a version cannot take (`bundle.misfits`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from churn_platform.bundle import FeatureKind
from churn_platform.company.declaration import Kind
from churn_platform.contracts import Table

if TYPE_CHECKING:
    import ibis
    import ibis.expr.datatypes as dt

FEATURE_TYPES: Mapping[FeatureKind, str] = {"number": "float64", "boolean": "boolean", "category": "string"}
"""What each kind of feature is to Ibis, where it may be unknown for a whole month."""

TYPES: Mapping[Kind, str] = {
    Kind.TEXT: "string",
    Kind.CATEGORY: "string",
    Kind.BOOLEAN: "boolean",
    Kind.INTEGER: "int64",
    Kind.NUMBER: "float64",
    Kind.DATE: "date",
}
"""What each kind of column is to Ibis."""

RENAME = "give the column another name"
"""What to do where a column is not of the kind that it had under its name. Whoever tells of one says so."""

_KINDS = {type_: " or ".join(kind for kind in Kind if TYPES[kind] == type_) for type_ in TYPES.values()}


def changed_kinds(rows: ibis.Table, table: Table) -> dict[str, str]:
    """The columns that rows of any month have of another kind than is declared now, each with the kind that they have.

    Whole numbers are of no other kind where numbers are declared: they become numbers.
    """
    types = {name: type_name(found) for name, found in rows.schema().items()}
    changed: dict[str, str] = {}
    for column in table.columns:
        found = next((types[name] for name in (column.name, *column.was) if name in types), TYPES[column.kind])
        if found != TYPES[column.kind] and (found, column.kind) != ("int64", Kind.NUMBER):
            changed[column.name] = _KINDS.get(found, found)
    return changed


def type_name(found: dt.DataType) -> str:
    """A type as TYPES has it."""
    return str(found).removeprefix("!")


def kind_of(found: dt.DataType) -> FeatureKind:
    """The kind of a feature that is of this type in a month's table."""
    return "boolean" if found.is_boolean() else "category" if found.is_string() else "number"
