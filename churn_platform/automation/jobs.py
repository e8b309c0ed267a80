"""Jobs: what is run as one thing, by a person, a sensor or the command line."""

import dagster as dg

from churn_platform import promotion as promotions
from churn_platform.assets.decisions import PROMOTION
from churn_platform.assets.faults import told_plainly
from churn_platform.assets.partitions import MONTHS
from churn_platform.home import Home
from churn_platform.lake import CANDIDATE, EVALUATION, TRAINING_SET

month_close = dg.define_asset_job(
    "month_close",
    selection=dg.AssetSelection.groups("landing", "snapshots", "features"),
    partitions_def=MONTHS,
    description="Close a month: land its drop, build its snapshots and features.",
)

retrain = dg.define_asset_job(
    "retrain",
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
