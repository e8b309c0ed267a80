"""The declaration's types: what its file may say, one class for each of the file's tables.

Here: names, types and defaults. Not here: reading the file, or what its parts have to agree on (`reading`).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from churn_platform.faults import Fault

# `$` alone would let a line end follow; JSON Schema has no `\Z`.
TableName = Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_]{0,39}$(?!\n)")]
"""A table, as every store and program takes it: small letters, digits and underscores."""

Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,39}$(?!\n)")]
"""A derived feature."""

ColumnName = Annotated[str, Meta(pattern=r"^[\w($€£][\w .,%/()&+?!#:$€£'@=*-]{0,62}$(?!\n)")]
"""A column, as a file's header has it; spaces, capitals and common signs are kept."""


LONGEST_KEY = 256
"""How many characters a customer's key may have: what may be delivered may also be asked for."""


LABELS = "labels"
"""The platform's own table of labels, wherever they come from."""

EARLY_LABELS = "early_labels"
"""Its table of labels that have come before the day from which they count."""


MonthName = Annotated[str, Meta(pattern=r"^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])$(?!\n)")]
"""A month, such as 2024-03; there is no year 0."""

Text = Annotated[str, Meta(pattern=r"^[^\x00]*$")]
"""A value of a company's that queries name. To databases, NUL is the end of a text there."""


SNAPSHOTS = "_snapshots"
"""How the name of every table of snapshots ends."""


class Kind(StrEnum):
    """What a column's values are."""

    TEXT = "text"
    CATEGORY = "category"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"


class Missing(StrEnum):
    """What it means that an active customer has no row in a table."""

    UNKNOWN = "unknown"
    ZERO = "zero"  # the table has rows only for those who did something: whole numbers and amounts are 0


class Role(StrEnum):
    """What a column is for."""

    KEY = "key"
    FEATURE = "feature"
    BASIS = "basis"  # formulas may use it; by itself it is no feature
    SEGMENT = "segment"  # compares groups of customers; never a feature
    LABEL = "label"
    IGNORED = "ignored"  # delivered and kept, used for nothing


class DeclarationError(Fault):
    """A declaration that cannot be used; the message names the file and, by table and column, every fault in it."""

    lasting = True


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. What it does not know is a slip."""


class DeclaredCompany(_Part, frozen=True, kw_only=True):
    """Whose declaration it is. `currency` is what amounts are in, such as USD; empty where nobody needs to know."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    currency: Annotated[str, Meta(pattern=r"^([A-Z]{3})?$(?!\n)")] = ""


class DeclaredCustomer(_Part, frozen=True, kw_only=True):
    """The column that says which customer a row is about, which every table has.

    Inside, keys are text: of an integer key its digits, whatever type a file has, so that 15634602.0 is 15634602. None
    has more than LONGEST_KEY characters.
    `pattern` is a regular expression that the whole of a key must match. `example` is one, for the API's documentation.
    """

    key: ColumnName
    kind: Literal["text", "integer"] = "text"
    pattern: str | None = None
    example: Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)] | None = None


class DeclaredLeaves(_Part, frozen=True, kw_only=True):
    """Who churned is seen from who is no longer there.

    A customer of a month has churned if none of the next `after_months` months has them: one who returns in between
    has not.
    """

    after_months: Annotated[int, Meta(ge=1, le=12)] = 1


class DeclaredInvoluntary(_Part, frozen=True, kw_only=True):
    """Customers who had no choice: those whose `column` beside the label has one of these values.

    No version learns from them, and none is judged on them.
    """

    column: ColumnName
    values: Annotated[tuple[Text, ...], Meta(min_length=1)]


class DeclaredLabel(_Part, frozen=True, kw_only=True):
    """The column that says who churned, or how that is seen from who `leaves`.

    The column stands in a table of its own, which may come later than the others, or in one of those that describe
    customers: there it is blank, or absent, until it is known. Labels count from `horizon_days` after the month's end:
    before, not all who will churn have done so.
    """

    table: TableName = LABELS
    column: ColumnName = "churned"
    horizon_days: Annotated[int, Meta(ge=0, le=366)] = 0
    leaves: DeclaredLeaves | None = None
    involuntary: DeclaredInvoluntary | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """What is kept of the table that the label stands in."""
        return (self.column, *((self.involuntary.column,) if self.involuntary else ()))

    @property
    def place(self) -> tuple[str, str]:
        """The table and the column."""
        return self.table, self.column


class DeclaredMoney(_Part, frozen=True, kw_only=True):
    """What is at stake: the column of the fee that a customer pays each month, if there is one."""

    fee: ColumnName | None = None


class DeclaredColumn(_Part, frozen=True, kw_only=True):
    """A column of a table; see `contracts.Column`.

    `values` are a category's; one without any is open: its values are learned from the customers that a version is
    trained on, and others are unknown to it. Before the month `since` and after the month `until`, drops need not have
    the column: it is unknown there, even where one has it. `was` are the names that it had before. `header` is what
    the file calls it, where the key or another column has that name; `header_was` are what it called it before.
    """

    kind: Kind
    meaning: str
    role: Role = Role.FEATURE
    values: tuple[Text, ...] = ()
    nullable: bool = False
    optional: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    earliest: date | None = None
    pattern: str | None = None
    since: MonthName | None = None
    until: MonthName | None = None
    was: tuple[ColumnName, ...] = ()
    header: ColumnName | None = None
    header_was: tuple[ColumnName, ...] = ()

    @property
    def headers(self) -> tuple[str, ...]:
        """All that files call it, or have called it, besides its name and those that it had."""
        return (*([self.header] if self.header else []), *self.header_was)

    @property
    def dates_a_feature(self) -> bool:
        """Whether the days since this date are a feature."""
        return self.kind is Kind.DATE and self.role is Role.FEATURE


class DeclaredTable(_Part, frozen=True, kw_only=True):
    """A table of a drop, but for its key. `customers` says that whoever has a row in it is active in the month.

    `key` is what its file calls the customer's key, where that is another name than elsewhere: a column there that has
    the key's name is about something else, and is ignored. `snapshots` is what its snapshots are called, where that is
    not the table's name with `_snapshots`. `file` is what its file is called, without `.csv` or `.parquet`, where that
    is not the table's name; `*` stands for anything. The others say how a CSV file writes things. `null_values` are
    what stands where nothing is known, besides nothing. Before the month `since` and after the month `until`, drops
    need not have the table: it is unknown there. `was` are its and its file's former names; the lake keeps the first.
    """

    meaning: str
    columns: dict[ColumnName, DeclaredColumn]
    customers: bool = False
    missing: Missing = Missing.UNKNOWN
    key: ColumnName | None = None
    snapshots: TableName | None = None
    file: Annotated[str, Meta(pattern=r"^[^/\\\x00-\x1f.][^/\\\x00-\x1f]*$(?!\n)")] | None = None
    delimiter: Literal[",", ";", "\t", "|"] = ","
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    null_values: tuple[str, ...] = ()
    true_values: tuple[Text, ...] = ()
    false_values: tuple[Text, ...] = ()
    date_format: str = "%Y-%m-%d"
    since: MonthName | None = None
    until: MonthName | None = None
    was: tuple[TableName, ...] = ()

    def called(self, name: str) -> str:
        """What the lake and the asset graph call the table of this name: by the first one that it had."""
        return self.was[0] if self.was else name

    def renamed(self, key: str) -> tuple[tuple[str, str], ...]:
        """What its file calls columns or has called them, each with the present name; `key` is the customer's."""
        others = ((old, name) for name, said in self.columns.items() for old in (*said.headers, *said.was))
        return (*([(self.key, key)] if self.key else []), *others)

    @property
    def describes(self) -> bool:
        """Whether it says anything of customers that a model or a person may look at."""
        describing = (Role.FEATURE, Role.SEGMENT, Role.BASIS)
        return self.customers or any(column.role in describing for column in self.columns.values())


Ago = Annotated[int, Meta(ge=1, le=2)]
"""How many months a feature looks back."""


class DeclaredHistory(_Part, frozen=True, kw_only=True):
    """The columns whose past is a feature.

    `change` is against so many months ago, `ratio` to the mean of so many months before. Formulas know the columns of
    the months before as `<column>__1m_ago` and `<column>__2m_ago`.
    """

    columns: tuple[ColumnName, ...] = ()
    change: tuple[Ago, ...] = (1,)
    ratio: tuple[Ago, ...] = (2,)


class DeclaredDerived(_Part, frozen=True, kw_only=True):
    """A feature that no drop delivers: `sql` is a formula over the columns, `kind` is what it gives. See `formulas`."""

    sql: str
    meaning: str
    kind: Kind = Kind.NUMBER


class DeclaredFeatures(_Part, frozen=True, kw_only=True):
    """What is made of the columns."""

    derived: dict[Name, DeclaredDerived] = {}
    history: DeclaredHistory = DeclaredHistory()


class Declaration(_Part, frozen=True, kw_only=True):
    """A whole file."""

    company: DeclaredCompany
    customer: DeclaredCustomer
    label: DeclaredLabel = DeclaredLabel()
    money: DeclaredMoney = DeclaredMoney()
    tables: dict[TableName, DeclaredTable]
    features: DeclaredFeatures = DeclaredFeatures()

    @property
    def states(self) -> dict[str, DeclaredTable]:
        """The tables that describe customers, by name: all but a table of labels of its own."""
        return {name: table for name, table in self.tables.items() if name != self.label.table or table.customers}

    @property
    def described(self) -> dict[str, DeclaredColumn]:
        """The columns of the tables that describe customers, by name.

        Several tables may have an ignored column of one name: whatever else has that name counts.
        """
        found = [
            (column, said)
            for name, table in self.states.items()
            for column, said in table.columns.items()
            if (name, column) != self.label.place
        ]
        return dict(sorted(found, key=lambda named: named[1].role is not Role.IGNORED))
