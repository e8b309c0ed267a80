"""The landing assets: a drop's files, judged, then taken in; all of them or none."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import dagster as dg

from churn_platform.assets.faults import told_plainly
from churn_platform.assets.metadata import OWNERS, Words, markdown_table, of_table, table_schema
from churn_platform.assets.partitions import month_of
from churn_platform.company.checking import formulas
from churn_platform.contracts import Contract, Table
from churn_platform.home import Home
from churn_platform.intake import deliveries, landing
from churn_platform.intake.drops import DropError, delivered, drop_of, misnamed
from churn_platform.intake.oddities import Drop, Oddity, oddities
from churn_platform.lake import Written
from churn_platform.months import Month
from churn_platform.shown import counted
from churn_platform.tables import taking
from churn_platform.tables.names import landed

Oddities = dict[str, list[Oddity]]

GROUP = "landing"
CONTRACT = "keeps_the_contract"
SHOWN = 20


def asset_key(table: Table) -> dg.AssetKey:
    """A landed table's asset key, such as `landed/users`."""
    return dg.AssetKey(landed(table.name).split("/"))


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
        description="Great Expectations judges the whole table against its contract before anything is kept.",
    )


def _verdict(home: Home, month: Month, judged: landing.Judged, odd: Sequence[Oddity]) -> dg.AssetCheckResult:
    """Write the table's Data Docs page and report the judgement, and what is odd about the table as a whole."""
    page = _page(home, month, judged.table)
    judged.judgement.write_page(f"{judged.table.name} of {month}", page)
    stops = [*filter(None, [judged.fault]), *(oddity.sentence for oddity in odd if oddity.stops)]
    warnings = [oddity.sentence for oddity in odd if oddity.warns]
    sound = judged.total - judged.quarantined
    kept = f"{sound:,} of {counted(judged.total, 'row')} {'keeps' if sound == 1 else 'keep'} the contract."
    return dg.AssetCheckResult(
        passed=not stops and not warnings,
        asset_key=asset_key(judged.table),
        check_name=CONTRACT,
        severity=dg.AssetCheckSeverity.WARN if warnings and not stops else dg.AssetCheckSeverity.ERROR,
        description=" / ".join(stops or warnings) or kept,
        metadata={
            "expectations": judged.judgement.expectations,
            "rows": judged.total,
            "broken_rows": judged.quarantined,
            "broken_share": judged.quarantined / judged.total,
            "tolerance": home.settings.quarantine_tolerance,
            **{name: figure for oddity in odd for name, figure in oddity.figures.items()},
            "data_docs": dg.MetadataValue.url(home.settings.page_url(page)),
            **_broken(judged),
        },
    )


def _page(home: Home, month: Month, table: Table) -> Path:
    return home.settings.data_docs / str(month) / f"{table.name}.html"


def _broken(judged: landing.Judged) -> dict[str, dg.MetadataValue]:
    """The first broken rows as a table; nothing where all are sound."""
    shown = [
        (f"{v.part}: {v.line}" if v.part else v.line, v.column, v.value, Words(v.rule))
        for v in judged.violations[:SHOWN]
    ]
    unit = landing.unit_of(judged.path.name)
    return {"broken": markdown_table((unit, "column", "value", "rule"), shown)} if shown else {}


def _kept(home: Home, judged: landing.Judged, month: Month, written: Written) -> dg.MaterializeResult:
    """Report a table that was taken in."""
    return dg.MaterializeResult(
        asset_key=asset_key(judged.table),
        data_version=dg.DataVersion(written.sha256),
        metadata={
            **of_table(written),
            "quarantined_rows": judged.quarantined,
            "file": str(judged.path),
            "data_docs": dg.MetadataValue.url(home.settings.page_url(_page(home, month, judged.table))),
            **_broken(judged),
        },
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


def _refuse_mixture(home: Home, month: Month, left_out: Sequence[Table], contents: Mapping[str, str | None]) -> None:
    """Raise DropError where tables that are not selected have changed: a month's tables are taken in together."""
    records = {deliveries.LATER if table is home.contract.labels else deliveries.STATE for table in left_out}
    if any(contents[record] != deliveries.taken(home.lake, month, record) for record in records):
        raise DropError(
            f"{month}: the drop is not the one that was landed, and its tables are taken in together: "
            f"close {month} (churn close {month})"
        )


def _judge(home: Home, month: Month, drop: Path, selected: Sequence[Table]) -> tuple[list[landing.Judged], Oddities]:
    """The judgement on every selected table that the drop has, and by table what is odd. Raises DropError."""
    engine, contract, tolerance = home.lake.engine, home.contract, home.settings.quarantine_tolerance
    judged: list[landing.Judged] = []
    if any(table in selected for table in contract.states):
        judged += landing.judge_state(engine, drop, contract, tolerance, month.as_of)
    customers = judged[0].kept if judged else home.lake.read(landed(contract.customers.name), month)
    if contract.labels in selected:
        labels = landing.judge_labels(engine, drop, contract.labels, tolerance, month.as_of, customers)
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
        formulas(contract.declaration)  # before anything is kept: the month's features would stop on a wrong one
        archived = month not in delivered(settings.drops, settings.first) and taking.is_landed(home.lake, month)
        awaited = not archived and _awaited(context, home, month)
    if not awaited:
        yield from (_as_landed if archived else _from_drop)(context, home, month, selected)


def _from_drop(
    context: dg.AssetExecutionContext, home: Home, month: Month, selected: Sequence[Table]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    settings, lake, contract = home.settings, home.lake, home.contract
    with told_plainly():
        drop = drop_of(settings.drops, settings.first, month)
        # Before it is read: a change from now on makes it a different drop.
        contents = deliveries.contents(drop, contract, month)
        if doubt := deliveries.in_doubt(lake, month, misnamed(drop, (contract.labels,), contract.tables)):
            raise DropError(doubt)
        _refuse_mixture(home, month, [table for table in contract.tables if table not in selected], contents)
        tables, odd = _judge(home, month, drop, selected)
    for judged in tables:
        yield _verdict(home, month, judged, odd[judged.table.name])
    everything_odd = [oddity for found in odd.values() for oddity in found]
    faults = [judged.fault for judged in tables if judged.fault]
    if faults := [*faults, *(oddity.sentence for oddity in everything_odd if oddity.stops)]:
        with told_plainly():
            raise DropError(f"{month} stops and nothing is kept: {' / '.join(faults)}")
    left_out = [table for table in contract.states if table in selected and table not in [t.table for t in tables]]
    written = taking.take_in(lake, month, tables, contents, everything_odd, left_out)
    for table in left_out:
        yield from _left_out(month, table, written[table.name])
    for oddity in everything_odd:
        context.log.warning(oddity.sentence)
    for judged in tables:
        if judged.quarantined:
            broken = f"{judged.quarantined:,} of {counted(judged.total, 'row')} of {judged.table.name}"
            context.log.warning(f"{month}: {broken} broken, kept in quarantine")
        yield _kept(home, judged, month, written[judged.table.name])
    if contract.labels in selected and contract.labels.name not in written:
        yield from _without_labels(context, home, month, drop, contents[deliveries.LATER])


def _left_out(month: Month, table: Table, written: Written) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Report a table that the month's drop need not have, and has not."""
    bounds = " and ".join(f"{word} {end}" for word, end in (("since", table.since), ("until", table.until)) if end)
    why = f"{month} has no {table.name}, which is delivered {bounds}: it is unknown"
    key = asset_key(table)
    yield dg.AssetCheckResult(passed=True, asset_key=key, check_name=CONTRACT, description=f"{why}; nothing to judge.")
    yield dg.MaterializeResult(
        asset_key=key, data_version=dg.DataVersion(written.sha256), metadata={**of_table(written), "left_out": why}
    )


def _as_landed(
    context: dg.AssetExecutionContext, home: Home, month: Month, selected: Sequence[Table]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Keep what was landed of a month whose drop is gone, to an archive say: what is built on it can be made again."""
    lake = home.lake
    why = f"{month} is kept as it was landed: {home.settings.drops} has no drop for it any more"
    context.log.info(why)
    for table in selected:
        name = landed(table.name)
        if lake.has(name, month):
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
            yield from _left_out(month, table, taking.leave_out(lake, month, table))
        elif table is not home.contract.labels:
            with told_plainly():
                raise DropError(
                    f"{month} was closed without {table.name}, and its drop is gone: declare `since` for the table, "
                    "`was` if it had another name, or put the drop back with it"
                )


def _without_labels(
    context: dg.AssetExecutionContext, home: Home, month: Month, drop: Path, content: str | None
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Withdraw the labels that the drop no longer has; by the result, what is downstream of them follows."""
    labels = asset_key(home.contract.labels)
    if taking.without_labels(home.lake, month, content):
        told = f"the labels of {month} are withdrawn, since {drop.name} no longer has any"
        context.log.warning(told)
        yield dg.AssetCheckResult(
            passed=True, asset_key=labels, check_name=CONTRACT, description=f"{told}: nothing to judge."
        )
        yield dg.MaterializeResult(asset_key=labels, metadata={"withdrawn": True, "dagster/row_count": 0})
    else:
        context.log.info(f"{month} has no labels yet: it closes now, and matures when they arrive in {drop}")


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
