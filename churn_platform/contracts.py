"""Contracts: what a drop's tables hold, as the company declares it. Everything that needs a column looks it up here.

Here: tables, columns, types, allowed values, roles. Not here: the declaration (`company`), reading or judging files
(`intake`), or the features that are derived from these columns (`tables.features`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, cached_property
from pathlib import Path

from churn_platform.company import past
from churn_platform.company.declaration import (
    LABELS,
    SNAPSHOTS,
    Declaration,
    DeclaredColumn,
    DeclaredLabel,
    DeclaredTable,
    Kind,
    Missing,
    Role,
)
from churn_platform.company.reading import read, shipped
from churn_platform.months import Month


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `optional` columns may be absent from a drop and are then unknown for all its rows; `nullable` ones may be blank
    in a row. `minimum` and `maximum` bound numbers, both included; `earliest` bounds a date, which may not lie after
    the month's as_of either; `allowed` lists a category's values in the order in which models encode them, and is
    empty for an open one; `pattern` is a regular expression that the whole text must match; `whole` says that the
    text is a whole number's. Outside of `since` to `until` it is unknown, and need not be there. `was`: former names.
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
    whole: bool = False
    since: Month | None = None
    until: Month | None = None
    was: tuple[str, ...] = ()

    @property
    def feature(self) -> str:
        """What the column is called as a feature: a date is one as the days since then."""
        return past.days(self.name) if self.kind is Kind.DATE else self.name

    @property
    def may_be_blank(self) -> bool:
        """Whether it may be unknown for a customer who has a row, in one month or another."""
        return self.nullable or self.optional or self.since is not None or self.until is not None

    def counts_in(self, month: Month) -> bool:
        """Whether what a month's drop says in it is known then: not before `since`, and not after `until`."""
        return _is_within(self, month)

    def at(self, month: Month) -> Column:
        """The column as a month's drop has to have it: it need not be there where it does not count."""
        return self if self.counts_in(month) else replace(self, nullable=True, optional=True)

    @property
    def outside(self) -> str:
        """How a number is that its bounds do not allow, such as `outside 0 to 720`; empty where it has none."""
        low, high = self.minimum, self.maximum
        if low is None or high is None:
            return f"below {low:g}" if low is not None else f"above {high:g}" if high is not None else ""
        return f"outside {low:g} to {high:g}"


@dataclass(frozen=True)
class TableFile:
    """Where a table comes from: what its file is called, the file's columns, and how a CSV file writes things.

    `former` are names that it had before; `renamed` are those of columns, each with the present one. See
    `company.declaration.DeclaredTable`.
    """

    name: str
    columns: tuple[str, ...]
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    null_values: tuple[str, ...] = ()
    true_values: tuple[str, ...] = ()
    false_values: tuple[str, ...] = ()
    date_format: str = "%Y-%m-%d"
    renamed: tuple[tuple[str, str], ...] = ()
    former: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of a drop. The first column is the key, and a key appears in at most one row.

    `missing` says what is known of an active customer without a row; `customers`, whether a row here is what makes a
    customer active; `snapshots` is what its snapshots are called; `file`, the file that it is read from. Before `since`
    and after `until` a drop need not have it. `month` is set where it is the table `at` that month.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    required: bool = True
    missing: Missing = Missing.UNKNOWN
    customers: bool = False
    snapshots: str = ""
    file: TableFile = TableFile("", ())
    since: Month | None = None
    until: Month | None = None
    month: Month | None = None

    def at(self, month: Month) -> Table:
        """The table as a month's drop has to have it: it need not be there before `since` and after `until`."""
        columns = tuple(column.at(month) for column in self.columns)
        return replace(self, columns=columns, required=self.required and _is_within(self, month), month=month)

    def zero_in(self, month: Month) -> tuple[str, ...]:
        """The columns that are zero in a month for an active customer without a row, where a missing row means that."""
        return tuple(column.name for column in self.columns if column.name in self.measures and column.counts_in(month))

    @property
    def key(self) -> Column:
        """The column that says which customer a row is about."""
        return self.columns[0]

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


def _is_within(part: Column | Table, month: Month) -> bool:
    return (part.since is None or month >= part.since) and (part.until is None or month <= part.until)


class Contract:
    """All tables of one company, as it declares them, and the names that everything else looks up.

    `example` is the key of a customer who might exist. `tables` are all of them: first the one that says who the
    customers are, last the labels. `key` is the column that each has, and `label` says who churned; where that is seen
    from who leaves, `leaves` is after how many months. `fee` is what a customer pays each month, if that is known.
    """

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.key = declaration.customer.key
        self.label = declaration.label.column
        self.leaves = declaration.label.leaves.after_months if declaration.label.leaves else None
        self.fee = declaration.money.fee
        self.currency = declaration.company.currency
        self.example = declaration.customer.example or ("1" if declaration.customer.kind == "integer" else "C-1")
        self.tables = _tables(declaration)

    @cached_property
    def states(self) -> tuple[Table, ...]:
        """The tables that describe customers; each becomes a snapshot. The first one says who exists."""
        return self.tables[:-1]

    @property
    def customers(self) -> Table:
        """The table that says who is active in a month."""
        return self.tables[0]

    @property
    def labels(self) -> Table:
        """The table that says who churned, which may come later than the others."""
        return self.tables[-1]

    @cached_property
    def snapshots(self) -> Mapping[str, Table]:
        """Every snapshot's name with the table that it is made from."""
        return {table.snapshots: table for table in self.states}

    @cached_property
    def former(self) -> Mapping[str, str]:
        """What features were called, each with its present name; see `company.past.called`."""
        return past.former(self.declaration)

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """Every column of the tables that describe customers that is not ignored, by its name, which no two share."""
        found = [column for table in self.states for column in table.columns]
        return {column.name: column for column in found if column.role is not Role.IGNORED}


@cache
def streamflow() -> Contract:
    """The contract of the company that is shipped."""
    return Contract(shipped())


@cache
def declared(file: Path | None) -> Contract:
    """The contract of the company that a file declares; that of the shipped one for None. Raises DeclarationError."""
    declaration = shipped() if file is None else read(file)
    return streamflow() if declaration is shipped() else Contract(declaration)


def _tables(company: Declaration) -> tuple[Table, ...]:
    customer, label = company.customer, company.label
    key = Column(
        customer.key, Kind.TEXT, "The customer.", Role.KEY, pattern=customer.pattern, whole=customer.kind == "integer"
    )
    states = [
        Table(
            said.called(name),
            said.meaning,
            (key, *(_column(column, c, said) for column, c in said.columns.items() if (name, column) != label.place)),
            missing=said.missing,
            customers=said.customers,
            snapshots=said.snapshots or f"{said.called(name)}{SNAPSHOTS}",
            file=_file(key, name, said),
            since=_month(said.since),
            until=_month(said.until),
        )
        for name, said in company.states.items()
    ]
    return (*sorted(states, key=lambda table: not table.customers), _labels(company, key))


def _labels(company: Declaration, key: Column) -> Table:
    """The table of labels: one of its own, or the label's column of a table that describes customers."""
    label = company.label
    said = company.tables.get(label.table) or _to_come(label)
    columns = [_column(name, c, said) for name, c in said.columns.items() if name in label.columns]
    if label.table in company.states:
        columns = [replace(column, nullable=True, optional=True) for column in columns]
    else:
        columns = [_column(name, c, said) for name, c in said.columns.items()]
    return Table(LABELS, said.meaning, (key, *columns), required=False, file=_file(key, label.table, said))


def _to_come(label: DeclaredLabel) -> DeclaredTable:
    """A table of labels that nobody delivers, or that nobody has declared: no month matures before it is there."""
    churned = DeclaredColumn(kind=Kind.BOOLEAN, role=Role.LABEL, meaning="Whether the customer churned.")
    return DeclaredTable(meaning="Who churned.", columns={label.column: churned})


def _file(key: Column, name: str, said: DeclaredTable) -> TableFile:
    return TableFile(
        said.file or name,
        (key.name, *said.columns),
        said.delimiter,
        said.decimal,
        said.encoding,
        said.null_values,
        said.true_values,
        said.false_values,
        said.date_format,
        said.renamed(key.name),
        said.was,
    )


def _month(name: str | None) -> Month | None:
    return Month.parse(name) if name else None


def _column(name: str, said: DeclaredColumn, table: DeclaredTable) -> Column:
    """A column, which is there no longer than its table is."""
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
        since=_month(max(filter(None, (table.since, said.since)), default=None)),
        until=_month(min(filter(None, (table.until, said.until)), default=None)),
        was=said.was,
    )
