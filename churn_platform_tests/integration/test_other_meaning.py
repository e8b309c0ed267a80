"""Files that are taken to mean something else than before: a close stops in one sentence, or takes them in anew."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.assets import landing
from churn_platform.assets.partitions import months_of
from churn_platform.automation import watch
from churn_platform.contracts import declared
from churn_platform.day import living_on
from churn_platform.tables.names import FEATURES, landed
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform, done, quick_platform
from churn_platform_tests.trigger_cases import waits

JANUARY, FEBRUARY = homes.MONTHS[:2]
SWAP = ('true_values = ["ja"]\nfalse_values = ["nein"]', 'true_values = ["nein"]\nfalse_values = ["ja"]')


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A bank of which January is closed, and both months are delivered."""
    platform = quick_platform(tmp_path, foreign.BANK)
    for month in (JANUARY, FEBRUARY):
        foreign.bank(platform.settings.drops / str(month))
    done(platform, "close", "2024-01")
    return platform


def declare(platform: Platform, before: str, after: str) -> None:
    company = platform.settings.company
    assert company is not None
    assert before in company.read_text()
    company.write_text(company.read_text().replace(before, after))
    declared.cache_clear()  # a command is a process of its own


def test_a_key_of_another_kind_stops_before_anything_is_kept(platform: Platform) -> None:
    declare(platform, 'kind = "integer"\n', 'kind = "text"\n')
    told = '2024-01 was closed with CustomerId of kind "integer", and others are other customers: declare that kind'
    assert told in done(platform, "company", "check", exit_code=1)
    assert told in done(platform, "close", "2024-02", exit_code=1)
    assert told in done(platform, "retrain", "2024-01", exit_code=1)
    assert not platform.home.lake.has(landed("clients"), FEBRUARY)
    declare(platform, 'kind = "text"\n', 'kind = "integer"\n')
    done(platform, "close", "2024-02")


def test_true_and_false_that_have_changed_places_are_taken_in_anew(platform: Platform) -> None:
    before = platform.home.lake.frame(FEATURES, JANUARY)["Active"]
    declare(platform, *SWAP)
    told = "2024-01 has Active, made otherwise than is declared now, so no version is trained on it: close it again"
    assert told in done(platform, "company", "check", exit_code=1)
    drop = platform.settings.drops / "2024-01"
    drop.rename(kept := platform.settings.home.parent / "kept")
    told = "2024-01 was taken in as Active was declared before, and its drop is gone: put the drop back"
    assert told in done(platform, "close", "2024-01", exit_code=1)
    shutil.move(kept, drop)
    done(platform, "close", "2024-01")
    assert (platform.home.lake.frame(FEATURES, JANUARY)["Active"] == ~before).all()
    done(platform, "company", "check")


def test_a_column_is_unknown_outside_of_its_months_where_they_are_closed_again_without_a_drop(tmp_path: Path) -> None:
    platform = quick_platform(tmp_path, f'{foreign.BANK}[features.history]\ncolumns = ["Balance"]\n')
    lake, drops = platform.home.lake, platform.settings.drops
    for month in (JANUARY, FEBRUARY):
        foreign.bank(drops / str(month))
        done(platform, "close", str(month))
    assert lake.frame(FEATURES, FEBRUARY)["Balance_change_1m"].notna().any()
    shutil.rmtree(drops)
    drops.mkdir()
    declare(platform, 'Balance = { kind = "number"', 'Balance = { since = "2024-02", kind = "number"')
    assert "2024-01 has Balance, made otherwise" in done(platform, "company", "check", exit_code=1)
    for month in (JANUARY, FEBRUARY):
        done(platform, "close", str(month))
    assert lake.frame(FEATURES, JANUARY)["Balance"].isna().all()
    assert lake.frame(FEATURES, FEBRUARY)["Balance"].notna().any()
    assert lake.frame(FEATURES, FEBRUARY)["Balance_change_1m"].isna().all()
    done(platform, "company", "check")


def test_a_retraining_waits_for_labels_that_are_not_the_declared_ones(platform: Platform) -> None:
    declare(platform, "[label]\n", "[label]\nhorizon_days = 90\n")
    with living_on(date(2024, 2, 1)), dg.DagsterInstance.ephemeral() as instance:
        decision = watch.retraining(Platform(platform.settings).home, instance)
    assert waits(decision) == (
        "no champion yet, but the labels of 2024-01 count from 2024-04-30 on: close 2024-01 again (churn close 2024-01)"
    )


def test_one_table_alone_is_not_taken_in_where_another_means_something_else(tmp_path: Path) -> None:
    platform = quick_platform(tmp_path, foreign.TELCO + foreign.CALLS)
    foreign.calls(foreign.telco(platform.settings.drops / "2024-01", 60))
    done(platform, "close", "2024-01")
    lake = platform.home.lake
    assert landed_alone(platform, "calls") is None
    words = 'customers = true\ntrue_values = ["{}"]\nfalse_values = ["{}"]\n'
    declare(platform, "customers = true\n", words.format("No", "Yes"))
    before = homes.contents(lake.root, "**/*.*")
    assert landed_alone(Platform(platform.settings), "calls") == (
        "2024-01 was taken in as Partner was declared before, and its tables are taken in together: close 2024-01"
        " (churn close 2024-01)"
    )
    assert homes.contents(lake.root, "**/*.*") == before


def test_customers_alone_are_not_taken_in_by_a_key_of_another_kind(tmp_path: Path) -> None:
    platform = quick_platform(tmp_path, foreign.TELCO + foreign.CALLS)
    foreign.calls(foreign.telco(platform.settings.drops / "2024-01", 60))
    done(platform, "close", "2024-01")
    declare(platform, "pattern = '[0-9]{4}-[A-Z]{5}'", 'kind = "integer"')
    told = landed_alone(Platform(platform.settings), "customers")
    assert told is not None
    assert told.startswith('2024-01 was closed with customerID of kind "text", and others are other customers')


def landed_alone(platform: Platform, table: str) -> str | None:
    """Materialize one landed table of January, and return why that failed, or None."""
    result = dg.materialize(
        landing.assets(months_of(platform.settings), platform.home.contract),
        selection=[dg.AssetKey(["landed", table])],
        partition_key=str(JANUARY),
        resources={"home": platform.home},
        instance=dg.DagsterInstance.ephemeral(),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    told = [event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure]
    return str(told[0].description) if told and told[0] else None
