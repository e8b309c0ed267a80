"""Kept: archived drops, an earlier first month, lost files, and drops too early or too late hold nothing up."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.lake import Lake
from churn_platform.local.first_start import first_start
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.tables.names import FEATURES
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.daemon import Daemon
from churn_platform_tests.streamflow import STREAMFLOW

JANUARY, FEBRUARY, _ = homes.MONTHS
NOW = Month.of(date.today())


def at_once(settings: Settings) -> Settings:
    """The settings of a platform that takes in drops as soon as it sees them."""
    return settings.model_copy(update={"settle_seconds": 0.0})


@pytest.fixture
def company(begun: Platform, tmp_path: Path) -> Settings:
    """A company of 60 customers with two months delivered, and the first one closed."""
    return at_once(begun.copy(tmp_path).settings)


@pytest.fixture
def whole(closed: Platform, tmp_path: Path) -> Settings:
    """A company with three months delivered and closed."""
    return at_once(closed.copy(tmp_path).settings)


def live(daemon: Daemon) -> list[str]:
    """Close whatever the sensor asks for, and return why."""
    causes = []
    while isinstance(request := daemon.tick("drops"), dg.RunRequest):
        causes.append(f"{request.job_name} {request.tags['churn/cause']}")
        assert daemon.launch(request).success
    return causes


def archive(settings: Settings, *names: str) -> None:
    for name in names:
        shutil.move(settings.drops / name, settings.drops.parent / "archive" / name)


# Drops that were moved to an archive


def test_a_closed_month_whose_drop_is_gone_holds_nobody_up(company: Settings, instance: dg.DagsterInstance) -> None:
    archive(company, "month_000")
    daemon = Daemon(company, instance)
    assert live(daemon) == ["month_close 2024-02 was delivered"]
    archive(company, "month_001")
    assert daemon.skipped("drops") == "every delivered month is closed"
    homes.deliver(company.drops.parent / "more", months=3)
    shutil.move(company.drops.parent / "more" / "month_002", company.drops)
    assert Platform(company).churn("close", "--all").stdout.count("closed: ") == 3


def test_a_correction_reaches_a_month_whose_drop_is_gone(
    closed: Platform, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    platform = closed.copy(tmp_path)
    settings = at_once(platform.settings)
    homes.edit(
        settings.drops / "month_000" / "usage_agg_30d.csv",
        lambda rows: [rows[0], *([row[0], "321.5", *row[2:]] for row in rows[1:])],
    )
    undisturbed = Lake(tmp_path / "undisturbed", STREAMFLOW)
    for number, month in enumerate(homes.MONTHS):
        homes.land(undisturbed, month, settings.drops / f"month_{number:03d}")
        homes.close(undisturbed, month)
    archive(settings, "month_001", "month_002")
    before = homes.contents(settings.lake, "landed/**/2024-02.parquet")
    causes = live(Daemon(settings, instance))
    assert causes[0] == "month_close the drop of 2024-01 has changed"
    assert "month_close 2024-02 is stale" in causes
    wanted, found = homes.contents(undisturbed.root), homes.contents(settings.lake)
    assert {name: found[name] for name in wanted} == wanted
    assert homes.contents(settings.lake, "landed/**/2024-02.parquet") == before


def test_what_is_lost_of_a_month_whose_drop_is_gone_is_told(whole: Settings, instance: dg.DagsterInstance) -> None:
    daemon = Daemon(whole, instance)
    archive(whole, "month_000")
    (whole.lake / "landed" / "labels" / "2024-01.parquet").unlink()
    assert daemon.skipped("drops") == (
        f"2024-01 is not whole in the lake (landed/labels), and its drop is not in {whole.drops}: put the drop back"
    )
    archive(whole, "month_001")
    shutil.move(whole.drops.parent / "archive" / "month_000", whole.drops)
    assert live(daemon) == ["month_mature files of 2024-01 are lost and made again: landed/labels"]


# An earlier first month


def with_month_names(settings: Settings) -> Settings:
    """The company's drops named by their months, and a platform that begins with the second."""
    for number, month in enumerate(homes.MONTHS):
        if (drop := settings.drops / f"month_{number:03d}").exists():
            drop.rename(settings.drops / str(month))
    return settings.model_copy(update={"first_month": "2024-02"})


@pytest.mark.parametrize("by", ["sensor", "hand"])
def test_a_month_before_the_first_reaches_the_months_after_it(
    by: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    homes.deliver(tmp_path / "drops", months=2)
    later = with_month_names(homes.settings_of(tmp_path, settle_seconds=0))
    live(Daemon(later, instance))
    lake = Platform(later).home.lake
    assert lake.months(FEATURES) == (FEBRUARY,)
    assert lake.frame(FEATURES, FEBRUARY)["watch_hours_30d_change_1m"].notna().sum() == 0
    from_january = homes.settings_of(tmp_path, settle_seconds=0)
    if by == "sensor":
        causes = live(Daemon(from_january, instance))
        assert causes == ["month_close 2024-01 was delivered", "month_close 2024-02 is stale"]
    else:
        assert Platform(from_january).churn("close", "2024-01").stdout.count("closed: ") == 2
    assert lake.frame(FEATURES, FEBRUARY)["watch_hours_30d_change_1m"].notna().sum() > 0
    undisturbed = Lake(tmp_path / "undisturbed", STREAMFLOW)
    for month in (JANUARY, FEBRUARY):
        homes.land(undisturbed, month, tmp_path / "drops" / str(month))
        homes.close(undisturbed, month)
    wanted, found = homes.contents(undisturbed.root), homes.contents(lake.root)
    assert {name: found[name] for name in wanted} == wanted


# Lost files


@pytest.mark.parametrize(
    ("lost", "job"),
    [
        ("landed/labels", "month_mature"),
        ("quarantine/labels", "month_mature"),
        ("quarantine/users", "month_close"),
        ("landed/usage_agg_30d", "month_close"),
    ],
)
def test_a_lost_file_is_made_again(lost: str, job: str, whole: Settings, instance: dg.DagsterInstance) -> None:
    daemon = Daemon(whole, instance)
    before = homes.contents(whole.lake)
    (whole.lake / lost / "2024-01.parquet").unlink()
    assert live(daemon) == [f"{job} files of 2024-01 are lost and made again: {lost}"]
    assert homes.contents(whole.lake) == before
    assert daemon.skipped("drops") == "every delivered month is closed"


# Too early, too late


def test_a_drop_before_the_first_month_and_one_that_is_not_over_are_left_in_the_same_words(
    drop: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = homes.settings_of(tmp_path, settle_seconds=0)
    (drop / "labels.csv").unlink()  # nothing is trained
    shutil.copytree(drop, settings.drops / "2023-06")
    shutil.copytree(drop, settings.drops / str(NOW))
    early = "2023-06 is before the first month, 2024-01 (CHURN_FIRST_MONTH), and is passed over"
    late = f"{NOW} ends on {NOW.as_of}: it can be closed after that day"
    told = list(first_start(settings))
    assert told[:2] == [early, late]
    assert [line for line in told if "closed:" in line] == ["2024-01 closed: 60 active customers, no labels yet"]
    closed = Platform(settings).churn("close", "--all")
    assert closed.exit_code == 0, closed.output
    assert closed.stderr.splitlines()[-2:] == [early, late]
    assert Daemon(settings, instance).skipped("drops") == f"{late}; {early}"
