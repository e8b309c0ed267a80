"""Jobs: what is run as one thing, by a person, a sensor or the command line."""

import dagster as dg

from churn_platform.assets.decisions import PROMOTION
from churn_platform.assets.delivery import ONLINE_FEATURES
from churn_platform.assets.faults import told_plainly
from churn_platform.assets.landing import asset_key
from churn_platform.assets.partitions import MONTHS
from churn_platform.assets.published import GROUP as PUBLISHED
from churn_platform.automation.triggers import CLOSE, MATURE, REFRESH, RETRAIN
from churn_platform.champion import promotion as promotions
from churn_platform.contracts import LABELS
from churn_platform.home import Home
from churn_platform.tables.names import CANDIDATE, CHURN_SCORES, EVALUATION, REALISED, TARGET_DRIFT, TRAINING_SET


def _published(*tables: dg.AssetKey | str) -> dg.AssetSelection:
    """What publishes these tables of the lake: nothing where there is no PostgreSQL."""
    return dg.AssetSelection.groups(PUBLISHED) & dg.AssetSelection.assets(*tables).downstream(depth=1)


month_close = dg.define_asset_job(
    CLOSE,
    selection=dg.AssetSelection.groups("landing", "snapshots", "features", "monitoring", "delivery", PUBLISHED),
    partitions_def=MONTHS,
    description="Close a month: land its drop, build its snapshots and features, watch for drift, deliver.",
)

month_mature = dg.define_asset_job(
    MATURE,
    selection=dg.AssetSelection.assets(asset_key(LABELS), TARGET_DRIFT, REALISED) | _published(asset_key(LABELS)),
    partitions_def=MONTHS,
    description="Mature a closed month: land its labels, and compare the scores that were served with them.",
)

retrain = dg.define_asset_job(
    RETRAIN,
    selection=dg.AssetSelection.assets(TRAINING_SET, CANDIDATE, EVALUATION),
    partitions_def=MONTHS,
    description="Train a candidate for a matured month and compare it with the champion.",
)

promote = dg.define_asset_job(
    "promote",
    selection=dg.AssetSelection.assets(PROMOTION),
    partitions_def=MONTHS,
    description="Settle a month's evaluation: promote its candidate if the gate lets it pass.",
)

refresh = dg.define_asset_job(
    REFRESH,
    selection=dg.AssetSelection.assets(ONLINE_FEATURES, CHURN_SCORES) | _published(CHURN_SCORES),
    partitions_def=MONTHS,
    description="Deliver a month again: what serving looks up, and the champion's scores.",
)


class ByHand(dg.Config):
    """A person's decision on who serves."""

    reason: str
    by: str


class Appointment(ByHand):
    """A person's decision for one version."""

    version: int


@dg.op
def appoint(context: dg.OpExecutionContext, config: Appointment, home: dg.ResourceParam[Home]) -> None:
    """Make a version champion past the gate, with a receipt that says who and why."""
    with told_plainly():
        receipt = promotions.appoint(
            home.registry, home.ledger, config.version, reason=config.reason, by=config.by, run_id=context.run_id
        )
    context.add_output_metadata({"champion": receipt.champion, "receipt": str(home.ledger.path(receipt.number))})


@dg.op
def roll_back(context: dg.OpExecutionContext, config: ByHand, home: dg.ResourceParam[Home]) -> None:
    """Make the version champion that served before, with a receipt that says who and why."""
    with told_plainly():
        receipt = promotions.roll_back(
            home.registry, home.ledger, reason=config.reason, by=config.by, run_id=context.run_id
        )
    context.add_output_metadata({"champion": receipt.champion, "receipt": str(home.ledger.path(receipt.number))})


@dg.job(description="Make a version champion by a person's decision; the gate is not asked.")
def appoint_champion() -> None:
    """One op, so that the decision is a run like any other."""
    appoint()


@dg.job(description="Make the version champion that served before the present one.")
def roll_back_champion() -> None:
    """One op, so that the decision is a run like any other."""
    roll_back()
