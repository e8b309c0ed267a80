"""Origins: what a month's features were made of, and which of them the present declaration makes otherwise.

Here: the record that is kept beside a month's features, and comparing it, and what its files were taken to mean, with
what is declared. Not here: making features (`features`), or what follows where they differ (`declared`,
`training_set`).

A record maps names to text: the key to the snapshots that say who is active; each column that anything is made of to
its snapshots, with a word where it was unknown in the month, and the months in which a missing row was zero; each
derived feature to its formula as declared. What is made of the past has a name that says how. An empty record says that
a close has not come to its end, so that nobody knows what the features were made of. A month without a record was
closed before there were declarations, by the formulas that are shipped; of its columns nothing else is known than what
is declared now.
"""

from __future__ import annotations

from collections.abc import Iterable

from churn_platform.company import past
from churn_platform.company.alike import alike
from churn_platform.company.declaration import SNAPSHOTS, Role
from churn_platform.contracts import Column, Contract, Table, streamflow
from churn_platform.intake import deliveries, meaning
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables.features import ChangedColumnError, schema
from churn_platform.tables.kinds import kind_of
from churn_platform.tables.names import FEATURES, ORIGINS, landed

_UNKNOWN = " unknown"


def forget(lake: Lake, month: Month) -> None:
    """Empty the record. Call it before the features are replaced: a crash leaves a month to be closed again."""
    lake.write_document(ORIGINS, month, {})


def record(lake: Lake, month: Month) -> None:
    """Keep what the month's features were made of. Call it after they are written."""
    lake.write_document(ORIGINS, month, _origins(lake, month))


def unfinished(lake: Lake, month: Month) -> bool:
    """Whether a close of the month has not come to its end. Raises DocumentError."""
    return lake.document(ORIGINS, month, dict[str, str]) == {}


def made_otherwise(lake: Lake, month: Month) -> list[str]:
    """What the month's features have, but made otherwise than is declared now, or of another kind; by present names.

    Raises MissingTableError and DocumentError.
    """
    contract, found = lake.contract, lake.read(FEATURES, month).schema()
    now, before = _origins(lake, month), lake.document(ORIGINS, month, dict[str, str])
    formulas = _formulas(contract)
    if before is None:
        before = _formulas(streamflow())
    names = []
    for name, origin in now.items():
        old = before.get(past.called(contract.former, name, before))
        if old is None or (alike(old, origin, contract.declaration) if name in formulas else old == origin):
            continue
        # Versions that knew no such word closed months, too, whose drops lack the column.
        if old != origin.replace(_UNKNOWN, "", 1) or _is_known(lake, month, name):
            names.append("its customers" if name == contract.key else name)
    for feature in schema(contract):
        there = past.called(contract.former, feature.name, found)
        if there in found and kind_of(found[there]) != feature.kind and feature.name not in names:
            names.append(feature.name)
    return [*names, *(name for name in read_otherwise(lake, month, deliveries.STATE) if name not in names)]


def _is_known(lake: Lake, month: Month, name: str) -> bool:
    """Whether the month delivered any value of a column, called as in a record."""
    columns = [(table, column) for table in lake.contract.states for column in table.columns]
    table, column = next((t, c) for t, c in columns if c.role in (Role.FEATURE, Role.BASIS) and _called(c) == name)
    rows = lake.read(landed(table.name), month)
    there = next((called for called in (column.name, *column.was) if called in rows.columns), None)
    return there is not None and bool(rows[there].count().to_pyarrow().as_py())


def read_otherwise(lake: Lake, month: Month, record: str) -> list[str]:
    """The columns of a record's tables, one of `deliveries.RECORDS`, whose values were taken to mean something else.

    Raises DocumentError.
    """
    contract, then = lake.contract, deliveries.meaning_of(lake, month, record)
    tables = contract.states if record == deliveries.STATE else (contract.labels,)
    return meaning.otherwise(then, contract, tables) if then else []


def barred(lake: Lake, month: Month) -> str | None:
    """Why the month cannot go together with what is declared now, even closed again, and what to do.

    None where nothing bars it. Raises DocumentError.
    """
    contract, then = lake.contract, deliveries.meaning_of(lake, month, deliveries.STATE)
    if then and then.key != contract.declaration.customer.kind:
        told = f'{month} was closed with {contract.key} of kind "{then.key}", and others are other customers'
        return f"{told}: declare that kind again, or start with an empty CHURN_HOME"
    before = lake.document(ORIGINS, month, dict[str, str]) or {}
    for table in contract.states:
        for column in table.with_role(Role.FEATURE, Role.BASIS):
            name = past.called(contract.former, _called(column), before)
            source = before.get(name, "").partition(" ")[0]
            moved = source.endswith(SNAPSHOTS) and source != table.snapshots
            if moved and column.at(month) is not column:
                old = _table_of(contract, source)
                return (
                    f"{month} has {column.name} from {old}, and {table.name}, which has it now, has none in {month}: "
                    f"give it another name in {table.name}, with `header`, and declare it in {old} with `until`"
                )
    return None


def _table_of(contract: Contract, snapshots: str) -> str:
    return contract.snapshots[snapshots].name if snapshots in contract.snapshots else snapshots.removesuffix(SNAPSHOTS)


def refuse_barred(lake: Lake, month: Month, *, anew: bool) -> None:
    """Raise ChangedColumnError where the month would not go together with those that are closed.

    `anew` says that its own tables about customers are landed again, so that what they were before does not count.
    """
    for closed in lake.months(FEATURES):
        if not (anew and closed == month) and (told := barred(lake, closed)):
            raise ChangedColumnError(told)


def _origins(lake: Lake, month: Month) -> dict[str, str]:
    contract, built = lake.contract, lake.built_from(FEATURES, month)
    return {
        contract.key: contract.customers.snapshots,
        **{
            _called(column): _origin(table, column, month, [m for name, m in built if name == table.snapshots])
            for table in contract.states
            for column in table.with_role(Role.FEATURE, Role.BASIS)
        },
        **_formulas(contract),
    }


def _called(column: Column) -> str:
    return column.feature if column.role is Role.FEATURE else column.name


def _formulas(contract: Contract) -> dict[str, str]:
    return {name: said.sql for name, said in contract.declaration.features.derived.items()}


def _origin(table: Table, column: Column, month: Month, months: Iterable[Month]) -> str:
    """A column's snapshots, whether it is unknown, and the months of those in which it is zero for who has no row."""
    zero = [str(m) for m in sorted(months, reverse=True) if column.name in table.zero_in(m)]
    unknown = "" if column.counts_in(month) else _UNKNOWN
    return " ".join([table.snapshots + unknown, *(["zero"] if zero else []), *zero])
