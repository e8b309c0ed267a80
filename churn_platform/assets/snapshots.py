"""The snapshot and feature assets: the state of every known customer, and what a model may know of the active ones."""

from datetime import timedelta

import dagster as dg

from churn_platform.assets.faults import told_plainly
from churn_platform.assets.landed import asset_key
from churn_platform.assets.metadata import OWNERS, of_table, table_schema
from churn_platform.assets.partitions import FEATURE_WINDOW, PREVIOUS, month_of
from churn_platform.contracts import Contract, Table
from churn_platform.home import Home
from churn_platform.tables import lineage, origins
from churn_platform.tables.features import feature_table, schema, snapshot
from churn_platform.tables.names import FEATURES, landed

_LONGEST_MONTH = 31


def _snapshot_asset(name: str, table: Table, months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        deps=[asset_key(table), dg.AssetDep(name, partition_mapping=PREVIOUS)],
        partitions_def=months,
        group_name="snapshots",
        kinds={"duckdb", "parquet"},
        owners=OWNERS,
        description=f"Every known customer's state at the month's end: its `{table.name}` over the month before's.",
        metadata={"dagster/column_schema": table_schema(table)},
        code_version="1",
    )
    @told_plainly()
    def build(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
        month, lake = month_of(context), home.lake
        inputs = lineage.inputs(lake, name, month, home.settings.first)
        current, *previous = (lake.read(*source) for source in inputs)
        written = lake.write(name, month, snapshot(table, month, current, *previous), built_from=inputs)
        delivered = lake.rows(landed(table.name), month)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(written.sha256),
            metadata={**of_table(written), "delivered_this_month": delivered, "as_of": str(month.as_of)},
        )

    return build


@told_plainly()
def features(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Build the month's feature table."""
    month = month_of(context)
    first, contract = home.settings.first, home.contract
    snapshots = {
        name: [home.lake.read(name, m) for m in lineage.window(home.lake, name, month, first)]
        for name in contract.snapshots
    }
    inputs = lineage.inputs(home.lake, FEATURES, month, first)
    origins.forget(home.lake, month)
    written = home.lake.write(FEATURES, month, feature_table(contract, month, snapshots), built_from=inputs)
    origins.record(home.lake, month)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(written.sha256),
        metadata={**of_table(written), "features": len(schema(contract)), "as_of": str(month.as_of)},
    )


def assets(months: dg.MonthlyPartitionsDefinition, contract: Contract, due_days: int) -> list[dg.AssetsDefinition]:
    """The snapshot and feature assets, for these months; features are due so many days after a month's end.

    Dagster looks at the newest materialization, of whatever month: the alert about overdue features knows the month.
    """
    return [
        *(_snapshot_asset(name, table, months) for name, table in contract.snapshots.items()),
        dg.asset(
            name=FEATURES,
            deps=[dg.AssetDep(name, partition_mapping=FEATURE_WINDOW) for name in contract.snapshots],
            partitions_def=months,
            group_name="features",
            kinds={"duckdb", "parquet"},
            owners=OWNERS,
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=_LONGEST_MONTH + due_days)),
            description="One row per active customer: the drop's own columns and what three months of snapshots show.",
            metadata={
                "dagster/column_schema": dg.TableSchema(
                    columns=[
                        dg.TableColumn(feature.name, feature.kind, feature.meaning) for feature in schema(contract)
                    ]
                )
            },
            code_version="2",
        )(features),
    ]
