"""The contract: what a drop's tables hold. Declared once; everything that needs a column looks it up here.

Here: tables, columns, types, allowed values, roles. Not here: reading or judging files (`intake`), or the features
that are derived from these columns (`tables.features`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


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

    `missing` says what is known of an active customer without a row.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    required: bool = True
    missing: Missing = Missing.UNKNOWN

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


KEY = "user_id"
LABEL = "churn_label"


def _key() -> Column:
    return Column(KEY, Kind.TEXT, "The customer.", Role.KEY, pattern=r"[0-9]{4}-[A-Z]{5}")  # such as 7590-VHVEG


def _flag(
    name: str, meaning: str, *, role: Role = Role.FEATURE, nullable: bool = False, optional: bool = False
) -> Column:
    return Column(name, Kind.BOOLEAN, meaning, role, nullable=nullable, optional=optional)


def _count(name: str, meaning: str, maximum: float) -> Column:
    return Column(name, Kind.INTEGER, meaning, minimum=0, maximum=maximum)


def _amount(name: str, meaning: str, maximum: float) -> Column:
    return Column(name, Kind.NUMBER, meaning, minimum=0, maximum=maximum)


def _add_on(name: str, meaning: str) -> Column:
    return _flag(name, meaning, nullable=True, optional=True)


USERS = Table(
    "users",
    "Who the customers are. A customer listed here is active in the drop's month.",
    (
        _key(),
        # The company is younger: an earlier day is a slip, or some program's way of writing "unknown".
        Column("signup_date", Kind.DATE, "The day on which the customer signed up.", earliest=date(2000, 1, 1)),
        Column(
            "user_gender",
            Kind.CATEGORY,
            "Gender as the customer gave it.",
            Role.SEGMENT,
            allowed=("Female", "Male"),
        ),
        _flag("user_is_senior", "Is 65 or older.", role=Role.SEGMENT),
        _flag("has_family", "Shares the household with a partner."),
        _flag("has_dependents", "Has dependents in the household."),
    ),
)

SUBSCRIPTIONS = Table(
    "subscriptions",
    "What each customer has subscribed to and pays.",
    (
        _key(),
        _count("months_active", "Months of tenure.", 1200),
        _flag("plan_stream_tv", "Streams television; unknown without internet.", nullable=True),
        _flag("plan_stream_movies", "Streams films; unknown without internet.", nullable=True),
        Column(
            "contract_type",
            Kind.CATEGORY,
            "How long the contract binds.",
            allowed=("Month-to-month", "One year", "Two year"),
        ),
        _flag("paperless_billing", "Gets bills by e-mail, not on paper."),
        _amount("monthly_fee", "The present fee per month, in dollars.", 10_000),
        _amount("total_paid", "All fees paid so far, in dollars.", 1_000_000),
        Column(
            "net_service",
            Kind.CATEGORY,
            "The internet connection.",
            allowed=("DSL", "Fiber optic", "No"),
        ),
        _add_on("add_on_security", "Has the online security add-on."),
        _add_on("add_on_backup", "Has the online backup add-on."),
        _add_on("add_on_device_protect", "Has the device protection add-on."),
        _add_on("add_on_support", "Has the premium support add-on."),
    ),
)

USAGE = Table(
    "usage_agg_30d",
    "How each customer watched in the 30 days up to as_of.",
    (
        _key(),
        _amount("watch_hours_30d", "Hours watched in 30 days.", 720),
        _amount("avg_session_mins_7d", "Mean session length over 7 days, in minutes.", 1440),
        _count("unique_devices_30d", "Devices used in 30 days.", 1000),
        _count("skips_7d", "Titles skipped in 7 days.", 100_000),
        _count("rebuffer_events_7d", "Playback stalls in 7 days.", 100_000),
    ),
)

PAYMENTS = Table(
    "payments_agg_90d",
    "How payments went in the 90 days up to as_of.",
    (_key(), _count("failed_payments_90d", "Failed payments in 90 days.", 1000)),
)

SUPPORT = Table(
    "support_agg_90d",
    "What each customer asked of support in the 90 days up to as_of.",
    (
        _key(),
        _count("support_tickets_90d", "Tickets opened in 90 days.", 10_000),
        _amount("ticket_avg_resolution_hrs_90d", "Mean hours to resolve a ticket over 90 days.", 2160),
    ),
)

LABELS = Table(
    "labels",
    "Who churned in the window after as_of. May arrive months after its drop.",
    (_key(), _flag(LABEL, "Churned in the window after as_of.", role=Role.LABEL)),
    required=False,
)

STATE_TABLES = (USERS, SUBSCRIPTIONS, USAGE, PAYMENTS, SUPPORT)
"""The tables that describe customers; each becomes a snapshot. Users come first: they say who exists."""

TABLES = (*STATE_TABLES, LABELS)

BY_NAME = {table.name: table for table in TABLES}
