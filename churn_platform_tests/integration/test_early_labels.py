"""Labels that come before their day, and labels of customers who had no choice: neither teaches or judges anything."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pandas as pd

from churn_platform.automation.watch import month_facts
from churn_platform.company.declaration import EARLY_LABELS
from churn_platform.day import living_on
from churn_platform.tables.names import landed
from churn_platform.tables.training_set import labels_of, matured
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform, done, quick_platform

JANUARY = homes.MONTHS[0]
LABEL = 'column = "Exited"\n'
REASON = 'Exited = { kind = "boolean", role = "label", meaning = "Left." }\n'


def test_early_labels_are_kept_and_count_from_their_day(tmp_path: Path) -> None:
    platform = quick_platform(tmp_path, foreign.BANK.replace(LABEL, LABEL + "horizon_days = 30\n"))
    drop, lake = foreign.bank(platform.settings.drops / "2024-01"), platform.home.lake
    with living_on(date(2024, 2, 10)):
        assert "no labels yet" in done(platform, "close", "2024-01")
        assert len(lake.frame(landed(EARLY_LABELS), JANUARY)) == 600
        assert matured(lake) == ()
        assert "labels count from 2024-03-01 on" in done(platform, "status")
        assert "2024-01 has no labels yet" in done(platform, "retrain", "2024-01", exit_code=1)
        assert not month_facts(platform.home, 0)[0].to_mature
    shutil.rmtree(drop)
    with living_on(date(2024, 2, 29)):
        assert not month_facts(platform.home, 0)[0].to_mature
    with living_on(date(2024, 3, 1)):  # 30 days after the end of January
        assert month_facts(platform.home, 0)[0].to_mature
        assert "labels landed" in done(platform, "close", "2024-01")
        assert matured(lake) == (JANUARY,)
        assert not lake.has(landed(EARLY_LABELS), JANUARY)
        assert not month_facts(platform.home, 0)[0].to_mature
        assert "identical" not in done(platform, "retrain", "2024-01")
        assert "version 2 is identical to version 1: nothing has changed" in done(platform, "retrain", "2024-01")


def test_labels_that_counted_are_withdrawn_where_they_are_early_now(tmp_path: Path) -> None:
    platform = quick_platform(tmp_path, foreign.BANK)
    foreign.bank(platform.settings.drops / "2024-01")
    assert "labels landed" in done(platform, "close", "2024-01")
    (tmp_path / "company.toml").write_text(foreign.BANK.replace(LABEL, LABEL + "horizon_days = 30\n"))
    platform = Platform(platform.settings.model_copy(update={"company": other(tmp_path)}))
    with living_on(date(2024, 2, 29)):
        assert month_facts(platform.home, 0)[0].to_mature
        done(platform, "close", "2024-01")
        assert matured(platform.home.lake) == ()
    done(platform, "close", "2024-01")
    assert matured(platform.home.lake) == (JANUARY,)


def test_early_labels_that_are_withdrawn_never_count(tmp_path: Path) -> None:
    platform = quick_platform(tmp_path, foreign.BANK.replace(LABEL, LABEL + "horizon_days = 30\n"))
    drop, lake = foreign.bank(platform.settings.drops / "2024-01"), platform.home.lake
    with living_on(date(2024, 2, 10)):
        done(platform, "close", "2024-01")
        (drop / "exits.parquet").unlink()
        assert month_facts(platform.home, 0)[0].to_mature
        done(platform, "close", "2024-01")
        assert not lake.has(landed(EARLY_LABELS), JANUARY)
        assert not month_facts(platform.home, 0)[0].to_mature
    shutil.rmtree(drop)
    done(platform, "close", "2024-01")
    assert matured(lake) == ()


def test_a_longer_horizon_holds_where_the_drop_is_gone(tmp_path: Path) -> None:
    platform = quick_platform(tmp_path, foreign.BANK)
    drop = foreign.bank(platform.settings.drops / "2024-01")
    done(platform, "close", "2024-01")
    shutil.rmtree(drop)
    (tmp_path / "company.toml").write_text(foreign.BANK.replace(LABEL, LABEL + "horizon_days = 30\n"))
    platform = Platform(platform.settings.model_copy(update={"company": other(tmp_path)}))
    with living_on(date(2024, 2, 29)):
        facts = month_facts(platform.home, 0)[0]
        assert (facts.to_mature, facts.why) == (True, "labels of 2024-01 do not count yet")
        done(platform, "close", "2024-01")
        assert matured(platform.home.lake) == ()
        assert not month_facts(platform.home, 0)[0].to_mature
    assert month_facts(platform.home, 0)[0].why == "labels of 2024-01 count from today on"
    done(platform, "close", "2024-01")
    assert matured(platform.home.lake) == (JANUARY,)


def other(folder: Path) -> Path:
    """The declaration under another name: a process reads each file once."""
    return Path(shutil.copy(folder / "company.toml", folder / "changed.toml"))


def test_who_had_no_choice_teaches_nothing_and_judges_nobody(tmp_path: Path) -> None:
    declaration = foreign.BANK.replace(LABEL, LABEL + 'involuntary = { column = "Why", values = ["unpaid"] }\n')
    declaration = declaration.replace(
        REASON, REASON + 'Why = { kind = "category", role = "ignored", nullable = true, meaning = "Why they left." }\n'
    )
    platform = quick_platform(tmp_path, declaration)
    file = foreign.bank(platform.settings.drops / "2024-01") / "exits.parquet"
    labels = pd.read_parquet(file)
    why = pd.Series([None, "moved", "unpaid"] * 200)
    labels.assign(Why=why).to_parquet(file)
    done(platform, "close", "2024-01")
    found = labels_of(platform.home.lake, JANUARY).to_pandas()
    assert len(platform.home.lake.frame(landed("labels"), JANUARY)) == 600
    assert set(found["CustomerId"]) == set(labels["CustomerId"][why != "unpaid"].astype(str))
    assert list(found) == ["CustomerId", "Exited"]
    done(platform, "retrain", "2024-01")
