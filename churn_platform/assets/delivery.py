"""The delivery assets: what serving and the business take from a month."""

from pathlib import Path
from typing import Any

import dagster as dg

from churn_platform.assets.faults import told_plainly
from churn_platform.assets.metadata import OWNERS, markdown_table, not_due, of_table
from churn_platform.assets.partitions import month_of
from churn_platform.champion.earlier import last_months
from churn_platform.champion.registry import Version
from churn_platform.home import Home
from churn_platform.lake import Written
from churn_platform.months import Month
from churn_platform.online import store
from churn_platform.online.types import OlderMonthError
from churn_platform.tables import delivery, scoring
from churn_platform.tables.names import CHURN_SCORES, FEATURES

GROUP = "delivery"
ONLINE_FEATURES = "online_features"
KEPT = "a later month is closed, and what was served is not rewritten"


def online_features(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Publish the month, unless the store holds a newer one: a backfill of an old month leaves the store as it is.

    What the champion cannot score is not published over what it can: the run stops, and serving goes on.
    """
    month, url = month_of(context), home.settings.online_store
    with told_plainly():
        try:
            store.require_newest(url, month)
            features, rows = delivery.online_features(home.lake, month), delivery.online_rows(home.lake, month)
            if (champion := home.registry.champion()) is not None:
                scoring.refuse_unfit(month, home.registry.bundle(champion), features)
            publication = store.publish(url, month, features, rows)
        except OlderMonthError as refusal:
            context.log.info(str(refusal))
            return dg.MaterializeResult(metadata={"published": False, "reason": str(refusal)})
    return dg.MaterializeResult(
        metadata={
            "published": True,
            "dagster/row_count": publication.customers,
            "month": publication.month,
            "as_of": publication.as_of,
            "published_at": publication.published_at,
        }
    )


def churn_scores(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Score the month with the champion. Without one nothing is scored."""
    month, lake = month_of(context), home.lake
    csv = delivery.csv_of(home.settings.exports, month)
    unknown = None
    with told_plainly():
        if keeps := delivery.is_history(lake, month):
            context.log.info(f"{month} keeps the scores of version {delivery.served_by(lake, month)}: {KEPT}")
        elif (champion := home.registry.champion()) is None:
            return not_due(context, f"{month} is not scored: there is no champion yet (churn retrain {month})")
        else:
            unknown = _score(home, month, champion)
        if not keeps or not csv.exists():
            delivery.write_csv(lake, month, csv)
        told = {"kept": KEPT} if keeps else {"no_change_since_last_month": unknown} if unknown else {}
        return _scored(home, month, csv, told)


def _score(home: Home, month: Month, champion: Version) -> str | None:
    """Write the champion's scores; returns why they do not say what has changed since last month, if they do not."""
    lake, bundle = home.lake, home.registry.bundle(champion)
    before = last_months(lake, home.registry, month, champion.number, bundle)
    unknown = before if isinstance(before, str) else None
    compared = None if isinstance(before, str) else before
    delivery.score(lake, month, bundle, champion.number, home.settings.explained_customers, compared)
    return unknown


_HEADINGS = {"probability": "mean probability", "value_at_risk": "monthly fees at risk"}


def _scored(home: Home, month: Month, csv: Path, told: dict[str, str]) -> dg.MaterializeResult:
    """Report the month's scores as they are in the lake."""
    lake = home.lake
    rows = lake.read(CHURN_SCORES, month)
    written = Written(lake.path(CHURN_SCORES, month), lake.rows(CHURN_SCORES, month), lake.sha256(CHURN_SCORES, month))
    groups: dict[str, Any] = {
        "customers": rows.count(),
        "probability": rows.probability.mean(),
        **({"value_at_risk": rows.value_at_risk.sum()} if lake.contract.fee else {}),
    }
    total = rows.aggregate(**groups).to_pyarrow().to_pylist()[0]
    deciles = rows.group_by("decile").aggregate(**groups).order_by("decile").to_pyarrow().to_pylist()
    return dg.MaterializeResult(
        data_version=dg.DataVersion(written.sha256),
        metadata={
            **of_table(written),
            "model_version": delivery.served_by(lake, month),
            "mean_probability": total["probability"],
            **({"value_at_risk": round(total["value_at_risk"], 2)} if lake.contract.fee else {}),
            "deciles": markdown_table(
                [_HEADINGS.get(name, name) for name in deciles[0]], (d.values() for d in deciles)
            ),
            "csv": dg.MetadataValue.path(csv),
            **told,
        },
    )


def assets(months: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The delivery assets, for these months."""
    return [
        dg.asset(
            name=ONLINE_FEATURES,
            deps=[FEATURES],
            partitions_def=months,
            group_name=GROUP,
            kinds={"sqlite", "postgres"},
            owners=OWNERS,
            description="The newest month's features of every active customer, in the online store that serving reads.",
        )(online_features),
        dg.asset(
            name=CHURN_SCORES,
            deps=[FEATURES],
            partitions_def=months,
            group_name=GROUP,
            kinds={"onnx", "parquet"},
            owners=OWNERS,
            description=(
                "The champion's churn probability for every active customer, with decile, value at risk and reasons;"
                " also as CSV. Only the newest month is scored again: an older one keeps what was served then."
            ),
        )(churn_scores),
    ]
