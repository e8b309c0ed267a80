"""Tables that come, go and are renamed, with months closed and a champion serving: it works, or a sentence says how."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from churn_platform.automation.watch import month_facts
from churn_platform.tables.features import schema
from churn_platform.tables.names import CHURN_SCORES, FEATURES
from churn_platform.tables.training_set import training_rows
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform, done, quick_platform

JANUARY, FEBRUARY = homes.MONTHS[:2]
BOTH = foreign.TELCO + foreign.CALLS


def closed(folder: Path, declaration: str, *, calls: bool) -> Platform:
    """A platform with one month closed, learned from and scored."""
    platform = quick_platform(folder, declaration)
    drop = foreign.telco(platform.settings.drops / "2024-01")
    if calls:
        foreign.calls(drop)
    for command in ("close", "retrain", "close"):
        done(platform, command, "2024-01")
    return platform


@pytest.fixture(scope="module")
def without_calls(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Read only."""
    return closed(tmp_path_factory.mktemp("without"), foreign.TELCO, calls=False)


@pytest.fixture(scope="module")
def with_calls(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Read only."""
    return closed(tmp_path_factory.mktemp("with"), BOTH, calls=True)


def changed(platform: Platform, folder: Path, declaration: str) -> Platform:
    """A copy by another declaration."""
    copy = platform.copy(folder)
    (folder / "company.toml").write_text(declaration)
    return Platform(copy.settings.model_copy(update={"company": folder / "company.toml"}))


def stale(platform: Platform) -> list[bool]:
    """Whether the sensors would close each month again."""
    return [facts.to_close for facts in month_facts(platform.home, 0)]


def test_a_table_since_a_month_is_unknown_before(without_calls: Platform, tmp_path: Path) -> None:
    dated = BOTH.replace('missing = "zero"', 'missing = "zero"\nsince = "2024-02"')
    platform = changed(without_calls, tmp_path, dated)
    foreign.calls(foreign.telco(platform.settings.drops / "2024-02"))
    lake = platform.home.lake
    before = lake.sha256(FEATURES, JANUARY)
    assert "a retrain learns Calls" in done(platform, "company", "check")
    done(platform, "close", "2024-02")
    assert lake.frame(FEATURES, FEBRUARY)["Calls"].value_counts().to_dict() == {0: 300, 3: 300}
    assert lake.sha256(FEATURES, JANUARY) == before
    assert stale(platform) == [False, False]
    done(platform, "retrain", "2024-02")
    shutil.rmtree(platform.settings.drops / "2024-01")
    done(platform, "close", "2024-01")  # as it was landed
    assert lake.frame(FEATURES, JANUARY)["Calls"].isna().all()  # not zero: nobody counted
    done(platform, "close", "2024-02")
    assert stale(platform) == [False, False]


def test_a_new_table_without_a_date_is_asked_for(without_calls: Platform, tmp_path: Path) -> None:
    platform = changed(without_calls, tmp_path, BOTH)
    told = done(platform, "company", "check", exit_code=1)
    assert "2024-01 was closed without calls: declare `since`, `was` if the table had another name" in told
    foreign.calls(foreign.telco(platform.settings.drops / "2024-02"))
    assert "calls_snapshots of 2024-01 is not there" in done(platform, "close", "2024-02", exit_code=1)
    assert "calls: no file in" in done(platform, "close", "2024-01", exit_code=1)
    shutil.rmtree(platform.settings.drops / "2024-01")
    told = done(platform, "close", "2024-01", exit_code=1)
    assert "2024-01 was closed without calls, and its drop is gone: declare `since`" in told


def test_a_table_until_a_month_is_unknown_after(with_calls: Platform, tmp_path: Path) -> None:
    dated = BOTH.replace('missing = "zero"', 'missing = "zero"\nuntil = "2024-01"')
    platform = changed(with_calls, tmp_path, dated)
    foreign.telco(platform.settings.drops / "2024-02")
    done(platform, "company", "check")
    done(platform, "close", "2024-02")
    lake = platform.home.lake
    assert lake.frame(FEATURES, FEBRUARY)["Calls"].isna().all()
    assert lake.has(CHURN_SCORES, FEBRUARY)
    assert stale(platform) == [False, False]
    done(platform, "retrain", "2024-02")


def test_a_renamed_table_is_the_same_one(with_calls: Platform, tmp_path: Path) -> None:
    renamed = BOTH.replace("[tables.calls", "[tables.phone").replace(
        'missing = "zero"', 'missing = "zero"\nwas = ["calls"]'
    )
    platform = changed(with_calls, tmp_path, renamed)
    foreign.calls(foreign.telco(platform.settings.drops / "2024-02"), "phone")
    assert "declared features" in done(platform, "company", "check")
    assert stale(platform) == [False, True]
    done(platform, "close", "2024-02")
    lake = platform.home.lake
    assert lake.frame(FEATURES, FEBRUARY)["Calls"].value_counts().to_dict() == {0: 300, 3: 300}
    assert lake.has(CHURN_SCORES, FEBRUARY)


def test_a_table_that_is_gone_leaves_old_months_alone(with_calls: Platform, tmp_path: Path) -> None:
    platform = changed(with_calls, tmp_path, foreign.TELCO)
    told = done(platform, "company", "check", exit_code=1)
    assert "the champion, version 1, cannot score a month without Calls: declare it with `until`" in told
    shutil.rmtree(platform.settings.drops / "2024-01")
    assert stale(platform) == [False]
    foreign.telco(platform.settings.drops / "2024-02")
    told = done(platform, "close", "2024-02", exit_code=1)
    assert "the champion needs Calls, which 2024-02 does not have" in told
    assert [feature.name for feature in schema(platform.home.contract) if feature.name == "Calls"] == []


def test_whole_numbers_become_amounts(with_calls: Platform, tmp_path: Path) -> None:
    platform = changed(with_calls, tmp_path, BOTH.replace('Calls = { kind = "integer"', 'Calls = { kind = "number"'))
    file = foreign.calls(foreign.telco(platform.settings.drops / "2024-02")) / "calls.csv"
    file.write_text(file.read_text().replace(",3\n", ",3.5\n"))
    assert "declared features" in done(platform, "company", "check")
    done(platform, "close", "2024-02")
    lake = platform.home.lake
    assert lake.frame(FEATURES, FEBRUARY)["Calls"].value_counts().to_dict() == {0.0: 300, 3.5: 300}
    assert lake.has(CHURN_SCORES, FEBRUARY)
    done(platform, "retrain", "2024-02")
    assert training_rows(lake, [JANUARY, FEBRUARY]).to_pandas()["Calls"].max() == 3.5
