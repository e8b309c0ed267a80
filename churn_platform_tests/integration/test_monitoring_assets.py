"""The monitoring and delivery assets in their runs: with and without a champion, labels or a reference."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from churn_platform.assets.landed import asset_key
from churn_platform.champion import promotion
from churn_platform.definitions import build_defs
from churn_platform.home import Home
from churn_platform.intake import deliveries
from churn_platform.modelling.encoding import encode_frame
from churn_platform.monitoring import performance, status
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.tables import delivery
from churn_platform.tables.names import CHURN_SCORES, DRIFT_REPORT, FEATURES, REALISED, TARGET_DRIFT, landed
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.streamflow import LABELS

JANUARY, FEBRUARY, MARCH = (Month(2024, number) for number in (1, 2, 3))
SCORED = {"churn_scores", "expected_performance", "realised_performance"}
JUDGED = {"drift_report", "target_drift"}


@pytest.fixture
def platform(trained: Platform, tmp_path: Path) -> Platform:
    return trained.copy(tmp_path)


def close(settings: Settings, month: Month, instance: dg.DagsterInstance) -> dict[str, dict[str, Any]]:
    """Close a month, and return the metadata of what was materialized, by asset."""
    job = build_defs(settings).resolve_job_def("month_close")
    result = job.execute_in_process(instance=instance, partition_key=str(month), raise_on_error=False)
    assert result.success
    return metadata(result)


def materialize(settings: Settings, month: Month, instance: dg.DagsterInstance, *assets: Any) -> dict[str, Any]:
    """Materialize only these assets."""
    definitions = build_defs(settings)
    keys = [dg.AssetKey(asset) if isinstance(asset, str) else asset for asset in assets]
    job = definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance, partition_key=str(month), asset_selection=keys, raise_on_error=False
    )
    assert result.success
    return metadata(result)


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    return {
        event.asset_key.to_user_string(): {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def without_champion(settings: Settings, tmp_path: Path) -> Settings:
    """The same platform with a registry of its own, which is empty, and no models left of the other."""
    shutil.rmtree(settings.mlflow_home / "artifacts", ignore_errors=True)
    return settings.model_copy(
        update={"mlflow_tracking_uri": SecretStr(f"sqlite:///{tmp_path / 'registry' / 'mlflow.db'}")}
    )


def published(settings: Settings) -> str:
    with sqlite3.connect(settings.online_store.removeprefix("sqlite:///")) as connection:
        return str(connection.execute("SELECT month FROM online_month").fetchone()[0])


def test_without_a_champion_a_month_closes_green_and_unscored(
    closed: Platform, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = closed.copy(tmp_path).settings
    made = close(without_champion(settings, tmp_path), MARCH, instance)
    # Each has a result: Dagster counts a month of a backfill that has none as failed.
    assert {name: made[name].keys() for name in SCORED} == {name: {"reason"} for name in SCORED}
    assert not Home(settings).lake.has(CHURN_SCORES, MARCH)
    assert JUDGED | {"online_features"} <= made.keys()
    assert made["drift_report"]["reference"] == "2024-02"  # no champion: the month before


def test_the_first_month_says_that_it_has_no_reference(
    closed: Platform, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = closed.copy(tmp_path).settings
    for name in (DRIFT_REPORT, TARGET_DRIFT):
        assert not Home(settings).lake.path(name, JANUARY, ".json").exists()
    made = materialize(settings, JANUARY, instance, *JUDGED)
    assert {name: made[name].keys() for name in JUDGED} == {name: {"reason"} for name in JUDGED}


def test_with_a_champion_a_month_is_scored_and_judged(platform: Platform, instance: dg.DagsterInstance) -> None:
    settings, home = platform.settings, platform.home
    champion = home.registry.champion()
    assert champion is not None
    made = close(settings, MARCH, instance)
    assert SCORED | JUDGED | {"online_features"} <= made.keys()

    scores, features = home.lake.frame("churn_scores", MARCH), home.lake.frame(FEATURES, MARCH)
    bundle = home.registry.bundle(champion)
    expected = bundle.score(encode_frame(bundle.schema, features))
    assert list(scores["user_id"]) == list(features["user_id"]) == sorted(features["user_id"])
    assert scores["probability"].to_numpy() == pytest.approx(expected, abs=1e-6)
    assert scores["value_at_risk"].to_numpy() == pytest.approx(expected * features["monthly_fee"], abs=0.01)
    assert (scores["model_version"] == champion.number).all()
    assert scores.groupby("decile")["probability"].min().is_monotonic_decreasing
    assert scores["reasons"].str.match("(Raises|Lowers) the risk: ").all()
    assert made["churn_scores"]["no_change_since_last_month"] == "2024-02 has no scores"
    assert (settings.exports / "churn_scores_2024-03.csv").read_text().count("\n") == len(scores) + 1

    found = home.lake.document(REALISED, MARCH, performance.Realised)
    assert found is not None and not found.holdout_only
    assert found.expected.promised_auc == champion.auc
    assert made["realised_performance"]["realised_auc"] == found.auc
    reference = [month for month in bundle.manifest.months if month < "2024-03"]
    assert made["drift_report"]["reference"] == ", ".join(reference)
    assert made["drift_report"]["drift_share"] == status.of_month(home, MARCH, None).drift_share
    assert (settings.reports / made["drift_report"]["report"].partition("/reports/")[2]).is_file()
    assert made["drift_report"]["columns"].count("\n") > 20


def test_closing_again_gives_the_same_scores(platform: Platform, instance: dg.DagsterInstance) -> None:
    first = materialize(platform.settings, MARCH, instance, "churn_scores")["churn_scores"]
    path = platform.home.lake.path("churn_scores", MARCH)
    written = path.stat().st_mtime_ns
    again = materialize(platform.settings, MARCH, instance, "churn_scores")["churn_scores"]
    assert again["sha256"] == first["sha256"] and path.stat().st_mtime_ns > written


def test_without_labels_a_month_is_judged_once_they_land(platform: Platform, instance: dg.DagsterInstance) -> None:
    settings, lake = platform.settings, platform.home.lake
    labels = settings.drops / "month_002" / "labels.csv"
    held_back = labels.rename(settings.drops / "labels_of_march.csv")
    lake.path(landed(LABELS.name), MARCH).unlink()
    deliveries.forget(lake, MARCH, deliveries.LATER)  # as if they had never been there
    made = close(settings, MARCH, instance)
    assert {"churn_scores", "expected_performance", "drift_report", "online_features"} <= made.keys()
    assert not {"landed/labels", "realised_performance", "target_drift"} & made.keys()

    held_back.rename(labels)
    made = materialize(settings, MARCH, instance, asset_key(LABELS), "target_drift", "realised_performance")
    assert made.keys() == {"landed/labels", "target_drift", "realised_performance"}
    realised = lake.document(REALISED, MARCH, performance.Realised)
    assert realised is not None and realised.auc is not None
    expected = made["realised_performance"]["expected_auc"]
    assert expected == pytest.approx(realised.expected.expected_auc)


def test_labels_of_a_month_that_was_never_scored_leave_nothing_to_judge(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    made = materialize(platform.settings, JANUARY, instance, "realised_performance", "expected_performance")
    assert made == {
        "expected_performance": {"reason": "2024-01 has no scores, so there is nothing to judge: no version served it"},
        "realised_performance": {"reason": "2024-01 has no scores, and the champion cannot be measured on it"},
    }


def test_a_version_trained_on_the_month_is_judged_on_the_holdout(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    home = platform.home
    champion = home.registry.champion()
    assert champion is not None
    delivery.score(home.lake, champion.month, home.registry.bundle(champion), champion.number, 100)
    made = materialize(platform.settings, champion.month, instance, "realised_performance")["realised_performance"]
    assert made["customers_counted"].startswith("only holdout customers")
    # Its AUC on the holdout of its own month is exactly what was promised.
    assert made["realised_auc"] == pytest.approx(champion.auc, abs=1e-4)


def test_what_the_champion_would_have_reached_stands_beside_what_was_served(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    home = platform.home
    before = home.registry.champion()
    assert before is not None
    close(platform.settings, MARCH, instance)
    served = home.lake.document(REALISED, MARCH, performance.Realised)
    assert served is not None and served.served
    promotion.appoint(home.registry, home.ledger, 3, promotion.Request("ann", "a test", "run", "this"))
    assert performance.of_version(home.lake, MARCH, 3) is None
    made = materialize(platform.settings, MARCH, instance, "realised_performance")["realised_performance"]
    assert home.lake.document(REALISED, MARCH, performance.Realised) == served
    assert made["version"] == before.number and made["realised_auc"] == served.auc
    reached = performance.of_version(home.lake, MARCH, 3)
    assert reached is not None and not reached.served and not reached.holdout_only and reached.auc is not None
    assert made["champion"] == f"version 3, which did not serve 2024-03, would have reached an AUC of {reached.auc:.4f}"
    shown = platform.churn("status").stdout
    assert f"on 2024-03: AUC {reached.auc:.4f}, had it served that month" in " ".join(shown.split())

    delivery.score(home.lake, MARCH, home.registry.bundle(home.registry.version(3)), 3, 100)
    materialize(platform.settings, MARCH, instance, "realised_performance")
    now = performance.of_version(home.lake, MARCH, 3)
    assert now is not None and now.served and now.auc == reached.auc


def test_status_measures_a_champion_that_nobody_has_measured(platform: Platform) -> None:
    champion = status.read(platform.home, date.today()).champion
    assert champion is not None and champion.reached is not None
    assert (champion.reached.month, champion.reached.served) == ("2024-03", False)
    assert champion.reached.auc is not None


def test_what_was_served_is_not_rewritten(platform: Platform, instance: dg.DagsterInstance) -> None:
    settings, home = platform.settings, platform.home
    champion = home.registry.champion()
    assert champion is not None
    delivery.score(home.lake, FEBRUARY, home.registry.bundle(champion), 99, 100)
    before = home.lake.sha256("churn_scores", FEBRUARY)
    made = materialize(settings, FEBRUARY, instance, "churn_scores")["churn_scores"]
    assert home.lake.sha256("churn_scores", FEBRUARY) == made["sha256"] == before
    assert made["model_version"] == 99 and "not rewritten" in made["kept"]


def test_scores_are_stale_after_a_promotion_and_for_the_newest_month_alone(platform: Platform, tmp_path: Path) -> None:
    home = platform.home
    champion = home.registry.champion()
    assert champion is not None
    assert homes.scores_are_stale(home, MARCH)  # never scored
    delivery.score(home.lake, MARCH, home.registry.bundle(champion), champion.number, 100)
    assert not homes.scores_are_stale(home, MARCH)
    delivery.score(home.lake, MARCH, home.registry.bundle(champion), champion.number + 1, 100)
    assert homes.scores_are_stale(home, MARCH)
    assert not homes.scores_are_stale(home, FEBRUARY)
    assert not homes.scores_are_stale(Home(without_champion(platform.settings, tmp_path)), MARCH)


def test_corrected_features_make_scores_stale(platform: Platform) -> None:
    home = platform.home
    champion = home.registry.champion()
    assert champion is not None
    delivery.score(home.lake, MARCH, home.registry.bundle(champion), champion.number, 100)
    home.lake.write(FEATURES, MARCH, home.lake.read(FEATURES, FEBRUARY))
    assert homes.scores_are_stale(home, MARCH)


def test_the_online_store_keeps_the_newest_month(platform: Platform, instance: dg.DagsterInstance) -> None:
    settings = platform.settings
    made = materialize(settings, MARCH, instance, "online_features")["online_features"]
    assert made["published"] is True and made["dagster/row_count"] > 0
    made = materialize(settings, JANUARY, instance, "online_features")["online_features"]
    assert made["published"] is False and "holds 2024-03" in made["reason"]
    assert published(settings) == "2024-03"
    assert materialize(settings, MARCH, instance, "online_features")["online_features"]["published"] is True


def test_an_online_store_that_is_none_fails_the_run_in_one_sentence(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    settings = platform.settings
    Path(settings.online_store.removeprefix("sqlite:///")).write_bytes(b"no database at all, but bytes" * 99)
    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        partition_key="2024-03",
        asset_selection=[dg.AssetKey("online_features")],
        raise_on_error=False,
    )
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert "is not an online store" in (failure.user_failure_data.description or "")


def test_the_previous_month_may_be_the_reference(platform: Platform, instance: dg.DagsterInstance) -> None:
    settings = platform.settings.model_copy(update={"drift_reference": "previous"})
    assert materialize(settings, MARCH, instance, "drift_report")["drift_report"]["reference"] == "2024-02"
