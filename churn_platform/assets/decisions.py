"""The decision assets: the candidate's comparison with the champion, and the promotion that follows from it."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg
import msgspec

from churn_platform.assets.carding import card
from churn_platform.assets.faults import told_plainly
from churn_platform.assets.landed import asset_key
from churn_platform.assets.metadata import OWNERS, markdown_table, picture
from churn_platform.assets.models import GROUP, TRAINING
from churn_platform.assets.partitions import month_of
from churn_platform.champion import promotion as promotions
from churn_platform.champion import twins, usual
from churn_platform.champion.comparing import basis_of, compare
from churn_platform.champion.receipts import digest_of
from churn_platform.contracts import Contract
from churn_platform.home import Home
from churn_platform.modelling.evaluation import Evaluation, VersionScores
from churn_platform.modelling.gate import GATES
from churn_platform.tables.names import CANDIDATE, EVALUATION, FEATURES
from churn_platform.tables.training_set import CandidateVersion

if TYPE_CHECKING:
    import numpy as np

PROMOTION = "promotion"


def evaluation(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Compare on the month's holdout customers, whom no version was ever trained on."""
    month, lake, registry = month_of(context), home.lake, home.registry
    with told_plainly():
        promotions.finish(registry, home.ledger)  # whoever was to become champion is compared with
        made = lake.require_document(CANDIDATE, month, CandidateVersion, "churn retrain")
        candidate, champion = registry.version(made.version), registry.champion()
        versions = {version.number: version for version in (candidate, champion) if version}
        bundles = {number: registry.bundle(version) for number, version in versions.items()}
        basis = basis_of(lake, registry, month, candidate, champion, bundles, home.settings.seed, home.ledger.appointed)
        compared, labels, scores = compare(
            lake,
            basis,
            bundles,
            registry.model(candidate),
            month=str(month),
            delta=home.settings.delta,
            looks=twins.different(registry, month),
            warn_only=sorted(home.settings.warning_gates),
            earlier=usual.of_versions(lake, month, home.ledger.appointed),
        )
    lake.write_document(EVALUATION, month, compared)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(digest_of(compared)),
        metadata={**_shown(compared, labels, scores), **card(context, home, candidate.number)},
        check_results=[
            dg.AssetCheckResult(
                passed=gate.passed,
                check_name=gate.name,
                # A lost comparison is a normal outcome: WARN leaves the run green, blocking stops the promotion.
                severity=dg.AssetCheckSeverity.WARN,
                description=gate.explanation,
                metadata={"auc": compared.candidate.metrics["auc"], "delta": compared.delta},
            )
            for gate in compared.gates
        ],
    )


def _shown(compared: Evaluation, labels: "np.ndarray", scores: Iterable[VersionScores]) -> dict[str, Any]:
    """The comparison's figures and curves; the candidate's scores come first."""
    from churn_platform.modelling import plots

    candidate, champion = compared.candidate, compared.champion
    curves = {
        f"version {s.version}{'' if s.version == candidate.version else ' (champion)'}": s.probabilities for s in scores
    }
    return {
        "decision": compared.decision,
        "promote": compared.promote,
        "version": candidate.version,
        "auc": candidate.metrics["auc"],
        **({"champion_auc": champion.metrics["auc"]} if champion else {}),
        "metrics": _metrics(compared),
        "segments": markdown_table(
            ("segment", "customers", "churned", "AUC", "the champion's"),
            ((f"{s.column} {s.value}", s.rows, s.positives, s.auc, s.champion_auc) for s in compared.segments),
        ),
        "looks": compared.looks,
        "holdout_customers": compared.rows,
        "churned": compared.positives,
        "roc": picture(plots.roc_curves(labels, curves)),
        "lift": picture(plots.lift_curves(labels, curves)),
    }


def _metrics(compared: Evaluation) -> dg.MarkdownMetadataValue:
    candidate, champion = compared.candidate, compared.champion
    columns = ["metric", f"version {candidate.version}"] + (
        [f"version {champion.version}, champion"] if champion else []
    )
    rows = [[name, value] + ([champion.metrics[name]] if champion else []) for name, value in candidate.metrics.items()]
    return markdown_table(columns, rows)


def asked(run: dg.DagsterRun) -> str:
    """How a run came to ask the gate, for the receipt. Dagster's own job for single assets has no name to show."""
    if sensor := run.tags.get("dagster/sensor_name"):
        return f"asked by the sensor {sensor}"
    return "asked in the Dagster UI" if run.job_name.startswith("__") else f"in job {run.job_name}"


def promotion(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Settle the month's evaluation; since a run of this asset alone bypasses the checks, the gate is asked again."""
    month = month_of(context)
    with told_plainly():
        compared = home.lake.require_document(EVALUATION, month, Evaluation, "churn retrain")
        receipt = promotions.settle(
            home.registry, home.ledger, compared, by=f"the gate, {asked(context.run)}", run_id=context.run.run_id
        )
    context.log.info(receipt.why)
    return dg.MaterializeResult(
        metadata={
            "verdict": receipt.verdict,
            "reason": receipt.why,
            "version": receipt.version,
            "champion": receipt.champion or 0,
            "receipt": home.ledger.place(receipt.number),
            "evaluation": dg.MetadataValue.json(msgspec.to_builtins(compared)),
            **card(context, home, receipt.version, receipt.champion_before),
        }
    )


def assets(
    months: dg.MonthlyPartitionsDefinition, contract: Contract, warn_only: Collection[str] = ()
) -> list[dg.AssetsDefinition]:
    """The decision assets, for these months; the gates of `warn_only` stop no promotion."""
    return [
        dg.asset(
            name=EVALUATION,
            deps=[CANDIDATE, FEATURES, asset_key(contract.labels)],
            partitions_def=months,
            group_name=GROUP,
            pool=TRAINING,
            kinds={"scikitlearn", "onnx"},
            owners=OWNERS,
            check_specs=[
                dg.AssetCheckSpec(
                    gate.name,
                    asset=EVALUATION,
                    blocking=gate.blocks(warn_only),
                    partitions_def=months,
                    description=gate.question,
                )
                for gate in GATES
            ],
            description="Candidate and champion scored on the same unseen customers, and what the gates answer.",
        )(evaluation),
        dg.asset(
            name=PROMOTION,
            deps=[EVALUATION],
            partitions_def=months,
            group_name=GROUP,
            kinds={"mlflow"},
            owners=OWNERS,
            description="Asks the gate again; moves the champion alias if the candidate passes; writes the receipt.",
        )(promotion),
    ]
