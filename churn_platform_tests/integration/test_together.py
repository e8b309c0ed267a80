"""Together: a month's tables are taken in all at once or not at all, and labels that are withdrawn leave no trace."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.home import Home
from churn_platform.intake import deliveries
from churn_platform.intake.landing import judge_labels, judge_state
from churn_platform.months import Month
from churn_platform.tables import taking
from churn_platform.tables.names import FROM_LABELS, landed
from churn_platform.tables.training_set import matured
from churn_platform_tests import homes, processes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.daemon import Daemon
from churn_platform_tests.streamflow import LABELS, STREAMFLOW, USERS

FIRST = homes.MONTHS[0]
WITHDRAWN = "the labels of 2024-01 were withdrawn: its drop had some, and no longer has any"


@pytest.fixture
def platform(begun: Platform, tmp_path: Path) -> Platform:
    """One closed month of 60 customers, with labels."""
    settings = begun.copy(tmp_path).settings.model_copy(update={"settle_seconds": 0.0})
    shutil.rmtree(settings.drops / "month_001")
    return Platform(settings)


@pytest.fixture
def drop(platform: Platform) -> Path:
    """That month's drop."""
    return platform.settings.drops / "month_000"


def without_user(drop: Path, line: int, *files: str) -> str:
    """Take the customer on this line of the users out of these files."""
    key = homes.rows_of(drop / "users.csv")[line - 1][0]
    for name in files or [path.name for path in drop.iterdir()]:
        homes.edit(drop / name, lambda rows: [row for row in rows if row[0] != key])
    return key


def test_a_correction_that_stops_at_its_labels_changes_no_table(platform: Platform, drop: Path) -> None:
    before = homes.contents(platform.settings.lake, "**/*.*")
    without_user(drop, 5)
    homes.edit(drop / "labels.csv", lambda rows: [["user_id", "churned"], *rows[1:]])
    result = platform.churn("close", "2024-01")
    assert result.exit_code == 1
    assert "labels.csv: table labels lacks column churn_label" in result.stderr
    assert homes.contents(platform.settings.lake, "**/*.*") == before


def test_a_correction_that_removes_a_customer_removes_the_label_too(platform: Platform, drop: Path) -> None:
    key = without_user(drop, 5)
    assert platform.churn("close", "2024-01").exit_code == 0
    lake = platform.home.lake
    for name in ("landed/users", "landed/labels", "features"):
        assert lake.rows(name, FIRST) == 59
        assert key not in set(lake.frame(name, FIRST)["user_id"])


@pytest.mark.parametrize("table", ["landed/users", "quarantine/support_agg_90d", "landed/labels"])
def test_whichever_table_cannot_be_written_none_is_changed(
    table: str, platform: Platform, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = homes.contents(platform.settings.lake, "**/*.*")
    lake = platform.home.lake
    without_user(drop, 5)
    state = judge_state(lake.engine, drop, STREAMFLOW, 0, FIRST.as_of)
    labels = judge_labels(lake.engine, drop, LABELS, 0, FIRST.as_of, state[0])
    assert labels is not None
    write = type(state[0].kept).to_parquet

    def full(self: object, path: Path, **options: object) -> None:
        if path.parent == lake.root / table:
            raise OSError(28, "No space left on device")
        write(self, path, **options)

    monkeypatch.setattr(type(state[0].kept), "to_parquet", full)
    with pytest.raises(OSError, match="No space left"):
        taking.take_in(lake, FIRST, [*state, labels], deliveries.contents(drop, STREAMFLOW, FIRST))
    assert homes.contents(platform.settings.lake, "**/*.*") == before


def test_killed_between_two_tables_the_month_is_taken_in_again(platform: Platform, drop: Path) -> None:
    key = without_user(drop, 5)
    killed = processes.run(
        (processes.close_and_die, (platform.settings, FIRST, "landed/usage_agg_30d/2024-01.parquet"))
    )
    assert killed == [processes.KILLED]
    lake = platform.home.lake
    assert key not in set(lake.frame("landed/users", FIRST)["user_id"])
    assert deliveries.taken(lake, FIRST, deliveries.STATE) is None
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(platform.settings, instance)
        request = daemon.requested("drops")
        assert (request.job_name, request.partition_key) == ("month_close", "2024-01")
        assert daemon.launch(request).success
        assert daemon.skipped("drops") == "every delivered month is closed"
    assert {lake.rows(name, FIRST) for name in ("landed/users", "landed/usage_agg_30d", "landed/labels")} == {59}


@pytest.mark.parametrize("only", ["labels", "usage_agg_30d"])
def test_one_table_of_a_corrected_drop_is_not_taken_in_alone(only: str, platform: Platform, drop: Path) -> None:
    before = homes.contents(platform.settings.lake, "**/*.*")
    without_user(drop, 5)
    result = materialize(platform, only)
    assert not result.success
    [failed] = [event for event in result.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert told.description == (
        "2024-01: the drop is not the one that was landed, and its tables are taken in together: "
        "close 2024-01 (churn close 2024-01)"
    )
    assert homes.contents(platform.settings.lake, "**/*.*") == before


def test_one_table_of_the_same_drop_can_be_landed_again(platform: Platform) -> None:
    before = homes.contents(platform.settings.lake, "**/*.*")
    assert materialize(platform, "usage_agg_30d").success
    assert homes.contents(platform.settings.lake, "**/*.*") == before


def test_labels_that_come_alone_may_tell_of_a_customer_who_was_taken_out(
    platform: Platform, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURN_QUARANTINE_TOLERANCE", "0.02")  # 1 of 60
    platform = Platform(platform.settings.model_copy(update={"quarantine_tolerance": 0.02}))
    homes.put(drop / "users.csv", 2, "user_gender", "diverse")
    homes.put(drop / "labels.csv", 9, "user_id", "0000-ZZZZZ")  # nobody knows this one
    labels = (drop / "labels.csv").rename(drop.parent / "labels.csv")
    assert platform.churn("close", "2024-01").exit_code == 0
    labels.rename(drop / "labels.csv")
    assert materialize(platform, "labels").success
    assert len(platform.home.lake.frame(landed("labels"), FIRST)) == 58


def test_labels_of_strangers_stop_where_the_customers_would_be_accepted_no_more(
    platform: Platform, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURN_QUARANTINE_TOLERANCE", "0.02")
    settings = platform.settings.model_copy(update={"quarantine_tolerance": 0.02})  # 1 of 60
    homes.put(drop / "users.csv", 2, "user_gender", "diverse")
    labels = (drop / "labels.csv").rename(drop.parent / "labels.csv")
    assert Platform(settings).churn("close", "2024-01").exit_code == 0
    platform = Platform(settings.model_copy(update={"quarantine_tolerance": 0.0}))
    homes.edit(labels, lambda rows: [rows[0], *([f"{n:04d}-ZZZZZ", row[1]] for n, row in enumerate(rows[1:]))])
    labels.rename(drop / "labels.csv")
    assert not materialize(platform, "labels").success
    assert not platform.home.lake.has(landed("labels"), FIRST)


def materialize(platform: Platform, table: str) -> dg.ExecuteInProcessResult:
    from churn_platform_tests import made_assets

    return dg.materialize(
        [made_assets.LAND_DROP],
        selection=[dg.AssetKey(["landed", table])],
        partition_key="2024-01",
        resources={"home": platform.home},
        instance=dg.DagsterInstance.ephemeral(),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )


# Labels that are withdrawn


def is_unlabelled(home: Home, month: Month) -> bool:
    """Whether nothing in the lake is about the month's labels."""
    lake = home.lake
    kept = [name for name in (*FROM_LABELS, landed(LABELS.name)) for end in (".parquet", ".json")
            if lake.path(name, month, end).exists()]  # fmt: skip
    return kept == [] and month not in matured(lake)


def test_withdrawn_labels_are_withdrawn_by_a_close_and_said(platform: Platform, drop: Path) -> None:
    labels = (drop / "labels.csv").rename(drop.parent / "labels.csv")
    closed = platform.churn("close", "2024-01")
    assert closed.exit_code == 0
    assert closed.stdout == f"2024-01 closed: 60 active customers, no labels yet\n{WITHDRAWN}\n"
    assert is_unlabelled(platform.home, FIRST)
    assert WITHDRAWN in " ".join(platform.churn("status").stdout.split())
    retrained = platform.churn("retrain", "2024-01")
    assert retrained.exit_code == 1
    assert "2024-01 has no labels yet; no month has matured yet" in retrained.stderr
    assert "no labels yet" in platform.churn("status").stdout
    labels.rename(drop / "labels.csv")
    assert "labels delivered but not taken in" in platform.churn("status").stdout
    assert platform.churn("close", "2024-01").stdout == "2024-01 closed: 60 active customers, labels landed\n"
    assert WITHDRAWN not in " ".join(platform.churn("status").stdout.split())


def test_the_sensor_withdraws_labels_and_what_was_concluded_from_them(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    settings = platform.settings.model_copy(update={"settle_seconds": 0.0})
    assert not is_unlabelled(platform.home, homes.MONTHS[1])
    receipts = platform.home.ledger.all()
    (settings.drops / "month_001" / "labels.csv").unlink()
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(settings, instance)
        request = daemon.requested("drops")
        assert (request.job_name, request.partition_key) == ("month_mature", "2024-02")
        assert request.tags["churn/cause"] == "labels of 2024-02 were withdrawn"
        assert daemon.launch(request).success
        assert daemon.skipped("drops") == "every delivered month is closed"
    assert is_unlabelled(platform.home, homes.MONTHS[1])
    assert matured(platform.home.lake) == (homes.MONTHS[0], homes.MONTHS[2])
    assert platform.home.ledger.all() == receipts  # what was decided stays on record


def test_labels_are_not_withdrawn_while_a_file_looks_like_them(platform: Platform, drop: Path) -> None:
    before = homes.contents(platform.settings.lake)
    (drop / "labels.csv").rename(drop / "Labels.CSV")
    said = "Labels.CSV' is passed over: the file of labels is named labels.csv"
    way_out = "rename it, or take it away to withdraw the labels of 2024-01"
    refused = platform.churn("close", "2024-01")
    assert refused.exit_code == 1
    assert said in refused.stderr and way_out in refused.stderr
    with dg.DagsterInstance.ephemeral() as instance:
        told = Daemon(platform.settings, instance).skipped("drops")
        assert said in told and way_out in told
    assert homes.contents(platform.settings.lake) == before


def test_a_withdrawal_that_was_cut_short_is_finished(platform: Platform, drop: Path) -> None:
    (drop / "labels.csv").unlink()
    platform.home.lake.remove(landed(LABELS.name), FIRST)  # as if it had been killed after that
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(platform.settings, instance)
        assert daemon.launch(daemon.requested("drops")).success
        assert daemon.skipped("drops") == "every delivered month is closed"
    assert is_unlabelled(platform.home, FIRST)
    assert deliveries.notes(platform.home.lake, FIRST) == (WITHDRAWN,)


def test_users_alone_are_left_when_nothing_was_ever_labelled(tmp_path: Path) -> None:
    (homes.deliver(tmp_path / "drops") / "labels.csv").unlink()
    platform = Platform(homes.settings_of(tmp_path))
    assert platform.churn("close", "2024-01").stdout == "2024-01 closed: 60 active customers, no labels yet\n"
    assert deliveries.notes(platform.home.lake, FIRST) == ()
    assert platform.home.lake.has(landed(USERS.name), FIRST)
