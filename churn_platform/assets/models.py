"""The training assets: the rows to learn from, and the candidate that has learned from them."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import msgspec

from churn_platform.assets.carding import card
from churn_platform.assets.faults import told_plainly
from churn_platform.assets.landed import asset_key
from churn_platform.assets.metadata import OWNERS, markdown_table, of_table
from churn_platform.assets.partitions import TRAINING_WINDOW, month_of
from churn_platform.champion import recipes
from churn_platform.champion.registry import Version
from churn_platform.contracts import Contract
from churn_platform.files.scratch import scratch
from churn_platform.home import Home
from churn_platform.lake import Written
from churn_platform.modelling.recipe import KeptRows, Recipe, libraries
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.tables import proofs
from churn_platform.tables import training_set as training_sets
from churn_platform.tables.features import schema
from churn_platform.tables.names import CANDIDATE, FEATURES, HOLDOUT_ROWS, TRAINING_ROWS, TRAINING_SET
from churn_platform.tables.training_set import CandidateVersion, TrainingSet

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from churn_platform.modelling.training import Training

GROUP = "models"
TRAINING = "training"
"""The pool of assets that train or judge a candidate: two such runs at once would fight over the alias `challenger`."""


def training_set(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult:
    """Collect the rows, name their file by its content, and refuse what cannot be trained on."""
    month, lake = month_of(context), home.lake
    key, label = home.contract.key, home.contract.label
    with told_plainly():
        months = training_sets.months_to_learn_from(lake, month)
        kept = proofs.keep(lake, TRAINING_ROWS, training_sets.training_rows(lake, months))
        written = Written(lake.addressed(TRAINING_ROWS, kept.sha256), kept.rows, kept.sha256)
        rows = lake.read_file(written.path)
        keys = rows.select(key, "month", label).to_pandas()
        training_sets.refuse_too_few(
            month, keys.loc[keys["month"] == str(month), label], home.settings.min_training_customers
        )
    made = TrainingSet(
        month=str(month),
        sha256=written.sha256,
        rows=written.rows,
        customers=int(keys[key].nunique()),
        churned=int(keys[label].sum()),
        months=training_sets.sources(lake, months, keys),
        root=kept.root,
    )
    lake.write_document(TRAINING_SET, month, made)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(written.sha256),
        metadata={
            **of_table(written),
            "customers": made.customers,
            "churn_share": made.churned / made.rows,
            "months": markdown_table(
                ("month", "rows", "features", "labels"),
                ((m, s.rows, s.features_sha256[:12], s.labels_sha256[:12]) for m, s in made.months.items()),
            ),
        },
    )


def candidate(
    context: dg.AssetExecutionContext, home: dg.ResourceParam[Home], mlflow: dg.ResourceParam[Any]
) -> dg.MaterializeResult:
    """Train, measure on the holdout, export, register."""
    from churn_platform.modelling.encoding import encode_frame, learned
    from churn_platform.modelling.export import score, to_onnx, write_bundle
    from churn_platform.modelling.metrics import measure
    from churn_platform.modelling.training import train

    month, lake = month_of(context), home.lake
    with told_plainly():
        source = lake.require_document(TRAINING_SET, month, TrainingSet, "churn retrain")
        recipe = _recipe(home, month, source)
        rows = lake.read_file(lake.addressed(TRAINING_ROWS, recipe.training.sha256)).to_pandas()
        holdout = lake.read_file(lake.addressed(HOLDOUT_ROWS, recipe.holdout.sha256)).to_pandas()
        features = learned(schema(home.contract), rows)
        training = train(rows, recipe, features, recipe.estimator, recipe.seed, recipe.windows)
        model = to_onnx(training.pipeline, len(features))
        probabilities = score(model, encode_frame(features, holdout))
        metrics = measure(holdout[recipe.label].to_numpy(), probabilities, training.threshold)

    with told_plainly(), scratch(home.registry.scratch) as folder:
        bundle = folder / "bundle"
        sample = rows[rows["month"] == str(month)]
        digest = write_bundle(bundle, training, model, features, sample, metrics, str(month))
        version = _log(mlflow, home, training, source, recipe, metrics, bundle, digest)
    lake.write_document(CANDIDATE, month, CandidateVersion(version.number))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(digest),
        metadata={
            "version": version.number,
            **metrics,
            "window_months": training.window,
            "windows_tried": markdown_table(("window", "validation AUC"), training.scores.items()),
            "threshold": training.threshold,
            "training_rows": training.rows,
            "training_seconds": training.seconds,
            "mlflow_run": version.run_id,
            "bundle_sha256": digest,
            **card(context, home, version.number),
        },
    )


def _recipe(home: Home, month: Month, source: TrainingSet) -> Recipe:
    """How the month's candidate is trained. What it learns from and is measured on is kept."""
    from churn_platform.modelling.training import WINDOWS

    lake = home.lake
    kept = KeptRows(source.sha256, source.rows, source.root)
    return Recipe(
        month=source.month,
        training=kept if kept.root else proofs.prove(lake, TRAINING_ROWS, kept.sha256),
        holdout=proofs.keep(lake, HOLDOUT_ROWS, training_sets.holdout_rows(lake, month)),
        months=source.months,
        key=home.contract.key,
        label=home.contract.label,
        estimator=home.settings.estimator,
        seed=home.settings.seed,
        windows=WINDOWS,
        libraries=libraries(),
    )


def _log(
    mlflow: Any,
    home: Home,
    training: "Training",
    source: TrainingSet,
    recipe: Recipe,
    metrics: dict[str, float],
    bundle: Path,
    digest: str,
) -> Version:
    """Fill the MLflow run of this Dagster run, and register its model with the bundle as a version."""
    import sklearn

    from churn_platform.modelling import estimators

    with home.registry.reachable():
        mlflow.log_params(
            {
                "estimator": training.estimator,
                "seed": recipe.seed,
                **{k: v for k, v in training.pipeline[-1].get_params().items() if isinstance(v, str | int | float)},
                "month": source.month,
                "window_months": training.window,
                "months": ",".join(training.months),
                "training_rows": training.rows,
                "training_customers": training.customers,
                "training_set_sha256": recipe.training.sha256,
                "training_set_root": recipe.training.root,
                "threshold": training.threshold,
            }
        )
        mlflow.log_metrics({**metrics, "validation_auc": training.auc, "training_seconds": training.seconds})
        mlflow.log_artifact(str(bundle / "feature_schema.json"))
        mlflow.log_dict(msgspec.to_builtins(source), "training_set.json")
        recipes.log(mlflow, recipe)
        mlflow.set_tags({"git_commit": _git_commit(home.settings), "month": source.month})
        import mlflow.sklearn as flavour

        model = flavour.log_model(
            training.pipeline,
            name="model",
            signature=_signature(len(schema(home.contract))),
            # Working them out from the imports would take seconds.
            pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
            skops_trusted_types=list(estimators.TRUSTED_TYPES),
        )
        run_id = mlflow.active_run().info.run_id
        version = home.registry.register(run_id, model.model_id, bundle, digest)
        mlflow.end_run()
    return version


def _signature(features: int) -> "ModelSignature":
    """What the pipeline takes, as `encode_frame` gives it, and the classes that it answers with."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, features), "features")]),
        outputs=Schema([TensorSpec(np.dtype(np.bool_), (-1,))]),
    )


def _git_commit(settings: Settings) -> str:
    """The commit of the running code: as set, or the checkout's; `unknown` where there is neither."""
    if settings.git_commit:
        return settings.git_commit
    asked = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def assets(months: dg.MonthlyPartitionsDefinition, contract: Contract) -> list[dg.AssetsDefinition]:
    """The training assets, for these months."""
    return [
        dg.asset(
            name=TRAINING_SET,
            deps=[
                dg.AssetDep(FEATURES, partition_mapping=TRAINING_WINDOW),
                dg.AssetDep(asset_key(contract.labels), partition_mapping=TRAINING_WINDOW),
            ],
            partitions_def=months,
            group_name=GROUP,
            pool=TRAINING,
            kinds={"duckdb", "parquet"},
            owners=OWNERS,
            description="The labelled rows of the matured months up to this one, without the holdout customers.",
        )(training_set),
        dg.asset(
            name=CANDIDATE,
            deps=[TRAINING_SET],
            partitions_def=months,
            group_name=GROUP,
            pool=TRAINING,
            kinds={"scikitlearn", "mlflow", "onnx"},
            owners=OWNERS,
            description="A version of the model trained for this month, with its ONNX bundle: MLflow's challenger.",
        )(candidate),
    ]
