"""The landing assets: a drop's files, judged, then taken in; all of them or none."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg

from churn_platform.assets.faults import told_plainly
from churn_platform.assets.labels import by_absence, kept_back, without_labels
from churn_platform.assets.landed import CONTRACT, asset_key, kept, left_out, verdict
from churn_platform.assets.metadata import OWNERS, of_table, table_schema
from churn_platform.assets.partitions import month_of
from churn_platform.company.checking import formulas
from churn_platform.contracts import Contract, Table
from churn_platform.erasure import erasing
from churn_platform.home import Home
from churn_platform.intake import deliveries, landing
from churn_platform.intake.drops import DropError, delivered, drop_of, misnamed
from churn_platform.intake.expectations import MOST
from churn_platform.intake.oddities import Drop, Oddity, oddities
from churn_platform.lake import Written
from churn_platform.months import Month
from churn_platform.shown import counted
from churn_platform.tables import maturity, origins, taking
from churn_platform.tables.names import landed

Oddities = dict[str, list[Oddity]]

GROUP = "landing"


def _spec(table: Table, months: dg.MonthlyPartitionsDefinition, deps: list[dg.AssetKey]) -> dg.AssetSpec:
    return dg.AssetSpec(
        asset_key(table),
        deps=deps,
        description=f"{table.meaning} `{table.name}` as delivered: typed, judged, broken rows taken out.",
        group_name=GROUP,
        kinds={"duckdb", "parquet", "greatexpectations"},
        owners=OWNERS,
        skippable=True,
        metadata={"dagster/column_schema": table_schema(table)},
        partitions_def=months,
    )


def _check(table: Table, months: dg.MonthlyPartitionsDefinition) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        CONTRACT,
        asset=asset_key(table),
        blocking=True,
        partitions_def=months,
        description=(
            "Every row of the table is judged against its contract before anything is kept. Great Expectations' page "
            f"shows all rows, or a sample of {MOST:,} where there are more."
        ),
    )


def _awaited(context: dg.AssetExecutionContext, home: Home, month: Month) -> bool:
    """Whether the month is yet to be delivered: then its run does nothing, and a backfill of all months succeeds.

    A month between delivered ones is not awaited but missing, and stops.
    """
    months = delivered(home.settings.drops, home.settings.first)
    if months and month <= max(months):
        return False
    context.log.warning(f"{month} is not delivered yet, so nothing is done: {home.settings.drops} has no drop for it")
    return True


def _refuse_mixture(home: Home, month: Month, selected: Sequence[Table], contents: Mapping[str, str | None]) -> None:
    """Raise DropError where others than the selected tables have changed: a month's tables are taken in together.

    Those about customers share the record of what they were taken to mean. It says nothing of single ones.
    """
    contract = home.contract
    others = [table for table in contract.tables if table not in selected]
    records = {deliveries.LATER if table is contract.labels else deliveries.STATE for table in others}
    if contract.leaves:
        records -= {deliveries.LATER}  # no drop has any
    taken = {record: deliveries.taken(home.lake, month, record) for record in deliveries.RECORDS}
    taken[deliveries.LATER] = maturity.content(contract, month, taken[deliveries.LATER])
    together = f"and its tables are taken in together: close {month} (churn close {month})"
    if any(contents[record] != taken[record] for record in records):
        raise DropError(f"{month}: the drop is not the one that was landed, {together}")
    apart = deliveries.STATE in records and any(table in selected for table in contract.states)
    if apart and (other := origins.read_otherwise(home.lake, month, deliveries.STATE)):
        raise DropError(f"{month} was taken in as {', '.join(other)} was declared before, {together}")


def _judge(home: Home, month: Month, drop: Path, selected: Sequence[Table]) -> tuple[list[landing.Judged], Oddities]:
    """The judgement on every selected table that the drop has, and by table what is odd. Raises DropError."""
    engine, contract, tolerance = home.lake.engine, home.contract, home.settings.quarantine_tolerance
    erased = home.tombstones
    judged: list[landing.Judged] = []
    if any(table in selected for table in contract.states):
        judged += landing.judge_state(engine, drop, contract, tolerance, month.as_of, erased)
    customers = judged[0].kept if judged else home.lake.read(landed(contract.customers.name), month)
    if contract.labels in selected and not contract.leaves:
        # Judged again where only labels are taken in: rows of customers who were taken out then are no fault of theirs.
        # They were accepted, so that whatever would stop them now does not excuse rows of strangers.
        again = None if judged else landing.judge_customers(engine, drop, contract, tolerance, month.as_of, erased)
        beside = replace(again, kept=customers, fault=None) if again else judged[0]
        labels = landing.judge_labels(engine, drop, contract.labels, tolerance, month.as_of, beside, erased)
        judged += [labels] if labels else []
    judged = [found for found in judged if found.table in selected]
    before = {t.name: home.lake.read(landed(t.name), month - 1) for t in contract.states if _has(home, t, month - 1)}
    drop_as_a_whole = Drop(month, contract, {found.table.name: found for found in judged}, customers, before)
    odd: Oddities = defaultdict(list)
    for oddity in oddities(drop_as_a_whole, home.settings):
        odd[oddity.table].append(oddity)
    return judged, odd


def _has(home: Home, table: Table, month: Month) -> bool:
    return month >= home.settings.first and home.lake.has(landed(table.name), month)


def land(
    context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Judge the tables of the month's drop, then take all of them in, or none and say why."""
    month, settings, contract = month_of(context), home.settings, home.contract
    selected = [table for table in contract.tables if asset_key(table) in context.selected_asset_keys]
    with told_plainly():
        erasing.refuse_without_tombstones(home)
        formulas(contract.declaration)  # before anything is kept: the month's features would stop on a wrong one
        archived = month not in delivered(settings.drops, settings.first) and taking.is_landed(home.lake, month)
        anew = not archived and all(table in selected for table in contract.states)
        origins.refuse_barred(home.lake, month, anew=anew)
        awaited = not archived and _awaited(context, home, month)
        if not awaited:
            yield from (_as_landed if archived else _from_drop)(context, home, month, selected)


def _from_drop(
    context: dg.AssetExecutionContext, home: Home, month: Month, selected: Sequence[Table]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    settings, lake, contract = home.settings, home.lake, home.contract
    drop = drop_of(settings.drops, settings.first, month)
    # Before it is read: a change from now on makes it a different drop.
    contents = deliveries.contents(drop, contract, month)
    contents[deliveries.LATER] = maturity.content(contract, month, contents[deliveries.LATER])
    meant = () if contract.leaves else misnamed(drop, (contract.labels,), contract.tables)
    if doubt := deliveries.in_doubt(lake, month, meant):
        raise DropError(doubt)
    _refuse_mixture(home, month, selected, contents)
    tables, odd = _judge(home, month, drop, selected)
    for judged in tables:
        yield verdict(home, month, judged, odd[judged.table.name])
    everything_odd = [oddity for found in odd.values() for oddity in found]
    faults = [judged.fault for judged in tables if judged.fault]
    if faults := [*faults, *(oddity.sentence for oddity in everything_odd if oddity.stops)]:
        raise DropError(f"{month} stops and nothing is kept: {' / '.join(faults)}")
    yield from _taken_in(context, home, month, selected, tables, contents, everything_odd)


def _taken_in(
    context: dg.AssetExecutionContext,
    home: Home,
    month: Month,
    selected: Sequence[Table],
    tables: Sequence[landing.Judged],
    contents: Mapping[str, str | None],
    everything_odd: Sequence[Oddity],
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Take in what was judged and is sound, and report it."""
    lake, contract = home.lake, home.contract
    absent = [table for table in contract.states if table in selected and table not in [t.table for t in tables]]
    early = (contract.labels,) if maturity.are_early(contract, month) else ()
    labels = [judged for judged in tables if judged.table in early]
    tables = [judged for judged in tables if judged.table not in early]
    written = taking.take_in(lake, month, tables, contents, everything_odd, absent)
    for table in absent:
        yield from left_out(month, table, written[table.name])
    for oddity in everything_odd:
        context.log.warning(oddity.sentence)
    for judged in tables:
        if judged.quarantined:
            broken = f"{judged.quarantined:,} of {counted(judged.total, 'row')} of {judged.table.name}"
            context.log.warning(f"{month}: {broken} broken, kept in quarantine")
        yield kept(home, judged, month, written[judged.table.name])
    if contract.labels in selected and contract.leaves:
        yield from by_absence(context, home, month)
    elif labels:
        had = maturity.keep(lake, month, labels[0], str(contents[deliveries.LATER]))
        yield from kept_back(context, home, month, counted_before=had)
    elif contract.labels in selected and contract.labels.name not in written:
        yield from without_labels(context, home, month, contents[deliveries.LATER])


def _as_landed(
    context: dg.AssetExecutionContext, home: Home, month: Month, selected: Sequence[Table]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Keep what was landed of a month whose drop is gone, to an archive say: what is built on it can be made again."""
    lake = home.lake
    with told_plainly():
        _refuse_other_meaning(home, month)
    why = f"{month} is kept as it was landed: {home.settings.drops} has no drop for it any more"
    context.log.info(why)
    delivered_labels = home.contract.labels in selected and not home.contract.leaves
    early_now = delivered_labels and maturity.bring_up_to_date(lake, month)
    for table in selected:
        name = landed(table.name)
        if table is home.contract.labels and home.contract.leaves:
            yield from by_absence(context, home, month)
        elif lake.has(name, month):
            written = Written(lake.path(name, month), lake.rows(name, month), lake.sha256(name, month))
            yield dg.AssetCheckResult(
                passed=True, asset_key=asset_key(table), check_name=CONTRACT, description=f"{why}: judged before."
            )
            yield dg.MaterializeResult(
                asset_key=asset_key(table),
                data_version=dg.DataVersion(written.sha256),
                metadata={**of_table(written), "kept": why},
            )
        elif not table.at(month).required and table is not home.contract.labels:
            yield from left_out(month, table, taking.leave_out(lake, month, table))
        elif table is not home.contract.labels:
            raise DropError(
                f"{month} was closed without {table.name}, and its drop is gone: declare `since` for the table, "
                "`was` if it had another name, or put the drop back with it"
            )
    if early_now:
        yield from kept_back(context, home, month, counted_before=True)


def _refuse_other_meaning(home: Home, month: Month) -> None:
    """Raise DropError where values that were landed would have to be read again, and their file is gone."""
    records = (deliveries.STATE,) if home.contract.leaves else deliveries.RECORDS
    if other := [name for record in records for name in origins.read_otherwise(home.lake, month, record)]:
        raise DropError(
            f"{month} was taken in as {', '.join(other)} was declared before, and its drop is gone: "
            "put the drop back, or declare that as it was"
        )


def assets(months: dg.MonthlyPartitionsDefinition, contract: Contract) -> list[dg.AssetsDefinition]:
    """The landing assets, for these months."""
    above = {contract.labels.name: [asset_key(contract.customers)]}
    return [
        dg.multi_asset(
            name="land_drop",
            specs=[_spec(table, months, above.get(table.name, [])) for table in contract.tables],
            check_specs=[_check(table, months) for table in contract.tables],
            # Without it, a month that is not delivered yet, or has no labels yet, could not leave its checks out.
            can_subset=True,
        )(land),
    ]
