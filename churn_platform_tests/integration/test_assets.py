"""Assets: each is materialized by itself on a temporary lake, writes what it promises and shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import mlflow
import pandas as pd
import pytest

from churn_platform.assets import decisions, tracking
from churn_platform.champion.registry import CHALLENGER, MODEL
from churn_platform.files import sha256_of
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.training import TrainingError
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.tables.features import LAST_SEEN
from churn_platform.tables.names import FEATURES, landed, quarantine
from churn_platform_tests import homes, made_assets
from churn_platform_tests.conftest import Platform
from churn_platform_tests.streamflow import BY_NAME, SCHEMA, SNAPSHOTS, STATE_TABLES

FIRST, SECOND, THIRD = homes.MONTHS
SNAPSHOT_ASSETS = {asset.key.to_user_string(): asset for asset in made_assets.SNAPSHOTS}


def materialize(
    assets: Sequence[Any],
    platform: Platform,
    month: Month,
    *,
    settings: Settings | None = None,
    fails: bool = False,
    only: str | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize on a temporary instance, all of these assets or `only` one of their tables."""
    home = platform.home if settings is None else Platform(settings).home
    result = dg.materialize(
        assets,
        partition_key=str(month),
        resources={"home": home, "mlflow": tracking.mlflow},
        instance=dg.DagsterInstance.ephemeral(),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
        selection=[dg.AssetKey(only.split("/"))] if only else None,
    )
    assert result.success is not fails
    return result


def metadata(result: dg.ExecuteInProcessResult, key: str) -> dict[str, Any]:
    wanted = dg.AssetKey(key.split("/"))
    [event] = [event for event in result.get_asset_materialization_events() if event.asset_key == wanted]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def failure(result: dg.ExecuteInProcessResult) -> str:
    [event] = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None, event.step_failure_data.error
    assert data.description is not None
    return data.description


@pytest.fixture
def platform(closed: Platform, tmp_path: Path) -> Platform:
    """Three closed months, free to be changed."""
    return closed.copy(tmp_path)


# Landing


def test_landing_a_drop(platform: Platform) -> None:
    before = homes.contents(platform.settings.lake, "landed/**/*.parquet")
    result = materialize([made_assets.LAND_DROP], platform, FIRST)
    assert homes.contents(platform.settings.lake, "landed/**/*.parquet") == before
    for table in STATE_TABLES:
        shown = metadata(result, landed(table.name))
        written = platform.home.lake.path(landed(table.name), FIRST)
        assert shown["dagster/row_count"] == 500
        assert shown["quarantined_rows"] == 0
        assert shown["sha256"] == sha256_of(written)
        assert shown["preview"].splitlines()[0] == f"| {' | '.join(column.name for column in table.columns)} |"
        assert len(shown["preview"].splitlines()) == 7
        assert Path(shown["path"]) == written
        assert Path(shown["file"]) == platform.settings.drops / "month_000" / f"{table.name}.csv"
        page = platform.settings.reports / shown["data_docs"].partition("/reports/")[2]
        assert page.is_relative_to(platform.settings.data_docs)
        assert f"{table.name} of 2024-01" in page.read_text()


def test_broken_rows_are_shown(platform: Platform) -> None:
    homes.put(platform.settings.drops / "month_000" / "usage_agg_30d.csv", 4, "skips_7d", "-1")
    result = materialize([made_assets.LAND_DROP], platform, FIRST)
    shown = metadata(result, "landed/usage_agg_30d")
    assert (shown["dagster/row_count"], shown["quarantined_rows"]) == (499, 1)
    assert "| 4 | skips_7d | -1 | is outside 0 to 100000 |" in shown["broken"]
    assert platform.home.lake.rows(quarantine("usage_agg_30d"), FIRST) == 1


def test_landing_labels(platform: Platform) -> None:
    shown = metadata(materialize([made_assets.LAND_DROP], platform, FIRST, only=landed("labels")), "landed/labels")
    assert shown["dagster/row_count"] == 500


def test_labels_that_have_not_arrived(drop: Path) -> None:
    (drop / "labels.csv").unlink()
    platform = Platform(homes.settings_of(drop.parents[1]))
    result = materialize([made_assets.LAND_DROP], platform, FIRST)
    assert len(result.get_asset_materialization_events()) == len(STATE_TABLES)
    result = materialize([made_assets.LAND_DROP], platform, FIRST, only=landed("labels"))
    assert result.get_asset_materialization_events() == []
    assert result.get_asset_check_evaluations() == []


def test_a_month_that_is_not_delivered_yet_does_nothing(platform: Platform) -> None:
    before = homes.contents(platform.settings.lake)
    everything = [made_assets.LAND_DROP, *made_assets.SNAPSHOTS, made_assets.FEATURES]
    result = materialize(everything, platform, THIRD + 1)
    assert result.get_asset_materialization_events() == []
    assert homes.contents(platform.settings.lake) == before


# Snapshots and features


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_snapshot(name: str, platform: Platform) -> None:
    lake = platform.home.lake
    written = lake.path(name, SECOND)
    wanted = written.read_bytes()
    written.unlink()
    shown = metadata(materialize([SNAPSHOT_ASSETS[name]], platform, SECOND), name)
    assert written.read_bytes() == wanted
    frame = pd.read_parquet(written)
    assert shown["dagster/row_count"] == len(frame) > 500
    assert shown["delivered_this_month"] == int((frame[LAST_SEEN] == "2024-02").sum())
    assert shown["as_of"] == "2024-02-29"
    assert len(shown["preview"].splitlines()) == 7
    assert shown["sha256"] == sha256_of(written)


def test_features(platform: Platform) -> None:
    written = platform.home.lake.path(FEATURES, THIRD)
    wanted = written.read_bytes()
    written.unlink()
    shown = metadata(materialize([made_assets.FEATURES], platform, THIRD), FEATURES)
    assert written.read_bytes() == wanted
    assert shown["dagster/row_count"] == len(pd.read_parquet(written))
    assert shown["features"] == len(SCHEMA)
    assert len(shown["preview"].splitlines()) == 7


def test_the_ui_is_told_the_columns() -> None:
    for asset in [made_assets.LAND_DROP, *made_assets.SNAPSHOTS, made_assets.FEATURES]:
        for spec in asset.specs:
            columns = spec.metadata["dagster/column_schema"].columns
            assert all(column.description for column in columns)
            table = BY_NAME.get(spec.key.path[-1])
            if table:
                assert [column.name for column in columns] == [column.name for column in table.columns]


@pytest.mark.parametrize(
    ("missing", "asset", "wanted"),
    [
        ("landed/users", "users_snapshots", "landed/users of 2024-02 is not there: close 2024-02 first"),
        ("users_snapshots", "users_snapshots", "users_snapshots of 2024-01 is not there: close 2024-01 first"),
    ],
)
def test_without_what_comes_before_the_month_wanted_is_named(
    missing: str, asset: str, wanted: str, platform: Platform
) -> None:
    platform.home.lake.path(missing, SECOND if missing.startswith("landed") else FIRST).unlink()
    result = materialize([SNAPSHOT_ASSETS[asset]], platform, SECOND, fails=True)
    assert failure(result).startswith(wanted)


# Training


def test_the_training_set(platform: Platform) -> None:
    shown = metadata(materialize([made_assets.TRAINING_SET], platform, SECOND), "training_set")
    rows = pd.read_parquet(shown["path"])
    assert shown["dagster/row_count"] == len(rows)
    assert shown["customers"] == rows["user_id"].nunique()
    assert shown["churn_share"] == pytest.approx(rows["churn_label"].mean())
    assert Path(shown["path"]).stem == shown["sha256"]
    assert "| 2024-01 |" in shown["months"]
    assert "| 2024-02 |" in shown["months"]


@pytest.mark.parametrize(
    ("labels", "settings", "wanted"),
    [
        (None, {}, "2024-03 has no labels yet; the newest month that can be trained for is 2024-02"),
        ("False", {}, "0 of them churned: training needs some who did and some who did not"),
        ("as they are", {"min_training_customers": 10_000}, "CHURN_MIN_TRAINING_CUSTOMERS asks for at least 10000"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    labels: str | None, settings: dict[str, int], wanted: str, platform: Platform
) -> None:
    path = platform.home.lake.path(landed("labels"), THIRD)
    if labels == "False":
        frame = pd.read_parquet(path).assign(churn_label=False)
        frame.to_parquet(path, index=False)
    elif labels is None:
        path.unlink()
    result = materialize(
        [made_assets.TRAINING_SET], platform, THIRD, settings=platform.settings.model_copy(update=settings), fails=True
    )
    assert wanted in failure(result)
    assert not platform.home.lake.path("training_set", THIRD, ".json").exists()


def test_a_candidate_and_its_evaluation(platform: Platform) -> None:
    assets = [made_assets.TRAINING_SET, made_assets.CANDIDATE, made_assets.EVALUATION]
    result = materialize(assets, platform, FIRST)
    shown, home = metadata(result, "candidate"), platform.home
    assert shown["version"] == 1
    assert shown["window_months"] == 1
    version = home.registry.version(1)
    assert version.month == FIRST
    assert version.auc == shown["auc"]
    assert version.bundle_sha256 == shown["bundle_sha256"]
    bundle = home.registry.bundle(version)
    assert [feature.name for feature in bundle.schema] == [feature.name for feature in SCHEMA]
    client = home.registry.client
    assert int(client.get_model_version_by_alias(MODEL, CHALLENGER).version) == 1
    assert home.registry.champion() is None  # nothing is promoted on the way

    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert {
        "auc", "average_precision", "f1", "accuracy", "brier", "log_loss", "lift_at_10", "training_seconds"
    } <= set(run.data.metrics)  # fmt: skip
    assert run.data.tags["dagster_run_id"] == result.run_id
    assert run.data.tags["git_commit"]
    assert run.info.run_name == "2024-01: asked for by hand"
    assert f"/runs/{result.run_id})" in run.data.tags["mlflow.note.content"]
    assert client.get_experiment(run.info.experiment_id).tags["mlflow.experimentKind"] == "custom_model_development"
    (model,) = client.search_logged_models([run.info.experiment_id])
    signature = mlflow.models.get_model_info(model.model_uri).signature
    assert signature.inputs.inputs[0].shape == (-1, len(SCHEMA))
    assert run.data.params["estimator"] == "blend"
    assert {"feature_schema.json", "training_set.json"} <= {file.path for file in client.list_artifacts(version.run_id)}
    source = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/training_set.json")
    assert source["months"]["2024-01"]["features_sha256"] == sha256_of(home.lake.path(FEATURES, FIRST))
    assert source["month"] == "2024-01"

    compared = metadata(result, "evaluation")
    assert compared["version"] == 1
    assert compared["auc"] == shown["auc"]
    assert "champion_auc" not in compared
    assert "there is no champion to beat" in compared["decision"]
    assert "| auc |" in compared["metrics"]
    assert "user_gender Female" in compared["segments"]
    assert "It was not compared with a champion yet" in shown["card"]
    assert "Nobody has decided yet. The gates say: " in compared["card"]
    assert "| user_gender: Female | " in compared["card"]
    for picture in ("roc", "lift"):
        assert compared[picture].startswith("![](data:image/png;base64,iVBOR")


def test_evaluation_against_a_champion_shows_both(trained: Platform) -> None:
    found = trained.home.lake.document("evaluation", SECOND, Evaluation)
    assert found is not None and found.champion is not None
    assert found.champion.version in (1, 2)
    assert set(found.candidate.metrics) == set(found.champion.metrics)
    assert found.rows > 50


def test_a_failed_training_leaves_a_failed_mlflow_run(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TrainingError("nothing to learn")

    monkeypatch.setattr("churn_platform.modelling.training.train", broken)
    result = materialize([made_assets.TRAINING_SET, made_assets.CANDIDATE], platform, FIRST, fails=True)
    assert failure(result) == "nothing to learn"
    client = platform.home.registry.client
    experiment = client.get_experiment_by_name(MODEL)
    assert experiment is not None
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
    assert client.search_model_versions(f"name='{MODEL}'") == []


def test_a_promotion_shows_its_receipt(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    receipts = platform.home.ledger.all()
    assert receipts[0].verdict == "promoted"
    result = materialize([made_assets.PROMOTION], platform, FIRST)  # already settled: the card alone is made again
    shown = metadata(result, "promotion")
    assert shown["verdict"] == "promoted"
    assert shown["version"] == 1
    assert "- receipt 1, " in shown["card"]
    assert shown["receipt"] == platform.home.ledger.place(1)
    assert platform.home.ledger.all() == receipts


@pytest.mark.parametrize(
    ("job", "tags", "told"),
    [
        ("promote", {}, "in job promote"),
        ("__ASSET_JOB", {"dagster/sensor_name": "promotions"}, "asked by the sensor promotions"),
        ("__ASSET_JOB", {}, "asked in the Dagster UI"),
    ],
)
def test_a_receipt_says_how_the_gate_was_asked(job: str, tags: dict[str, str], told: str) -> None:
    assert decisions.asked(dg.DagsterRun(job_name=job, tags=tags)) == told


def test_mlflow_shows_the_newest_receipt_of_a_version(trained: Platform) -> None:
    newest = {receipt.version: f"{receipt.number}: {receipt.title}" for receipt in trained.home.ledger.all()}
    versions = trained.home.registry.client.search_model_versions(f"name='{MODEL}'")
    assert {int(found.version): found.tags.get("receipt") for found in versions} == {1: None, 2: None, 3: None} | newest
    assert newest[1] == "1: version 1 promoted"
