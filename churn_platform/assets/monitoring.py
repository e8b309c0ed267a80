"""The monitoring assets: whether a month resembles its reference, and what its served scores were worth.

What is seen when a month closes and what only its labels show are separate assets, since the labels may come months
later: what was seen at the close then stays as it was.
"""

from typing import Any

import dagster as dg

from churn_platform.assets.carding import card
from churn_platform.assets.faults import told_plainly
from churn_platform.assets.landed import asset_key
from churn_platform.assets.metadata import OWNERS, markdown_table, not_due, picture
from churn_platform.assets.partitions import month_of
from churn_platform.champion.registry import Version
from churn_platform.contracts import Contract
from churn_platform.home import Home
from churn_platform.monitoring import drift, performance, reference, rejected, target
from churn_platform.months import Month
from churn_platform.shown import counted
from churn_platform.tables import delivery
from churn_platform.tables.names import (
    CHURN_SCORES,
    DRIFT_REPORT,
    EXPECTED,
    FEATURES,
    REACHED,
    REALISED,
    REJECTED,
    TARGET_DRIFT,
    landed,
)
from churn_platform.tables.training_set import judging

GROUP = "monitoring"


def drift_report(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Compare the month's features with the reference's."""
    month, lake, settings = month_of(context), home.lake, home.settings
    with told_plainly():
        earlier = drift.reference_months(month, _trained_on(home), lake.months(FEATURES))
        if not earlier:
            return not_due(context, f"{month} has no reference: no earlier month is closed")
        pages = settings.reports / "drift"
        found = drift.compare(lake, month, earlier, settings.drift_threshold, pages)
    lake.write_document(DRIFT_REPORT, month, found)
    if found.sampled:
        context.log.info(f"{month}: compared {counted(found.rows, 'customer')}, a sample by the hash of their id")
    return dg.MaterializeResult(
        metadata={
            "drift_share": found.drift_share,
            "drifted": found.drift_share >= settings.drift_threshold,
            "drifted_columns": ", ".join(found.drifted) or "none",
            "shifted_columns": ", ".join(found.shifted) or "none",
            "threshold": settings.drift_threshold,
            "reference": ", ".join(found.reference),
            "columns": markdown_table(
                ("column", "method", "score", "threshold", "drifted"),
                ((c.column, c.method, c.score, c.threshold, "yes" if c.drifted else "no") for c in found.columns),
            ),
            "shifts": markdown_table(
                ("column", "test against the month before", "p-value", "shifted"),
                ((s.column, s.test, s.p_value, "yes" if s.shifted else "no") for s in found.shifts),
            ),
            "left_out": markdown_table(("column", "why it does not count"), found.left_out.items()),
            "dagster/row_count": found.customers,
            "compared_rows": found.rows,
            "compared_reference_rows": found.reference_rows,
            "sampled": found.sampled,
            "report": dg.MetadataValue.url(settings.page_url(pages / f"{month}.html")),
            "report_json": dg.MetadataValue.path(pages / f"{month}.json"),
        }
    )


def target_drift(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Compare the month's churn share with the reference's."""
    month, lake = month_of(context), home.lake
    if not lake.has(landed(home.contract.labels.name), month):
        return not_due(context, f"{month} has no labels")
    with told_plainly():
        earlier = drift.reference_months(month, _trained_on(home), judging(lake))
        if not earlier:
            return not_due(context, f"{month} has no reference: no earlier month has matured")
        found = target.compare(lake, month, earlier)
    lake.write_document(TARGET_DRIFT, month, found)
    return dg.MaterializeResult(
        metadata={
            "churn_share": found.churn_share,
            "reference_churn_share": found.reference_churn_share,
            "p_value": found.p_value,
            "drifted": found.drifted,
            "reference": ", ".join(found.reference),
            "dagster/row_count": found.customers,
            "reference_customers": found.reference_customers,
        }
    )


def expected_performance(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Estimate AUC and churn from the served probabilities alone."""
    month, lake = month_of(context), home.lake
    with told_plainly():
        if (version := _served_by(home, month)) is None:
            return not_due(context, f"{month} has no scores, so there is nothing to judge: no version served it")
        gathered = reference.gather(lake, month, version, home.registry.bundle(version))
        found = performance.expect(lake, month, version, gathered)
    lake.write_document(EXPECTED, month, found)
    return dg.MaterializeResult(metadata={**_expected(found), "dagster/row_count": found.customers})


def realised_performance(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Compare the served scores with the labels, with the champion's, and with those of the newest rejected version."""
    month, lake, registry = month_of(context), home.lake, home.registry
    if not lake.has(landed(home.contract.labels.name), month):
        return not_due(context, f"{month} has no labels, so there is nothing to compare its scores with")
    shown: dict[str, Any] = {}
    with told_plainly():
        if (version := _served_by(home, month)) is not None:
            bundle = registry.bundle(version)
            gathered = reference.gather(lake, month, version, bundle)
            found = performance.realise(lake, month, version, bundle.manifest.threshold, gathered)
            lake.write_document(REALISED, month, found)
            if not found.metrics:
                context.log.warning(f"{month}: everyone or nobody churned, so there is no AUC")
            shown = _realised(found)
        if (reached := _reached(home, month, version)) is not None:
            lake.write_document(REACHED, month, reached)
            shown["champion"] = (
                f"version {reached.expected.version}, which did not serve {month}, would have reached "
                + (f"an AUC of {reached.auc:.4f}" if reached.auc is not None else "no AUC: nobody or everyone churned")
            )
        champion = registry.champion()
        if (compared := rejected.compare(home, month, champion) if champion else None) is not None:
            lake.write_document(REJECTED, month, compared)
            shown["rejected_candidate"] = compared.sentence
    if not shown:
        return not_due(context, f"{month} has no scores, and the champion cannot be measured on it")
    for measured in {one.number for one in (version, champion) if one} | ({compared.version} if compared else set()):
        card(context, home, measured)
    return dg.MaterializeResult(metadata=shown)


def _reached(home: Home, month: Month, served: Version | None) -> performance.Realised | None:
    """What the champion would have been worth in a month that another version served, or none; None elsewhere."""
    champion = home.registry.champion()
    if champion is None or (served and served.number == champion.number):
        return None
    if month not in performance.measurable(home.lake, champion):
        return None
    return performance.reach(home.lake, month, champion, home.registry.bundle(champion))


def _trained_on(home: Home) -> tuple[Month, ...]:
    """The months that the champion was trained on, where drift is measured against them; otherwise none."""
    if home.settings.drift_reference == "previous" or (champion := home.registry.champion()) is None:
        return ()
    return tuple(Month.parse(month) for month in home.registry.bundle(champion).manifest.months)


def _served_by(home: Home, month: Month) -> Version | None:
    """The version that made the month's scores; None where it was not scored."""
    number = delivery.served_by(home.lake, month)
    return None if number is None else home.registry.version(number)


def _expected(found: performance.Expected) -> dict[str, Any]:
    told = {
        "expected_auc": found.expected_auc,
        "expected_auc_error": found.error,
        "estimate": found.figure and f"{found.figure}, {performance.SUPPOSED}; {found.calibration}",
    }
    return {
        "version": found.version,
        "promised_auc": found.promised_auc,
        **{name: value for name, value in told.items() if value is not None},
        "expected_churn_share": found.expected_churn_share,
    }


def _realised(found: performance.Realised) -> dict[str, Any]:
    from churn_platform.modelling.plots import calibration_curve

    outcomes = {"found": found.found, "missed": found.missed, "false alarms": found.false_alarms}
    bins = found.bins
    label = f"version {found.expected.version}, {found.expected.month}"
    return {
        **_expected(found.expected),
        **{"realised_auc" if name == "auc" else name: value for name, value in found.metrics.items()},
        **({} if found.as_expected is None else {"as_expected": found.as_expected}),
        "churn_share": found.churn_share,
        "dagster/row_count": found.expected.customers,
        "customers_counted": _counted(found),
        "calibration": markdown_table(
            ("customers", "mean probability", "churned"), ((b.customers, b.predicted, b.realised) for b in bins)
        ),
        "calibration_curve": picture(calibration_curve([b.predicted for b in bins], [b.realised for b in bins], label)),
        "outcomes": markdown_table(
            (f"flagged from {found.threshold:.3f} on", "customers", "their monthly fees"),
            ((kind, o.customers, "" if o.fees is None else f"{o.fees:,.2f}") for kind, o in outcomes.items()),
        ),
    }


def _counted(found: performance.Realised) -> str:
    if not found.holdout_only:
        return "all customers whose labels have landed"
    return (
        f"only holdout customers: version {found.expected.version}, trained for {found.expected.version_month}, may"
        " have learned from the others' labels"
    )


def assets(months: dg.MonthlyPartitionsDefinition, contract: Contract) -> list[dg.AssetsDefinition]:
    """The monitoring assets, for these months."""
    return [
        dg.asset(
            name=DRIFT_REPORT,
            deps=[FEATURES],
            partitions_def=months,
            group_name=GROUP,
            kinds={"evidently"},
            owners=OWNERS,
            description=(
                "Which features are distributed differently from the months that the champion was trained on, or from"
                " the month before (CHURN_DRIFT_REFERENCE), and their share."
            ),
        )(drift_report),
        dg.asset(
            name=TARGET_DRIFT,
            deps=[asset_key(contract.labels)],
            partitions_def=months,
            group_name=GROUP,
            kinds={"duckdb"},
            owners=OWNERS,
            description="Whether more or fewer customers churned than in the reference months. Waits for the labels.",
        )(target_drift),
        dg.asset(
            name=EXPECTED,
            deps=[CHURN_SCORES],
            partitions_def=months,
            group_name=GROUP,
            kinds={"scikitlearn"},
            owners=OWNERS,
            description=(
                "The AUC to expect before it is known who churned, if churn still follows the same pattern: calibrated"
                " on earlier months' labels, with its standard error."
            ),
        )(expected_performance),
        dg.asset(
            name=REALISED,
            deps=[CHURN_SCORES, asset_key(contract.labels)],
            partitions_def=months,
            group_name=GROUP,
            kinds={"scikitlearn"},
            owners=OWNERS,
            description=(
                "What the served scores turned out to be worth, beside what was promised at promotion and what was"
                " expected since; what the champion's would have been where another version served; and whether the"
                " newest version that was not promoted would have been better. Waits for the month's labels."
            ),
        )(realised_performance),
    ]
