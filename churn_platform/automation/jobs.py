"""Jobs: what a person, a sensor or the command line runs as a unit."""

from collections.abc import Callable, Mapping

import dagster as dg

from churn_platform.assets.carding import card
from churn_platform.assets.decisions import PROMOTION
from churn_platform.assets.delivery import ONLINE_FEATURES
from churn_platform.assets.faults import told_plainly
from churn_platform.assets.landed import asset_key
from churn_platform.assets.published import GROUP as PUBLISHED
from churn_platform.automation.dagster_private import UnresolvedAssetJobDefinition
from churn_platform.automation.triggers import CLOSE, MATURE, MEASURE, PROMOTE, REFRESH, RETRAIN
from churn_platform.champion import promotion as promotions
from churn_platform.champion.receipts import Ledger, Receipt
from churn_platform.champion.registry import Registry
from churn_platform.contracts import Contract
from churn_platform.home import Home
from churn_platform.shown import as_text
from churn_platform.tables.names import CANDIDATE, CHURN_SCORES, EVALUATION, REALISED, TARGET_DRIFT, TRAINING_SET


def _published(*tables: dg.AssetKey | str) -> dg.AssetSelection:
    """What publishes these tables of the lake: nothing where there is no PostgreSQL."""
    return dg.AssetSelection.groups(PUBLISHED) & dg.AssetSelection.assets(*tables).downstream(depth=1)


Jobs = Mapping[str, UnresolvedAssetJobDefinition]
"""The jobs of a month, by name."""


def monthly(contract: Contract) -> Jobs:
    """The jobs that run for one month each; their assets say which months there are."""

    def job(name: str, selection: dg.AssetSelection, description: str) -> UnresolvedAssetJobDefinition:
        return dg.define_asset_job(name, selection=selection, description=description)

    some, labels = dg.AssetSelection.assets, asset_key(contract.labels)
    jobs = (
        job(
            CLOSE,
            dg.AssetSelection.groups("landing", "snapshots", "features", "monitoring", "delivery", PUBLISHED),
            "Close a month: land its drop, build its snapshots and features, watch for drift, deliver.",
        ),
        job(
            MATURE,
            some(labels, TARGET_DRIFT, REALISED) | _published(labels),
            "Mature a closed month: land its labels, and compare them with the scores that were served.",
        ),
        job(
            RETRAIN,
            some(TRAINING_SET, CANDIDATE, EVALUATION),
            "Train a candidate for a matured month and compare it with the champion.",
        ),
        job(PROMOTE, some(PROMOTION), "Settle a month's evaluation: promote its candidate if it passes the gate."),
        job(
            REFRESH,
            some(ONLINE_FEATURES, CHURN_SCORES) | _published(CHURN_SCORES),
            "Deliver a month again: what serving looks up, and the champion's scores.",
        ),
        job(MEASURE, some(REALISED), "Measure on a matured month what served then, and what the champion would reach."),
    )
    return {job.name: job for job in jobs}


class ByHand(dg.Config):
    """A person's decision about which version serves, or whether that may change by itself."""

    reason: str
    by: str


class Appointment(ByHand):
    """A person's decision for one version."""

    version: int


def _request(context: dg.OpExecutionContext, config: ByHand) -> promotions.Request:
    """The decision's id is the first run's: Dagster's retries and whoever runs it again mean the same one."""
    run = context.run
    return promotions.Request(config.by, config.reason, run.run_id, id=run.root_run_id or run.run_id)


def _decide(
    context: dg.OpExecutionContext,
    config: ByHand,
    home: Home,
    decide: Callable[[Registry, Ledger, promotions.Request], Receipt],
) -> None:
    with told_plainly():
        receipt = decide(home.registry, home.ledger, _request(context, config))
    context.add_output_metadata(
        {
            "verdict": receipt.verdict,
            "champion": receipt.champion or 0,
            "receipt": home.ledger.place(receipt.number),
            **({"despite": as_text(" ".join(receipt.despite))} if receipt.despite else {}),
            **(card(context, home, receipt.version, receipt.champion_before) if receipt.version else {}),
        }
    )


@dg.op
def appoint(context: dg.OpExecutionContext, config: Appointment, home: dg.ResourceParam[Home]) -> None:
    """Make a version champion without asking the gate, with a receipt that says who decided and why."""
    _decide(
        context,
        config,
        home,
        lambda registry, ledger, request: promotions.appoint(registry, ledger, config.version, request),
    )


@dg.op
def roll_back(context: dg.OpExecutionContext, config: ByHand, home: dg.ResourceParam[Home]) -> None:
    """Return to the version that served before, with a receipt that says who decided and why."""
    _decide(context, config, home, promotions.roll_back)


@dg.op
def pause(context: dg.OpExecutionContext, config: ByHand, home: dg.ResourceParam[Home]) -> None:
    """Let no promotion or retraining begin by itself, with a receipt that says who decided and why."""
    _decide(context, config, home, promotions.pause)


@dg.op
def resume(context: dg.OpExecutionContext, config: ByHand, home: dg.ResourceParam[Home]) -> None:
    """End a pause, with a receipt that says who decided and why."""
    _decide(context, config, home, promotions.resume)


@dg.job(description="Make a version champion on a person's decision; the gate is not asked.")
def appoint_champion() -> None:
    """One op, so that the decision is a run like any other."""
    appoint()


@dg.job(description="Return to the version that served before the current champion.")
def roll_back_champion() -> None:
    """One op, so that the decision is a run like any other."""
    roll_back()


@dg.job(description="Let no promotion or retraining begin by itself, until that is resumed.")
def pause_automation() -> None:
    """One op, so that the decision is a run like any other."""
    pause()


@dg.job(description="Let promotions and retrainings begin by themselves again.")
def resume_automation() -> None:
    """One op, so that the decision is a run like any other."""
    resume()


BY_HAND = (appoint_champion, roll_back_champion, pause_automation, resume_automation)
"""The jobs of a person's decisions."""
