"""The landing assets: a drop's files, judged, then kept; all tables about customers or none."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from churn_platform.assets.faults import told_plainly
from churn_platform.assets.metadata import OWNERS, markdown_table, of_table, table_schema
from churn_platform.assets.partitions import month_of
from churn_platform.contracts import LABELS, STATE_TABLES, USERS, Table
from churn_platform.home import Home
from churn_platform.intake import deliveries, landing
from churn_platform.intake.drops import DropError, content_hash, delivered, drop_of
from churn_platform.months import Month
from churn_platform.tables.names import landed, quarantine

GROUP = "landing"
CONTRACT = "keeps_the_contract"
SHOWN = 20


def asset_key(table: Table) -> dg.AssetKey:
    """A landed table's asset key, such as `landed/users`."""
    return dg.AssetKey(landed(table.name).split("/"))


def _spec(table: Table, months: dg.MonthlyPartitionsDefinition, deps: list[dg.AssetKey] | None = None) -> dg.AssetSpec:
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


def _verdict(home: Home, month: Month, judged: landing.Judged) -> dg.AssetCheckResult:
    """Write the table's Data Docs page and report the judgement."""
    page = _page(home, month, judged.table)
    judged.judgement.write_page(f"{judged.table.name} of {month}", page)
    return dg.AssetCheckResult(
        passed=judged.fault is None,
        asset_key=asset_key(judged.table),
        check_name=CONTRACT,
        description=judged.fault
        or f"{judged.total - judged.quarantined:,} of {judged.total:,} rows keep the contract.",
        metadata={
            "expectations": judged.judgement.expectations,
            "rows": judged.total,
            "broken_rows": judged.quarantined,
            "broken_share": judged.quarantined / judged.total,
            "tolerance": home.settings.quarantine_tolerance,
            "data_docs": dg.MetadataValue.url(home.settings.page_url(page)),
            **_broken(judged),
        },
    )


def _page(home: Home, month: Month, table: Table) -> Path:
    return home.settings.data_docs / str(month) / f"{table.name}.html"


def _broken(judged: landing.Judged) -> dict[str, dg.MetadataValue]:
    """The first broken rows as a table; nothing where all are sound."""
    shown = [(v.line, v.column, v.value, v.rule) for v in judged.violations[:SHOWN]]
    return {"broken": markdown_table(("line", "column", "value", "rule"), shown)} if shown else {}


def _keep(home: Home, month: Month, judged: landing.Judged) -> dg.MaterializeResult:
    """Write the quarantine, then the sound rows: a landed table is never without its quarantine."""
    table = judged.table
    home.lake.write(quarantine(table.name), month, judged.quarantine())
    written = home.lake.write(landed(table.name), month, judged.kept)
    return dg.MaterializeResult(
        asset_key=asset_key(table),
        data_version=dg.DataVersion(written.sha256),
        metadata={
            **of_table(written),
            "quarantined_rows": judged.quarantined,
            "file": str(judged.path),
            "data_docs": dg.MetadataValue.url(home.settings.page_url(_page(home, month, table))),
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


def landed_tables(
    context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Judge all five tables of the month's drop; keep all of them, or none and say why."""
    month, settings = month_of(context), home.settings
    with told_plainly():
        if _awaited(context, home, month):
            return
        drop = drop_of(settings.drops, settings.first, month)
        content = content_hash(drop, STATE_TABLES)  # before it is read: a change from now on makes it a different drop
        tables = landing.judge_state(home.lake.engine, drop, settings.quarantine_tolerance, month.as_of)
    for judged in tables:
        if asset_key(judged.table) in context.selected_asset_keys:
            yield _verdict(home, month, judged)
    if faults := [judged.fault for judged in tables if judged.fault]:
        with told_plainly():
            raise DropError(f"{month} stops and nothing is kept: {' / '.join(faults)}")
    for judged in tables:
        if asset_key(judged.table) in context.selected_asset_keys:
            if judged.quarantined:
                context.log.warning(f"{month}: {judged.quarantined} rows of {judged.table.name} go to quarantine")
            yield _keep(home, month, judged)
    if all(asset_key(table) in context.selected_asset_keys for table in STATE_TABLES):
        deliveries.take(home.lake, month, deliveries.STATE, content, STATE_TABLES)


def landed_labels(
    context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Judge and keep the month's labels where they have arrived; then the month is matured."""
    month, settings = month_of(context), home.settings
    with told_plainly():
        drop = drop_of(settings.drops, settings.first, month)
        customers = home.lake.read(landed(USERS.name), month)
        content = content_hash(drop, (LABELS,))
        tolerance = settings.quarantine_tolerance
        judged = landing.judge_labels(home.lake.engine, drop, LABELS, tolerance, month.as_of, customers)
    if judged is None:
        context.log.info(f"{month} has no labels yet: it closes now, and matures when they arrive in {drop}")
        return
    yield _verdict(home, month, judged)
    if judged.fault:
        with told_plainly():
            raise DropError(f"{month} stops: {judged.fault}")
    yield _keep(home, month, judged)
    deliveries.take(home.lake, month, deliveries.LATER, content, (LABELS,))


def assets(months: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The landing assets, for these months."""
    return [
        dg.multi_asset(
            name="land_drop",
            specs=[_spec(table, months) for table in STATE_TABLES],
            check_specs=[_check(table, months) for table in STATE_TABLES],
            can_subset=True,  # without it, a month that is not delivered yet could not leave its checks out
        )(landed_tables),
        dg.multi_asset(
            name="land_labels",
            specs=[_spec(LABELS, months, [asset_key(USERS)])],
            check_specs=[_check(LABELS, months)],
            can_subset=True,  # without it, a month without labels could not leave its check out
        )(landed_labels),
    ]
