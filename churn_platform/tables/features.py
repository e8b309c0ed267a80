"""Features: what a model may know about a customer at as_of, from the snapshots of three months.

Here: the snapshot and feature logic as Ibis expressions, and the schema of the feature table. Not here: where the
tables are (`lake`), how values are encoded for a model (`bundle`, `modelling.encoding`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from churn_platform.bundle import Feature, FeatureKind
from churn_platform.company import past
from churn_platform.company.declaration import Kind, Role
from churn_platform.contracts import Column, Contract, Table
from churn_platform.faults import Fault
from churn_platform.months import Month
from churn_platform.tables.kinds import RENAME, TYPES, changed_kinds, type_name

if TYPE_CHECKING:
    import ibis
    import ibis.expr.types as ir

WINDOW = 3
"""How many months of snapshots a feature may look at: M-2, M-1 and M."""

AS_OF = past.AS_OF
LAST_SEEN = "last_seen"


class ChangedColumnError(Fault):
    """A key or a kind that is not the one that an older month has; the message names both and says what to do."""

    lasting = True


def as_declared(rows: ibis.Table, table: Table) -> ibis.Table:
    """Rows of any month with the columns that are declared now: by their present names, unknown where there were none.

    Whole numbers become numbers where those are declared now. Raises ChangedColumnError for any other change.
    """
    import ibis

    if table.key.name not in rows.columns:
        raise ChangedColumnError(
            f"{table.name}: the customer's key is {table.key.name} now, and was another when a month was closed: "
            "declare the old key, or start with an empty CHURN_HOME"
        )
    for name, was in changed_kinds(rows, table).items():
        raise ChangedColumnError(
            f"{table.name}: {name} was {was} when an earlier month was closed, and is {table[name].kind} now: {RENAME},"
            " or close that month again from its drop (churn company check)"
        )
    lacking = [column for column in table.columns if column.name not in rows.columns]
    called = {column.name: next((old for old in column.was if old in rows.columns), None) for column in lacking}
    rows = rows.rename({new: old for new, old in called.items() if old})
    kinds, changed = rows.schema(), {}
    for column in table.columns:
        wanted = TYPES[column.kind]
        if column.name not in kinds:
            changed[column.name] = ibis.null(wanted)
        elif type_name(kinds[column.name]) != wanted:
            changed[column.name] = rows[column.name].cast(wanted)
    return rows.mutate(**changed) if changed else rows


def nothing(table: Table) -> ibis.Table:
    """A table without rows."""
    import ibis

    return ibis.memtable([], schema={column.name: TYPES[column.kind] for column in table.columns})


def snapshot(table: Table, month: Month, landed: ibis.Table, previous: ibis.Table | None = None) -> ibis.Table:
    """`upsert(snapshot(M-1), landed(M))`: every customer known by the month's end, in key order.

    Columns: the table's, `last_seen` (the month that last delivered the customer) and `as_of`.
    `previous` is None for the first month only. A column is unknown outside of its months, whatever was landed: a month
    whose drop is gone keeps what it had before that was declared.
    """
    import ibis

    names = [column.name for column in table.columns]
    unknown = {c.name: ibis.null(TYPES[c.kind]) for c in table.columns if not c.counts_in(month)}
    state = as_declared(landed, table).mutate(**unknown).select(*names, **{LAST_SEEN: ibis.literal(str(month))})
    if previous is not None:
        kept = as_declared(previous, table).anti_join(landed, table.key.name).select(*names, LAST_SEEN)
        state = state.union(kept)
    return state.mutate(**{AS_OF: ibis.literal(month.as_of)}).order_by(table.key.name)


@cache
def schema(contract: Contract) -> tuple[Feature, ...]:
    """The feature table's features, in order: the drop's own columns, then the derived ones, then those of the past."""
    derived = contract.declaration.features.derived
    return (
        *(_feature(contract, table, column) for table in contract.states for column in table.with_role(Role.FEATURE)),
        *(_made(name, said.meaning, said.kind, said.sql) for name, said in derived.items()),
        *(_made(feature.name, feature.meaning) for feature in _past(contract)),
    )


@cache
def dated(contract: Contract) -> frozenset[str]:
    """The features of columns that not every month delivers: unknown where a month's table lacks them."""
    columns = [c for table in contract.states for c in table.with_role(Role.FEATURE) if c.since or c.until]
    return frozenset(column.feature for column in columns)


_KINDS: Mapping[Kind, FeatureKind] = {Kind.BOOLEAN: "boolean", Kind.CATEGORY: "category"}


def _made(name: str, meaning: str, kind: Kind = Kind.NUMBER, formula: str = "") -> Feature:
    return Feature(name, _KINDS.get(kind, "number"), meaning, nullable=True, required=False, formula=formula)


def _feature(contract: Contract, table: Table, column: Column) -> Feature:
    """A column as a feature: unknown where it is blank, where the drop lacks it, and for customers without a row."""
    always_there = table is contract.customers or column.name in table.measures
    is_day = column.kind is Kind.DATE
    return Feature(
        column.feature,
        _KINDS.get(column.kind, "number"),
        f"{column.meaning.rstrip('.')}, in days before as_of." if is_day else column.meaning,
        nullable=column.may_be_blank or not always_there,
        categories=column.allowed,
        required=not column.may_be_blank,
        open=column.kind is Kind.CATEGORY and not column.allowed,
    )


def _days(contract: Contract, wide: ibis.Table) -> dict[str, ir.Value]:
    """How many days ago each date was that is a feature."""
    dates = [c for t in contract.states for c in t.with_role(Role.FEATURE) if c.kind is Kind.DATE]
    return {date.feature: wide[AS_OF].delta(wide[date.name], unit="day") for date in dates}


@dataclass(frozen=True)
class _Past:
    """A feature that compares a column with its past. `build` gets the wide table of `_wide`."""

    name: str
    meaning: str
    build: Callable[[ibis.Table], ir.Value]


def _past(contract: Contract) -> tuple[_Past, ...]:
    history = contract.declaration.features.history
    columns = [contract.columns[name] for name in history.columns]
    return (
        *(_change(column, months) for months in history.change for column in columns),
        *(_against_past(column, months) for months in history.ratio for column in columns),
    )


_MONTH = {1: "last month", 2: "the month before last"}
_MONTHS = {1: "last month", 2: "the mean of the two months before"}


def _change(column: Column, months: int) -> _Past:
    return _Past(
        past.change(column.name, months),
        f"Change against {_MONTH[months]} of: {column.meaning}",
        lambda t: (t[column.name] - t[past.ago(column.name, months)]).cast("float64"),
    )


def _against_past(column: Column, months: int) -> _Past:
    before = [past.ago(column.name, month) for month in range(1, months + 1)]
    return _Past(
        past.ratio(column.name, months),
        f"Ratio to {_MONTHS[months]} of: {column.meaning}",
        lambda t: _ratio(t[column.name], _mean([t[name] for name in before])),
    )


def _ratio(above: ir.Value, below: ir.Value) -> ir.Value:
    """A quotient that is unknown where its divisor is zero."""
    return above.cast("float64") / below.cast("float64").nullif(0)


def _mean(values: Sequence[ir.Value]) -> ir.Value:
    """The mean of the known ones among a row's values; unknown where none is known."""
    total, known = values[0].fill_null(0).cast("float64"), values[0].notnull().cast("int64")
    for value in values[1:]:
        total, known = total + value.fill_null(0), known + value.notnull().cast("int64")
    return total / known.nullif(0)


def _delivered(
    table: Table, month: Month, snapshot: ibis.Table, customers: ibis.Table, columns: Mapping[str, str]
) -> ibis.Table:
    """What a month delivered of a table, one row per customer: `columns` maps new names to the table's.

    The snapshots hold older values too, for customers whom the month did not deliver; of those, nothing is known, or
    zero for those who were active in the month if a missing row means that.
    """
    key = table.key.name
    rows = snapshot.filter(snapshot[LAST_SEEN] == str(month)).select(key, **columns)
    zero = [new for new, old in columns.items() if old in table.zero_in(month)]
    if not zero:
        return rows
    active = customers.filter(customers[LAST_SEEN] == str(month)).select(key)
    joined = active.left_join(rows, key)
    absent = joined[f"{key}_right"].isnull()
    return joined.mutate(**{name: absent.ifelse(0, joined[name]) for name in zero}).drop(f"{key}_right")


def _used(table: Table) -> list[str]:
    """The columns of the customers' table that anything is made of: an ignored one may be called as another table's."""
    return [column.name for column in table.columns if column.role not in (Role.KEY, Role.IGNORED)]


def _wide(contract: Contract, month: Month, snapshots: Mapping[str, Sequence[ibis.Table]]) -> ibis.Table:
    """One row per active customer with this month's columns and, of those with a history, the months before's.

    `snapshots` gives each snapshot's months newest first, as many of WINDOW as there are: none of a table that is
    delivered only since a later month. What a month did not deliver of a customer is unknown in that month.
    """
    import ibis

    key, looks_back = contract.key, contract.declaration.features.history.columns
    customers = snapshots[contract.customers.snapshots]
    wide = customers[0].filter(customers[0][LAST_SEEN] == str(month)).select(key, AS_OF, *_used(contract.customers))
    for name, table in contract.snapshots.items():
        if table is not contract.customers:
            columns = {column.name: column.name for column in table.with_role(Role.FEATURE, Role.BASIS)}
            if snapshots[name]:
                now = _delivered(table, month, snapshots[name][0], customers[0], columns)
                wide = wide.left_join(now, key).drop(f"{key}_right")
            else:
                wide = wide.mutate(**{column: ibis.null(TYPES[table[column].kind]) for column in columns})
        history = [column.name for column in table.columns if column.name in looks_back]
        for months in range(1, WINDOW if history else 1):
            if months < len(snapshots[name]):
                columns = {past.ago(column, months): column for column in history}
                before = _delivered(table, month - months, snapshots[name][months], customers[months], columns)
                wide = wide.left_join(before, key).drop(f"{key}_right")
            else:
                wide = wide.mutate(**{past.ago(column, months): ibis.null(wide[column].type()) for column in history})
    return wide


@cache
def _derived(contract: Contract) -> str:
    """The derived features as columns of a SELECT."""
    from churn_platform.company.checking import formulas

    return "".join(f', {formula.sql} AS "{name}"' for name, formula in formulas(contract.declaration).items())


def _selected(columns: str, wide: ibis.Table, some: ibis.Table) -> ibis.Table:
    """`SELECT columns FROM wide`, which is DuckDB's SQL and was checked. `some` is a table of the same engine.

    Ibis asks the engine for the types of what it selects, and would compile all that `wide` is made of for that, in a
    quarter of the time that a month's features take. An empty table like it has the same types.
    """
    import ibis
    import ibis.expr.operations as ops

    alike = some.limit(0).select(**{name: ibis.null(kind) for name, kind in wide.schema().items()})
    asked = alike.alias("wide").sql(f"SELECT {columns} FROM wide", dialect="duckdb").op()  # noqa: S608
    return ops.SQLStringView(parent=wide.alias("wide").op(), query=asked.query, schema=asked.schema).to_expr()


def feature_table(contract: Contract, month: Month, snapshots: Mapping[str, Sequence[ibis.Table]]) -> ibis.Table:
    """One row per active customer, in key order: the key, `as_of` and the features of `schema`.

    `snapshots` gives each snapshot's months newest first: M, M-1, M-2, as many as there are. Raises ChangedColumnError.
    """
    declared = {
        name: [as_declared(rows, contract.snapshots[name]) for rows in months] for name, months in snapshots.items()
    }
    wide = _wide(contract, month, declared)
    wide = wide.mutate(**{feature.name: feature.build(wide) for feature in _past(contract)}, **_days(contract, wide))
    if derived := _derived(contract):
        wide = _selected(f"*{derived}", wide, declared[contract.customers.snapshots][0])
    names = [feature.name for feature in schema(contract)]
    return wide.select(contract.key, AS_OF, *names).order_by(contract.key)


def is_holdout(key: ir.StringValue) -> ir.BooleanValue:
    """Whether a customer belongs to the fixed quarter that no version is ever trained on.

    The first hexadecimal digit of the id's SHA-256 decides, so every engine and every month agree.
    """
    return key.hexdigest("sha256").left(1).isin(["0", "1", "2", "3"])


def sample(rows: ibis.Table, key: str, total: int, most: int) -> ibis.Table:
    """About `most` of `total` rows, by customer: the same customers in every month, whatever the rows' order.

    The hash's digits after the first decide: the first says who is a holdout customer, and both kinds are wanted here.
    """
    if total <= most:
        return rows
    border = f"{int(most / total * 16**8):08x}"
    return rows.filter(rows[key].hexdigest("sha256").substr(1, 8) < border)
