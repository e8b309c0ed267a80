"""Features: what a model may know about a customer at as_of, from the snapshots of three months.

Here: the snapshot and feature logic as Ibis expressions, and the schema of the feature table. Not here: where the
tables are (`lake`), how values are encoded for a model (`bundle`, `modelling.encoding`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn_platform.bundle import Feature, FeatureKind
from churn_platform.contracts import COMPANY, KEY, STATE_TABLES, USERS, Column, Kind, Role, Table
from churn_platform.months import Month
from churn_platform.tables.names import SNAPSHOTS

if TYPE_CHECKING:
    import ibis
    import ibis.expr.types as ir

WINDOW = 3
"""How many months of snapshots a feature may look at: M-2, M-1 and M."""

AS_OF = "as_of"
LAST_SEEN = "last_seen"

HISTORY = COMPANY.features.history
"""The columns whose change over the months is a feature."""


def snapshot(table: Table, month: Month, landed: ibis.Table, previous: ibis.Table | None = None) -> ibis.Table:
    """`upsert(snapshot(M-1), landed(M))`: every customer known by the month's end, in key order.

    Columns: the table's, `last_seen` (the month that last delivered the customer) and `as_of`.
    `previous` is None for the first month only.
    """
    import ibis

    names = [column.name for column in table.columns]
    state = landed.select(*names, **{LAST_SEEN: ibis.literal(str(month))})
    if previous is not None:
        kept = previous.anti_join(landed, KEY).select(*names, LAST_SEEN)
        state = state.union(kept)
    return state.mutate(**{AS_OF: ibis.literal(month.as_of)}).order_by(KEY)


@dataclass(frozen=True)
class Derived:
    """A feature that no drop delivers. `build` gets the wide table of `_wide`."""

    name: str
    meaning: str
    build: Callable[[ibis.Table], ir.Value]


def _ratio(above: ir.Value, below: ir.Value) -> ir.Value:
    """A quotient that is unknown where its divisor is zero."""
    return above.cast("float64") / below.cast("float64").nullif(0)


def _mean(values: Sequence[ir.Value]) -> ir.Value:
    """The mean of the known ones among a row's values; unknown where none is known."""
    total, known = values[0].fill_null(0).cast("float64"), values[0].notnull().cast("int64")
    for value in values[1:]:
        total, known = total + value.fill_null(0), known + value.notnull().cast("int64")
    return total / known.nullif(0)


def _ago(column: str, months: int) -> str:
    return f"{column}__{months}m_ago"


def _change(column: Column) -> Derived:
    return Derived(
        f"{column.name}_change_1m",
        f"Change against last month of: {column.meaning}",
        lambda t: (t[column.name] - t[_ago(column.name, 1)]).cast("float64"),
    )


def _against_past(column: Column) -> Derived:
    past = [_ago(column.name, months) for months in range(1, WINDOW)]
    return Derived(
        f"{column.name}_ratio_2m",
        f"Ratio to the mean of the two months before of: {column.meaning}",
        lambda t: _ratio(t[column.name], _mean([t[name] for name in past])),
    )


def _features_of(table: Table) -> tuple[Column, ...]:
    return tuple(column for column in table.with_role(Role.FEATURE) if column.kind != Kind.DATE)


_DELIVERED = tuple(column for table in STATE_TABLES for column in _features_of(table))
_BY_NAME = {column.name: column for column in _DELIVERED}
_ADD_ONS = tuple(column.name for column in _DELIVERED if column.name.startswith("add_on_"))

DERIVED: tuple[Derived, ...] = (
    Derived("days_since_signup", "Days from signup to as_of.", lambda t: t[AS_OF].delta(t.signup_date, unit="day")),
    Derived(
        "fee_per_tenure_month",
        "All fees paid so far per month of tenure, in dollars.",
        lambda t: _ratio(t.total_paid, t.months_active),
    ),
    Derived(
        "fee_to_past_fee",
        "The present fee over the mean fee paid so far: above 1 after a price rise.",
        lambda t: _ratio(t.monthly_fee * t.months_active, t.total_paid),
    ),
    Derived(
        "watch_hours_per_dollar",
        "Hours watched in 30 days per dollar of monthly fee.",
        lambda t: _ratio(t.watch_hours_30d, t.monthly_fee),
    ),
    Derived(
        "stalls_per_hour",
        "Playback stalls in 7 days per hour watched in 30 days.",
        lambda t: _ratio(t.rebuffer_events_7d, t.watch_hours_30d),
    ),
    Derived(
        "skips_per_hour",
        "Titles skipped in 7 days per hour watched in 30 days.",
        lambda t: _ratio(t.skips_7d, t.watch_hours_30d),
    ),
    Derived(
        "add_ons",
        "Share of the add-ons that the customer has, among those that are known.",
        lambda t: _mean([t[name].cast("int64") for name in _ADD_ONS]),
    ),
    *(_change(_BY_NAME[name]) for name in HISTORY),
    *(_against_past(_BY_NAME[name]) for name in HISTORY),
)


def _feature(table: Table, column: Column) -> Feature:
    """A column as a feature: unknown where it is blank, where the drop lacks it, and for customers without a row."""
    kinds: dict[Kind, FeatureKind] = {Kind.BOOLEAN: "boolean", Kind.CATEGORY: "category"}
    may_be_blank = column.nullable or column.optional
    always_there = table is USERS or column.name in table.measures
    return Feature(
        column.name,
        kinds.get(column.kind, "number"),
        column.meaning,
        nullable=may_be_blank or not always_there,
        categories=column.allowed,
        required=not may_be_blank,
    )


SCHEMA: tuple[Feature, ...] = (
    *(_feature(table, column) for table in STATE_TABLES for column in _features_of(table)),
    *(Feature(derived.name, "number", derived.meaning, nullable=True, required=False) for derived in DERIVED),
)
"""The feature table's features, in order: the drop's own columns, then the derived ones."""


def _delivered(
    table: Table, month: Month, snapshot: ibis.Table, users: ibis.Table, columns: Mapping[str, str]
) -> ibis.Table:
    """What a month delivered of a table, one row per customer: `columns` maps new names to the table's.

    The snapshots hold older values too, for customers whom the month did not deliver; of those, nothing is known, or
    zero for those who were active in the month if a missing row means that.
    """
    rows = snapshot.filter(snapshot[LAST_SEEN] == str(month)).select(KEY, **columns)
    zero = [new for new, old in columns.items() if old in table.measures]
    if not zero:
        return rows
    active = users.filter(users[LAST_SEEN] == str(month)).select(KEY)
    joined = active.left_join(rows, KEY)
    absent = joined[f"{KEY}_right"].isnull()
    return joined.mutate(**{name: absent.ifelse(0, joined[name]) for name in zero}).drop(f"{KEY}_right")


def _wide(month: Month, snapshots: Mapping[str, Sequence[ibis.Table]]) -> ibis.Table:
    """One row per active customer with this month's columns and, for HISTORY, those of the months before.

    `snapshots` gives each snapshot's months newest first, as many of WINDOW as there are. What a month did not deliver
    of a customer is unknown in that month.
    """
    import ibis

    users = snapshots[USERS.snapshots]
    wide = users[0].filter(users[0][LAST_SEEN] == str(month)).drop(LAST_SEEN)
    for name, table in SNAPSHOTS.items():
        if table is not USERS:
            columns = {column.name: column.name for column in table.columns if column.name != KEY}
            now = _delivered(table, month, snapshots[name][0], users[0], columns)
            wide = wide.left_join(now, KEY).drop(f"{KEY}_right")
        history = [column.name for column in table.columns if column.name in HISTORY]
        for ago in range(1, WINDOW if history else 1):
            if ago < len(snapshots[name]):
                columns = {_ago(column, ago): column for column in history}
                past = _delivered(table, month - ago, snapshots[name][ago], users[ago], columns)
                wide = wide.left_join(past, KEY).drop(f"{KEY}_right")
            else:
                wide = wide.mutate(**{_ago(column, ago): ibis.null(wide[column].type()) for column in history})
    return wide


def feature_table(month: Month, snapshots: Mapping[str, Sequence[ibis.Table]]) -> ibis.Table:
    """One row per active customer, in key order: `user_id`, `as_of` and the features of SCHEMA.

    `snapshots` gives each snapshot's months newest first: M, M-1, M-2, as many as there are.
    """
    wide = _wide(month, snapshots)
    derived = {feature.name: feature.build(wide) for feature in DERIVED}
    return wide.select(KEY, AS_OF, *(column.name for column in _DELIVERED), **derived).order_by(KEY)


def is_holdout(user_id: ir.StringValue) -> ir.BooleanValue:
    """Whether a customer belongs to the fixed quarter that no version is ever trained on.

    The first hexadecimal digit of the id's SHA-256 decides, so every engine and every month agree.
    """
    return user_id.hexdigest("sha256").left(1).isin(["0", "1", "2", "3"])
