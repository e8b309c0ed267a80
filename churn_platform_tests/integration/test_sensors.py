"""Sensors, tick by tick: each is asked again after a crash at every step, and has no memory."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from churn_platform.automation import history, triggers, watch
from churn_platform.automation.instance import open_instance
from churn_platform.champion import promotion
from churn_platform.champion.promotion import Request
from churn_platform.champion.registry import CHAMPION, MODEL
from churn_platform.definitions import build_defs
from churn_platform.home import Home
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.monitoring import performance, status
from churn_platform.monitoring.drift import ColumnDrift, Drift
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.tables.names import DRIFT_REPORT, EVALUATION, FEATURES, landed
from churn_platform.tables.training_set import matured
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.daemon import Daemon

JANUARY, FEBRUARY, MARCH = homes.MONTHS
Status = dg.DagsterRunStatus


def copy_of(platform: Platform, folder: Path) -> Settings:
    """A platform's copy, whose drops are taken in at once."""
    return platform.copy(folder).settings.model_copy(update={"settle_seconds": 0.0})


@pytest.fixture
def empty(tmp_path: Path, instance: dg.DagsterInstance) -> Daemon:
    """A platform to which nothing has been delivered."""
    return Daemon(homes.settings_of(tmp_path, settle_seconds=0), instance)


@pytest.fixture
def daemon(closed: Platform, tmp_path: Path, instance: dg.DagsterInstance) -> Daemon:
    """A platform with three closed months whose runs are forgotten, and no champion."""
    return Daemon(copy_of(closed, tmp_path), instance)


@pytest.fixture
def served(trained: Platform, tmp_path: Path, instance: dg.DagsterInstance) -> Daemon:
    """The same with a champion, trained for January; February was trained for too."""
    daemon = Daemon(copy_of(trained, tmp_path), instance)
    champion = Home(daemon.settings).registry.champion()
    assert champion is not None
    return daemon


def month_of(request: dg.RunRequest) -> tuple[str | None, str | None]:
    return request.job_name, request.partition_key


def test_all_of_them_run_by_default() -> None:
    sensors = {sensor.name: sensor for sensor in build_defs().get_repository_def().sensor_defs}
    assert set(sensors) == {"drops", "retraining", "refreshing", "alerts", "promotions", "erasures"}
    assert {sensor.default_status for sensor in sensors.values()} == {dg.DefaultSensorStatus.RUNNING}


# Drops


def test_a_drop_is_waited_for_until_it_is_whole(empty: Daemon, company: Path) -> None:
    assert "has no drop yet: expected folders such as month_000" in empty.skipped("drops")
    drop = empty.settings.drops / "month_000"
    drop.mkdir(parents=True)
    for name in ("users", "subscriptions", "usage_agg_30d"):
        shutil.copy(company / "month_000" / f"{name}.csv", drop)
    assert empty.skipped("drops") == ("2024-01 waits: month_000 has no file yet for payments_agg_90d, support_agg_90d")
    for name in ("payments_agg_90d", "support_agg_90d"):
        shutil.copy(company / "month_000" / f"{name}.csv", drop)
    (drop / "labels.csv.part").write_text("user_id")
    assert empty.skipped("drops") == "2024-01 waits: month_000 is still being written: labels.csv.part"
    (drop / "labels.csv.part").unlink()
    assert month_of(empty.requested("drops")) == ("month_close", "2024-01")


def test_what_is_named_nearly_right_is_told_with_the_name_that_is_wanted(daemon: Daemon) -> None:
    (daemon.settings.drops / "month_3").mkdir()
    (daemon.settings.drops / "month_002" / "labels.csv").rename(daemon.settings.drops / "month_002" / "Labels.CSV")
    told = daemon.skipped("drops")
    assert "'month_3' is passed over: the drop of 2024-04 is named month_003 or 2024-04" in told
    assert "'month_002/Labels.CSV' is passed over: the file of labels is named labels.csv or labels.csv.gz or " in told


def test_without_any_drop_it_is_told_too(empty: Daemon) -> None:
    (empty.settings.drops / "Month-0").mkdir(parents=True)
    assert empty.skipped("drops").endswith(
        "'Month-0' is passed over: the drop of 2024-01 is named month_000 or 2024-01"
    )


def test_two_folders_of_one_month_are_told(empty: Daemon, company: Path) -> None:
    for name in ("month_000", "2024-01"):
        shutil.copytree(company / "month_000", empty.settings.drops / name)
    assert "are both drops of this month; keep one of them" in empty.skipped("drops")


def test_months_close_in_order_and_a_daemon_may_die_between_any_two_steps(
    empty: Daemon, instance: dg.DagsterInstance
) -> None:
    homes.deliver(empty.settings.drops, months=2)
    request = empty.requested("drops")
    assert month_of(request) == ("month_close", "2024-01")
    # Died after the request: nothing was started, and the next daemon requests exactly the same.
    assert Daemon(empty.settings, instance).requested("drops").run_key == request.run_key
    # Died after the run was made: the run is there, and may be queued or running.
    run = empty.pretend(request, Status.NOT_STARTED)
    assert "month_close of 2024-01 is under way" in Daemon(empty.settings, instance).skipped("drops")
    # The machine died with it: Dagster fails the run and will retry it.
    instance.delete_run(run.run_id)
    run = empty.pretend(request, Status.FAILURE, dagster__will_retry="true")
    assert "month_close of 2024-01 is under way" in Daemon(empty.settings, instance).skipped("drops")
    instance.delete_run(run.run_id)
    # Died after the run's end: the lake shows it.
    assert empty.launch(request).success
    second = Daemon(empty.settings, instance).requested("drops")
    assert month_of(second) == ("month_close", "2024-02")
    assert empty.launch(second).success
    assert empty.skipped("drops") == "every delivered month is closed"


def test_a_run_that_died_half_way_is_done_again_by_its_retry(empty: Daemon, instance: dg.DagsterInstance) -> None:
    homes.deliver(empty.settings.drops)
    request = empty.requested("drops")
    assert empty.launch(request).success
    Home(empty.settings).lake.path(FEATURES, JANUARY).unlink()  # as if it had been killed before the features
    (run,) = instance.get_runs()
    instance.delete_run(run.run_id)
    empty.pretend(request, Status.FAILURE, dagster__will_retry="true", dagster__auto_retry_run_id="the retry")
    retried = empty.pretend(request, Status.STARTED)
    assert "is under way" in empty.skipped("drops")
    instance.delete_run(retried.run_id)


@pytest.mark.parametrize(
    ("status", "tags"),
    [(Status.FAILURE, {"dagster__will_retry": "true"}), (Status.NOT_STARTED, {}), (Status.FAILURE, {})],
)
def test_a_run_that_nobody_will_begin_or_retry_any_more_is_done_again(
    empty: Daemon, status: Status, tags: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    homes.deliver(empty.settings.drops)
    request = empty.requested("drops")
    empty.pretend(request, status, **tags)
    assert "is tried again within" in empty.skipped("drops") or "is under way" in empty.skipped("drops")
    monkeypatch.setattr(history, "PATIENCE", -1.0)
    monkeypatch.setattr(triggers, "PAUSES", (0.0,))
    again = empty.requested("drops")
    assert (again.run_key != request.run_key, again.tags["churn/attempt"]) == (True, "2")


def test_what_a_person_has_cancelled_stays_so(empty: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    homes.deliver(empty.settings.drops)
    empty.pretend(empty.requested("drops"), Status.CANCELED)
    monkeypatch.setattr(triggers, "PAUSES", (0.0,))
    assert empty.skipped("drops") == "2024-01 stopped because month_close failed: the run was cancelled"


def test_a_corrected_drop_closes_its_month_and_the_later_ones_again(daemon: Daemon) -> None:
    assert daemon.skipped("drops") == "every delivered month is closed"
    before = homes.contents(daemon.settings.lake, "features/*.parquet")
    homes.put(daemon.settings.drops / "month_000" / "subscriptions.csv", 2, "monthly_fee", "99.5")
    closings = []
    while isinstance(request := daemon.tick("drops"), dg.RunRequest):
        closings.append((request.partition_key, request.tags["churn/cause"]))
        assert daemon.launch(request).success
    assert closings[0] == ("2024-01", "the drop of 2024-01 has changed")
    assert [month for month, _ in closings] == ["2024-01", "2024-02", "2024-03"]
    after = homes.contents(daemon.settings.lake, "features/*.parquet")
    assert after["features/2024-01.parquet"] != before["features/2024-01.parquet"]


def test_a_broken_drop_stops_with_its_reason_until_it_is_corrected(empty: Daemon) -> None:
    homes.deliver(empty.settings.drops, months=2)
    users = empty.settings.drops / "month_000" / "users.csv"
    sound = users.read_bytes()
    users.write_bytes(sound.replace(b"user_is_senior", b"user_is_old"))
    request = empty.requested("drops")
    assert not empty.launch(request).success
    reason = empty.skipped("drops")
    assert reason.startswith("2024-01 stopped because month_close failed: users")
    assert "user_is_senior" in reason
    assert reason.endswith("2024-02 waits for 2024-01 to be closed")
    assert empty.skipped("drops") == reason
    users.write_bytes(sound)
    again = empty.requested("drops")
    assert month_of(again) == ("month_close", "2024-01")
    assert again.run_key != request.run_key


def test_labels_that_come_later_mature_their_month(empty: Daemon) -> None:
    drop = homes.deliver(empty.settings.drops)
    labels = drop / "labels.csv"
    late = labels.read_bytes()
    labels.unlink()
    assert empty.launch(empty.requested("drops")).success
    lake = Home(empty.settings).lake
    assert empty.skipped("drops") == "every delivered month is closed"
    assert matured(lake) == ()

    closed = homes.contents(empty.settings.lake)
    labels.write_bytes(late.replace(b"churn_label", b"label"))
    request = empty.requested("drops")
    assert month_of(request) == ("month_mature", "2024-01")
    assert request.tags["churn/cause"] == "labels of 2024-01 have arrived"
    assert not empty.launch(request).success
    assert "2024-01 stopped because month_mature failed: labels" in empty.skipped("drops")

    labels.write_bytes(late)
    assert empty.launch(empty.requested("drops")).success
    assert matured(lake) == (JANUARY,)
    assert empty.skipped("drops") == "every delivered month is closed"
    assert closed.items() <= homes.contents(empty.settings.lake).items()

    homes.edit(labels, lambda rows: rows[:-1])
    assert empty.requested("drops").tags["churn/cause"] == "labels of 2024-01 were corrected"


def test_the_safety_net_is_off_and_asks_the_same(tmp_path: Path) -> None:
    settings = homes.settings_of(tmp_path, settle_seconds=0)
    monthly_closing = build_defs(settings).resolve_schedule_def("monthly_closing")
    assert monthly_closing.default_status == dg.DefaultScheduleStatus.STOPPED
    homes.deliver(settings.drops)
    with open_instance(settings) as instance:  # a schedule's context does not accept an ephemeral one

        def asked() -> object:
            with dg.build_schedule_context(instance=instance, resources={"home": Home(settings)}) as context:
                return monthly_closing(context)

        request = asked()
        assert isinstance(request, dg.RunRequest)
        assert month_of(request) == ("month_close", "2024-01")
        assert Daemon(settings, instance).launch(request).success
        skipped = asked()
        assert isinstance(skipped, dg.SkipReason)
        assert skipped.skip_message == "every delivered month is closed"


# Retraining


def report(settings: Settings, month: Month, *columns: str) -> None:
    """A drift report that finds these columns drifted, of 40."""
    names = [*columns, *(f"quiet {n}" for n in range(40 - len(columns)))]
    found = tuple(ColumnDrift(name, "wasserstein", 1.0, 0.1, name in columns) for name in names)
    drift = Drift(str(month), ("2024-01",), len(columns) / 40, columns, found, {}, 500, 500, 500, 500)
    Home(settings).lake.write_document(DRIFT_REPORT, month, drift)


def test_without_a_champion_the_newest_matured_month_is_trained_for_once(daemon: Daemon) -> None:
    request = daemon.requested("retraining")
    assert month_of(request) == ("retrain", "2024-03")
    assert request.tags["churn/cause"] == "RETRAINING_TRIGGERED no champion yet"
    assert daemon.launch(request).success
    assert "has already run for this" in daemon.skipped("retraining")  # the promotion has not happened yet
    assert daemon.launch(daemon.requested("promotions")).success
    assert daemon.skipped("retraining") == "nothing calls for a retraining"


def test_drift_retrains_once_and_says_so(served: Daemon, instance: dg.DagsterInstance) -> None:
    report(served.settings, MARCH, "monthly_fee", "fee_to_past_fee")
    request = served.requested("retraining")
    assert month_of(request) == ("retrain", "2024-03")
    assert request.tags["churn/cause"] == "RETRAINING_TRIGGERED drift_share=0.05 >= 0.02 month=2024-03"
    assert Daemon(served.settings, instance).requested("retraining").run_key == request.run_key
    run = served.pretend(request, Status.STARTED)
    assert "retrain of 2024-03 is under way" in Daemon(served.settings, instance).skipped("retraining")
    instance.delete_run(run.run_id)
    assert served.launch(request).success
    before = len(instance.get_runs())
    for _ in range(3):
        served.skipped("retraining")
    assert len(instance.get_runs()) == before


def test_a_failed_retraining_is_tried_again(served: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    report(served.settings, MARCH, "monthly_fee", "fee_to_past_fee")
    keys = set()
    for attempt in range(1, 5):
        monkeypatch.setattr(triggers, "PAUSES", (0.0,))
        request = served.requested("retraining")
        assert request.tags["churn/attempt"] == str(attempt)
        keys.add(request.run_key)
        served.pretend(request, Status.FAILURE)
        monkeypatch.undo()
        assert "is tried again within" in served.skipped("retraining")
    assert len(keys) == 4


def test_a_registry_that_does_not_answer_is_told(served: Daemon, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    broken = tmp_path / "not a database"
    broken.write_text("nothing")
    settings = served.settings.model_copy(update={"mlflow_tracking_uri": SecretStr(f"sqlite:///{broken}")})
    assert f"{broken} is damaged: file is not a database" in Daemon(settings, instance).skipped("retraining")


def test_labels_that_are_not_there_cannot_be_trained_on(daemon: Daemon) -> None:
    lake = Home(daemon.settings).lake
    for month in homes.MONTHS:
        lake.path(landed("labels"), month).unlink()
    assert daemon.skipped("retraining") == "no champion yet, but no month has labels yet"


# Promotions


def test_a_won_evaluation_is_promoted_whatever_happened_to_its_first_run(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert daemon.skipped("promotions") == "every evaluation that was won is settled"
    assert daemon.launch(daemon.requested("retraining")).success
    request = daemon.requested("promotions")
    assert month_of(request) == ("promote", "2024-03")
    assert request.tags["churn/cause"] == "version 1 won the evaluation of 2024-03"
    running = daemon.pretend(dg.RunRequest("other", job_name="retrain", partition_key="2024-03"), Status.STARTED)
    assert "retrain of 2024-03 is under way" in daemon.skipped("promotions")
    daemon.instance.delete_run(running.run_id)

    daemon.pretend(request, Status.FAILURE)  # MLflow was away for a minute
    assert "promote of 2024-03 failed and is tried again within" in daemon.skipped("promotions")
    monkeypatch.setattr(triggers, "PAUSES", (0.0,))
    check = dg.AssetCheckEvaluation(dg.AssetKey("evaluation"), "delta_rule", passed=False, partition="2024-03")
    with dg.DagsterInstance.ephemeral() as held:  # a person reports a failed check, to hold the promotion back
        held.report_runless_asset_event(check)
        assert "a check blocks its promotion: delta_rule" in Daemon(daemon.settings, held).skipped("promotions")
    with dg.DagsterInstance.ephemeral() as lost:  # Dagster's storage, with every cursor and run in it
        assert month_of(Daemon(daemon.settings, lost).requested("promotions")) == ("promote", "2024-03")
    later = daemon.settings.model_copy(update={"last_month": "2024-09"})  # partitions' end has moved
    moved = Daemon(later, daemon.instance)
    assert moved.launch(moved.requested("promotions")).success
    (receipt,) = Home(daemon.settings).ledger.all()
    assert (receipt.verdict, receipt.decided_by) == ("promoted", "the gate, asked by the sensor promotions")
    assert moved.skipped("promotions") == "every evaluation that was won is settled"


def test_an_evaluation_that_was_lost_is_not_settled(served: Daemon) -> None:
    home = Home(served.settings)
    lost = [m for m in homes.MONTHS if (found := home.lake.document(EVALUATION, m, Evaluation)) and not found.promote]
    assert lost
    assert served.skipped("promotions") == "every evaluation that was won is settled"


# Refreshing


def test_a_promotion_refreshes_the_newest_months_scores_once(served: Daemon) -> None:
    request = served.requested("refreshing")
    assert month_of(request) == ("refresh", "2024-03")
    champion = Home(served.settings).registry.champion()
    assert champion is not None
    assert request.tags["churn/cause"] == f"scores of 2024-03 are not version {champion.number}'s"
    assert served.launch(request).success
    assert month_of(served.requested("refreshing"))[0] != "refresh"


def test_a_champion_is_measured_on_every_month_where_it_can_be(served: Daemon) -> None:
    home = Home(served.settings)
    champion = home.registry.champion()
    assert champion is not None
    after = [month for month in homes.MONTHS if month > champion.month]
    assert served.launch(served.requested("refreshing")).success
    for month in reversed(after):
        assert performance.of_version(home.lake, month, champion.number) is None
        request = served.requested("refreshing")
        assert month_of(request) == ("measure", str(month))
        assert served.launch(request).success
        found = performance.of_version(home.lake, month, champion.number)
        assert found is not None
        assert found.served is (month == MARCH)  # only the newest month was delivered
    assert served.skipped("refreshing") == "the scores of the newest month are the champion's"


def test_after_a_rollback_performance_is_of_whoever_serves(served: Daemon) -> None:
    home = Home(served.settings)
    good = home.registry.champion()
    assert good is not None
    decided = Request("ann", "a test", "run", "first")
    promotion.appoint(home.registry, home.ledger, 3, decided)
    while not isinstance(found := served.tick("refreshing"), str):
        assert served.launch(found).success
    assert (facts := watch.model_facts(home).realised) is not None
    assert facts.version == 3
    promotion.roll_back(home.registry, home.ledger, dataclasses.replace(decided, id="second"))
    assert watch.model_facts(home).realised is None
    while not isinstance(found := served.tick("refreshing"), str):
        assert served.launch(found).success
    assert (facts := watch.model_facts(home).realised) is not None
    assert (facts.version, facts.month) == (good.number, MARCH)
    shown = status.read(home, homes.MONTHS[2].as_of).champion
    assert shown is not None and shown.reached is not None
    assert (shown.version, shown.reached.month, shown.reached.auc) == (good.number, "2024-03", facts.auc)


def test_nothing_is_started_while_paused_or_while_the_champion_is_in_doubt(served: Daemon) -> None:
    home = Home(served.settings)
    champion = home.registry.champion()
    assert champion is not None
    other = next(home.registry.version(number) for number in (1, 3) if number != champion.number)
    home.registry.client.set_registered_model_alias(MODEL, CHAMPION, str(other.number))
    assert served.skipped("retraining").startswith(f"the registry serves version {other.number}, but receipt ")
    promotion.pause(home.registry, home.ledger, Request("ann", "an incident", "run", "first"))
    for sensor in ("retraining", "promotions"):
        assert served.skipped(sensor).startswith("promotions and retrainings are paused since ")
    promotion.resume(home.registry, home.ledger, Request("ann", "over", "run", "second"))
    assert not served.skipped("promotions").startswith("promotions and")


def test_without_a_champion_nothing_is_refreshed(daemon: Daemon) -> None:
    assert daemon.skipped("refreshing") == "there is no champion yet"
