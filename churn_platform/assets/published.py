"""The publication assets: each lake table's month in PostgreSQL. One asset per table: scores and labels may be absent.

They belong to the definitions only where CHURN_POSTGRES_URL is set.
"""

import dagster as dg

from churn_platform.assets.faults import told_plainly
from churn_platform.assets.metadata import OWNERS
from churn_platform.assets.partitions import month_of
from churn_platform.contracts import Contract
from churn_platform.home import Home
from churn_platform.tables.catalog import CatalogTable, catalog

GROUP = "published"


def _publication(table: CatalogTable, months: dg.MonthlyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=[GROUP, table.name],
        deps=[dg.AssetKey(table.source.split("/"))],
        partitions_def=months,
        group_name=GROUP,
        kinds={"postgres"},
        owners=OWNERS,
        retry_policy=dg.RetryPolicy(max_retries=4, delay=1, backoff=dg.Backoff.EXPONENTIAL),
        description=f"`{table.name}` in PostgreSQL, partitioned by as_of, for analysts. {table.meaning}",
    )
    def publication(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
        from churn_platform.tables import published

        month = month_of(context)
        there = home.lake.has(table.source, month)
        with told_plainly():
            try:
                url = home.settings.postgres_url.get_secret_value()
                made = published.publish(url, home.lake, table, month) if there else None
                withdrawn = not there and published.withdraw(url, table, month)
            except published.PostgresUnavailableError as fault:
                raise dg.Failure(str(fault)) from None  # which Dagster tries again
        if made is None:
            # A result all the same: in a backfill, Dagster counts a month that returns none as failed.
            reason = f"{month} has no {table.name} {'any more' if withdrawn else 'yet'}"
            return dg.MaterializeResult(metadata={"published": False, "withdrawn": withdrawn, "reason": reason})
        return dg.MaterializeResult(
            data_version=dg.DataVersion(made.sha256),
            metadata={
                "published": True,
                "dagster/row_count": made.rows,
                "dagster/table_name": table.name,
                "as_of": str(month.as_of),
                "unchanged": made.unchanged,
                "psql": f'psql "$CHURN_POSTGRES_URL" -c "'  # noqa: S608  # shown, not run
                f"SELECT count(*) FROM {table.name} WHERE as_of = '{month.as_of}'\"",
            },
        )

    return publication


def assets(months: dg.MonthlyPartitionsDefinition, contract: Contract) -> list[dg.AssetsDefinition]:
    """The publication assets, for these months."""
    return [_publication(table, months) for table in catalog(contract)]
