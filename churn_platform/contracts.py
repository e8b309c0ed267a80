"""The contract: what a drop's tables hold, as the company declares it. Everything that needs a column looks it up here.

Here: tables, columns, types, allowed values, roles. Not here: the declaration (`company`), reading or judging files
(`intake`), or the features that are derived from these columns (`tables.features`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from churn_platform.company.declaration import Declaration, DeclaredColumn, Kind, Missing, Role
from churn_platform.company.reading import shipped

__all__ = [
    "BY_NAME",
    "COLUMNS",
    "COMPANY",
    "FEE",
    "KEY",
    "LABEL",
    "LABELS",
    "STATE_TABLES",
    "TABLES",
    "USERS",
    "Column",
    "Kind",
    "Missing",
    "Role",
    "Table",
]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `optional` columns may be absent from a drop and are then unknown for all its rows; `nullable` ones may
    be blank in a row. `minimum` and `maximum` bound numbers, both included; `earliest` bounds a date, which may not lie
    after the month's as_of either; `allowed` lists a category's
    values in the order in which models encode them; `pattern` is a regular expression that the whole
    text must match.
    """

    name: str
    kind: Kind
    meaning: str
    role: Role = Role.FEATURE
    nullable: bool = False
    optional: bool = False
    minimum: float | None = None
    maximum: float | None = None
    earliest: date | None = None
    allowed: tuple[str, ...] = ()
    pattern: str | None = None


@dataclass(frozen=True)
class Table:
    """One file of a drop. Exactly one column is the key, and a key appears in at most one row.

    `missing` says what is known of an active customer without a row; `customers`, whether a row here is what makes a
    customer active; `snapshots` is what its snapshots are called.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    required: bool = True
    missing: Missing = Missing.UNKNOWN
    customers: bool = False
    snapshots: str = ""

    def __getitem__(self, column: str) -> Column:
        return next(c for c in self.columns if c.name == column)

    @property
    def measures(self) -> tuple[str, ...]:
        """The columns that are zero for a customer without a row, where that is what a missing row means."""
        counted = (Kind.INTEGER, Kind.NUMBER)
        zero = self.missing is Missing.ZERO
        return tuple(column.name for column in self.columns if zero and column.kind in counted)

    def with_role(self, *roles: Role) -> tuple[Column, ...]:
        """The columns that have one of these roles, in the contract's order."""
        return tuple(column for column in self.columns if column.role in roles)


COMPANY = shipped()
KEY = COMPANY.customer.key
LABEL = COMPANY.label.column
FEE = COMPANY.money.fee


def _tables(company: Declaration) -> dict[str, Table]:
    """Every table of a declaration, by name: the one that says who the customers are first, the labels last."""
    key = Column(company.customer.key, Kind.TEXT, "The customer.", Role.KEY, pattern=company.customer.pattern)
    found = {
        name: Table(
            name,
            declared.meaning,
            (key, *(_column(column, said) for column, said in declared.columns.items())),
            required=name != company.label.table,
            missing=declared.missing,
            customers=declared.customers,
            snapshots=declared.snapshots or f"{name}_snapshots",
        )
        for name, declared in company.tables.items()
    }
    return dict(sorted(found.items(), key=lambda item: (not item[1].customers, not item[1].required)))


def _column(name: str, said: DeclaredColumn) -> Column:
    return Column(
        name,
        said.kind,
        said.meaning,
        said.role,
        nullable=said.nullable,
        optional=said.optional,
        minimum=said.minimum,
        maximum=said.maximum,
        earliest=said.earliest,
        allowed=said.values,
        pattern=said.pattern,
    )


BY_NAME = _tables(COMPANY)
TABLES = tuple(BY_NAME.values())

LABELS = BY_NAME[COMPANY.label.table]
STATE_TABLES = tuple(table for table in TABLES if table is not LABELS)
"""The tables that describe customers; each becomes a snapshot. The first one says who exists."""
USERS = STATE_TABLES[0]
COLUMNS = {column.name: column for table in STATE_TABLES for column in table.columns}
"""Every column of those by its name, which no two of them share."""
