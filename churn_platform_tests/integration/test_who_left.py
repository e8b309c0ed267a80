"""A company that delivers no labels: who is gone has left. From its drops to scores, drift and what they were worth."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pandas as pd
import pytest

from churn_platform.automation.watch import month_facts
from churn_platform.months import Month
from churn_platform.online.store import open_reader
from churn_platform.tables.names import CHURN_SCORES, DRIFT_REPORT, FEATURES, REALISED, landed
from churn_platform.tables.training_set import matured
from churn_platform_tests import foreign
from churn_platform_tests.conftest import Platform, done, quick_platform

MONTHS = [Month(2024, number) for number in range(1, 6)]


@pytest.fixture(scope="module")
def club(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Five months delivered, four of them closed; a version learned from the second serves. Read only."""
    folder = tmp_path_factory.mktemp("club")
    platform = quick_platform(folder, foreign.CLUB)
    foreign.club(platform.settings.drops, 5)
    for month in ("2024-01", "2024-02", "2024-03"):
        done(platform, "close", month)
    done(platform, "retrain", "2024-02")
    done(platform, "close", "2024-03")
    done(platform, "close", "2024-04")
    return platform


def members(platform: Platform, month: Month) -> set[str]:
    return set(platform.home.lake.frame(landed("members"), month)["Member No"])


def test_who_is_gone_next_month_has_left(club: Platform) -> None:
    lake = club.home.lake
    assert matured(lake) == tuple(MONTHS[:3])
    for month in MONTHS[:3]:
        labels = lake.frame(landed("labels"), month)
        assert set(labels["Member No"]) == members(club, month)
        assert set(labels["Member No"][labels["Left"]]) == members(club, month) - members(club, month + 1)
        assert 0.05 < labels["Left"].mean() < 0.4
    assert not any(facts.to_close or facts.to_mature for facts in month_facts(club.home, 0)[:4])


def test_the_version_learned_from_them_serves(club: Platform) -> None:
    champion = club.home.registry.champion()
    assert champion is not None and champion.month == MONTHS[1]
    assert champion.auc > 0.6
    scores = club.home.lake.frame(CHURN_SCORES, MONTHS[3])
    assert list(scores)[:4] == ["Member No", "as_of", "probability", "decile"]
    assert "value_at_risk" not in scores
    publication = asyncio.run(open_reader(club.settings.online_store).publication())
    assert publication is not None
    assert (publication.month, publication.customers) == ("2024-04", len(members(club, MONTHS[3])))


def test_what_was_renamed_and_what_ended_are_known_as_far_as_they_were_delivered(club: Platform) -> None:
    lake = club.home.lake
    assert all(lake.frame(FEATURES, month)["Visits"].notna().all() for month in MONTHS[:4])
    assert lake.frame(FEATURES, MONTHS[2])["Visits_change_1m"].notna().any()
    assert lake.frame(FEATURES, MONTHS[2])["Locker"].notna().all()
    assert lake.frame(FEATURES, MONTHS[3])["Locker"].isna().all()


def test_scores_are_measured_once_the_next_month_is_closed(club: Platform) -> None:
    lake = club.home.lake
    assert lake.path(REALISED, MONTHS[2], ".json").exists()
    assert not lake.path(REALISED, MONTHS[3], ".json").exists()
    assert lake.path(DRIFT_REPORT, MONTHS[3], ".json").exists()


def test_a_corrected_month_corrects_who_left_before_it(club: Platform, tmp_path: Path) -> None:
    platform = club.copy(tmp_path)
    file = platform.settings.drops / "2024-04" / "members.csv"
    gone = sorted(members(platform, MONTHS[2]) - members(platform, MONTHS[3]), key=int)
    before = pd.read_csv(file, sep=";", dtype=str)
    back = before.head(1).assign(**{"Member No": gone[0]})
    pd.concat([before, back, back.assign(**{"Member No": gone[1], "Distance": "far"})]).to_csv(
        file, sep=";", index=False
    )
    done(platform, "close", "2024-04")
    labels = platform.home.lake.frame(landed("labels"), MONTHS[2]).set_index("Member No")["Left"]
    assert not labels[gone[0]]
    assert not labels[gone[1]]  # whose row is broken, and who is still there
    assert labels[gone[2]]


def test_a_file_that_was_cut_stops_instead(club: Platform, tmp_path: Path) -> None:
    platform = club.copy(tmp_path)
    file = platform.settings.drops / "2024-05" / "members.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[: len(lines) // 2]))
    told = done(platform, "close", "2024-05", exit_code=1)
    assert "are gone in 2024-05, and would count as having left" in told
    assert "is the drop whole?" in told
    assert matured(platform.home.lake) == tuple(MONTHS[:3])


def test_other_customers_stop_although_there_are_as_many(club: Platform, tmp_path: Path) -> None:
    platform = club.copy(tmp_path)
    file = platform.settings.drops / "2024-05" / "members.csv"
    rows = pd.read_csv(file, sep=";", dtype=str)
    rows["Member No"] = rows["Member No"].where(rows.index % 2 == 0, "9" + rows["Member No"])
    rows.to_csv(file, sep=";", index=False)
    assert "are gone in 2024-05, and would count as having left" in done(platform, "close", "2024-05", exit_code=1)


def test_a_line_that_cannot_be_read_stops(club: Platform, tmp_path: Path) -> None:
    platform = club.copy(tmp_path)
    file = platform.settings.drops / "2024-05" / "members.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:-1], lines[-1].replace(";", ";;")]))
    assert "nobody knows whose line it is" in done(platform, "close", "2024-05", exit_code=1)


def test_a_label_of_another_name_is_made_again(club: Platform, tmp_path: Path) -> None:
    platform = club.copy(tmp_path)
    (tmp_path / "other.toml").write_text(foreign.CLUB.replace('column = "Left"', 'column = "Gone"'))
    platform = Platform(platform.settings.model_copy(update={"company": tmp_path / "other.toml"}))
    told = done(platform, "company", "check", exit_code=1)
    lacking = "the labels of 2024-01, 2024-02 and 2024-03 lack Gone, so no version is trained on them"
    assert f"{lacking}: close them again (churn close --all)" in told
    assert "the labels of 2024-01 lack Gone" in done(platform, "retrain", "2024-03", exit_code=1)
    assert all(facts.to_mature for facts in month_facts(platform.home, 0)[:3])
    done(platform, "close", "2024-01")
    assert done(platform, "company", "check").count("lack") == 0
