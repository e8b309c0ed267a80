"""The declaration's types: what its file may say, one class for each of the file's tables.

Here: names, types and defaults. Not here: reading the file, or what its parts have to agree on (`reading`).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from churn_platform.faults import Fault

Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
"""A table or a column, as every store and program takes it."""


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
    SEGMENT = "segment"  # compares groups of customers; never a feature
    LABEL = "label"
    IGNORED = "ignored"  # delivered and kept, used for nothing


class DeclarationError(Fault):
    """A declaration that cannot be used; the message names the file and, by table and column, every fault in it."""

    lasting = True


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. What it does not know is a slip."""


class DeclaredCompany(_Part, frozen=True, kw_only=True):
    """Whose declaration it is."""

    name: str


class DeclaredCustomer(_Part, frozen=True, kw_only=True):
    """The column that says which customer a row is about, which every table has.

    `pattern` is a regular expression that the whole of a key must match.
    """

    key: Name
    pattern: str | None = None


class DeclaredLabel(_Part, frozen=True, kw_only=True):
    """The column that says who churned."""

    table: Name
    column: Name


class DeclaredMoney(_Part, frozen=True, kw_only=True):
    """What is at stake: the column of the fee that a customer pays each month."""

    fee: Name


class DeclaredColumn(_Part, frozen=True, kw_only=True):
    """A column of a table; see `contracts.Column`. `values` are a category's."""

    kind: Kind
    meaning: str
    role: Role = Role.FEATURE
    values: tuple[str, ...] = ()
    nullable: bool = False
    optional: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    earliest: date | None = None
    pattern: str | None = None


class DeclaredTable(_Part, frozen=True, kw_only=True):
    """A table of a drop, but for its key. `customers` says that whoever has a row in it is active in the month.

    `snapshots` is what its snapshots are called, where that is not the table's name with `_snapshots`.
    """

    meaning: str
    columns: dict[Name, DeclaredColumn]
    customers: bool = False
    missing: Missing = Missing.UNKNOWN
    snapshots: Name | None = None


Ago = Annotated[int, Meta(ge=1, le=2)]
"""How many months a feature looks back."""


class DeclaredHistory(_Part, frozen=True, kw_only=True):
    """The columns whose past is a feature.

    `change` is against so many months ago, `ratio` to the mean of so many months before. Formulas know the columns of
    the months before as `<column>__1m_ago` and `<column>__2m_ago`.
    """

    columns: tuple[Name, ...] = ()
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
    label: DeclaredLabel
    money: DeclaredMoney
    tables: dict[Name, DeclaredTable]
    features: DeclaredFeatures = DeclaredFeatures()
