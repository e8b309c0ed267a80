"""Labels: those that the months themselves give, and those that are withdrawn.

Here: landing and reporting them. Not here: labels that a drop delivers, which `landing` takes in with its other tables.
"""

from collections.abc import Iterator

import dagster as dg

from churn_platform.assets.landed import CONTRACT, asset_key
from churn_platform.assets.metadata import of_table
from churn_platform.home import Home
from churn_platform.months import Month
from churn_platform.shown import counted
from churn_platform.tables import leaving, maturity, taking
from churn_platform.tables.names import landed


def by_absence(
    context: dg.AssetExecutionContext, home: Home, month: Month
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Land who of the month's customers has left since, if that is known already."""
    contract, lake = home.contract, home.lake
    if (content := leaving.content(lake, month)) is None:
        yield from without_labels(context, home, month, None)
        return
    written = leaving.take_in(lake, month, content)
    churned = int(lake.read(landed(contract.labels.name), month)[contract.label].sum().to_pyarrow().as_py() or 0)
    told = f"{churned:,} of {counted(written.rows, 'customer')} of {month} left, as the months after show."
    yield dg.AssetCheckResult(passed=True, asset_key=asset_key(contract.labels), check_name=CONTRACT, description=told)
    yield dg.MaterializeResult(
        asset_key=asset_key(contract.labels),
        data_version=dg.DataVersion(written.sha256),
        metadata={**of_table(written), "churned": churned},
    )


def kept_back(
    context: dg.AssetExecutionContext, home: Home, month: Month, *, counted_before: bool
) -> Iterator[dg.MaterializeResult]:
    """Say that labels are kept until their day; where they counted before, what is downstream follows."""
    told = f"the labels of {month} are kept, and count from {maturity.known_from(home.contract, month)} on"
    context.log.info(told)
    if not counted_before:
        return
    yield dg.MaterializeResult(
        asset_key=asset_key(home.contract.labels),
        metadata={"withdrawn": True, "dagster/row_count": 0, "kept": told},
    )


def without_labels(
    context: dg.AssetExecutionContext, home: Home, month: Month, content: str | None
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Withdraw the labels that the drop no longer has; by the result, what is downstream of them follows."""
    labels = asset_key(home.contract.labels)
    if taking.without_labels(home.lake, month, content):
        told = f"the labels of {month} are withdrawn: {_why_none(home, month)}"
        context.log.warning(told)
        yield dg.AssetCheckResult(
            passed=True, asset_key=labels, check_name=CONTRACT, description=f"{told}: nothing to judge."
        )
        yield dg.MaterializeResult(asset_key=labels, metadata={"withdrawn": True, "dagster/row_count": 0})
    else:
        context.log.info(f"{month} has no labels yet: {_why_none(home, month)}")


def _why_none(home: Home, month: Month) -> str:
    if months := home.contract.leaves:
        return f"who has left is known once {month + months} is closed"
    return "the drop has none, and the month matures when they arrive there"
