"""Absence: customers without a row are unknown, scored all the same and counted; what is odd about a drop is told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from churn_platform.intake import oddities
from churn_platform.intake.landing import judge_labels, judge_state
from churn_platform.intake.oddities import Drop, Oddity
from churn_platform.lake import Lake
from churn_platform.settings import Settings
from churn_platform.settings.kinds import ODDITIES
from churn_platform.tables.delivery import online_features, online_rows
from churn_platform.tables.names import CHURN_SCORES, FEATURES
from churn_platform_tests import homes, made_assets
from churn_platform_tests.conftest import Platform
from churn_platform_tests.streamflow import BY_NAME, STREAMFLOW

JANUARY, FEBRUARY, MARCH = homes.MONTHS
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def cut(path: Path, rows: int) -> None:
    """Leave only the header and the first rows of a file."""
    homes.edit(path, lambda found: found[: rows + 1])


def found_in(lake: Lake, drop: Path, settings: Settings, before: Path | None = None) -> list[Oddity]:
    """What is odd about a drop with labels, given the drop of the month before."""

    def judged(folder: Path, tables: Lake) -> dict[str, Any]:
        state = judge_state(tables.engine, folder, STREAMFLOW, 1, MARCH.as_of)
        labels = judge_labels(tables.engine, folder, BY_NAME["labels"], 1, MARCH.as_of, state[0])
        return {found.table.name: found for found in (*state, labels) if found}

    past = {}
    if before:
        other = Lake(lake.root, STREAMFLOW)
        past = {
            name: lake.read_file(lake.write(name, JANUARY, found.kept).path)
            for name, found in judged(before, other).items()
        }
    tables = judged(drop, lake)
    return list(oddities.oddities(Drop(FEBRUARY, STREAMFLOW, tables, tables["users"].kept, past), settings))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return homes.settings_of(tmp_path)


# Absence


@pytest.mark.parametrize("table", ["subscriptions", "usage_agg_30d", "payments_agg_90d", "support_agg_90d"])
@pytest.mark.parametrize(("gone", "stops"), [(3, False), (4, True)], ids=["at the tolerance", "above"])
def test_customers_without_a_row_stop_the_month_above_the_tolerance(
    table: str, gone: int, stops: bool, lake: Lake, drop: Path, settings: Settings
) -> None:
    cut(drop / f"{table}.csv", 60 - gone)
    [found] = found_in(lake, drop, settings)
    assert (found.table, found.stops, found.warns) == (table, stops, stops)
    assert found.figures == {"customers_without_a_row": gone, "share_without_a_row": gone / 60}
    told = f"{table}.csv: {gone} of 60 ({gone / 60:.1%}) customers of 2024-02 have no row"
    assert found.sentence == told + (
        "; CHURN_ABSENCE_TOLERANCE allows 5.0%: is the file whole?" if stops else ", and are unknown there"
    )


def test_a_broken_row_is_not_absent(lake: Lake, drop: Path, settings: Settings) -> None:
    for line in range(2, 8):
        homes.put(drop / "usage_agg_30d.csv", line, "skips_7d", "-1")
    assert found_in(lake, drop, settings) == []


def test_a_cut_file_stops_the_month_with_its_figures(closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    before = homes.contents(platform.settings.lake, "**/*.*")
    cut(platform.settings.drops / "month_001" / "usage_agg_30d.csv", 20)
    result = platform.churn("close", "2024-02")
    assert result.exit_code == 1
    customers = closed.home.lake.rows(FEATURES, FEBRUARY)
    assert result.stderr == (
        f"Error: 2024-02 stops and nothing is kept: usage_agg_30d.csv: {customers - 20} of {customers} "
        f"({1 - 20 / customers:.1%}) customers of 2024-02 have no row; CHURN_ABSENCE_TOLERANCE allows 5.0%: "
        "is the file whole?\n"
    )
    assert homes.contents(platform.settings.lake, "**/*.*") == before


@pytest.mark.parametrize("table", ["usage_agg_30d", "subscriptions"])
def test_a_customer_without_a_row_is_told_scored_and_published(table: str, trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    path = platform.settings.drops / "month_002" / f"{table}.csv"
    january = {row[0] for row in homes.rows_of(platform.settings.drops / "month_000" / "users.csv")}
    key = next(row[0] for row in homes.rows_of(path)[1:] if row[0] in january)
    homes.edit(path, lambda rows: [row for row in rows if row[0] != key])
    closed = platform.churn("close", "2024-03")
    assert closed.exit_code == 0, closed.output
    lake = platform.home.lake
    told = (
        f"{table}.csv: 1 of {lake.rows(FEATURES, MARCH)} (0.2%) customers of 2024-03 has no row, and is unknown there"
    )
    assert told in closed.stdout
    assert told in " ".join(platform.churn("status").stdout.split())

    features = dict(zip(online_features(lake, MARCH), dict(online_rows(lake, MARCH))[key], strict=True))
    measures = [column.name for column in BY_NAME[table].columns if column.name in features]
    assert {features[name] for name in measures} == {None}
    scores = pd.read_parquet(lake.path(CHURN_SCORES, MARCH)).set_index("user_id")
    champion = platform.home.registry.champion()
    assert champion is not None
    served = platform.home.registry.bundle(champion).score_features([features])
    assert scores.loc[key, "probability"] == pytest.approx(float(served[0]), abs=1e-5)
    known = scores.notna().loc[key]
    assert known["monthly_fee"] == known["value_at_risk"] == (table != "subscriptions")
    assert lake.read(CHURN_SCORES, MARCH).value_at_risk.sum().to_pyarrow().as_py() > 0  # an unknown one spoils no sum
    assert platform.churn("retrain", "2024-03").exit_code == 0


# The drop as a whole


def test_the_names_are_those_of_the_setting() -> None:
    names = (oddities.FEWER_CUSTOMERS, oddities.REPEATED_MONTH, oddities.FEW_LABELS, oddities.EQUAL_LABELS)
    assert names == ODDITIES


def fewer_customers(drop: Path) -> None:
    for path in drop.iterdir():
        cut(path, 40)


def repeated_month(drop: Path) -> None:
    shutil.rmtree(drop)
    shutil.copytree(drop.with_name("month_000"), drop)
    homes.edit(drop / "usage_agg_30d.csv", lambda rows: [rows[0], *reversed(rows[1:])])
    homes.compress(drop / "payments_agg_90d.csv")


def few_labels(drop: Path) -> None:
    cut(drop / "labels.csv", 20)


def only_churners(drop: Path) -> None:
    homes.edit(drop / "labels.csv", lambda rows: [rows[0], *(row for row in rows if row[1] == "True")])


def nobody_churned(drop: Path) -> None:
    homes.edit(drop / "labels.csv", lambda rows: [rows[0], *([row[0], "False"] for row in rows[1:])])


ODD = {
    "fewer_customers": (fewer_customers, "users.csv: 2024-02 has 40 customers, 33.3% fewer than 2024-01 with 60"),
    "repeated_month": (repeated_month, "2024-02 holds the same rows as 2024-01: was the drop of 2024-01 copied?"),
    "few_labels": (few_labels, "labels.csv: only 20 of 55 (36.4%) customers of 2024-02 have a label"),
    "few_labels equal_labels": (only_churners, "churned: does it list only those who did?"),
    "equal_labels": (nobody_churned, "labels.csv: all 55 labelled customers of 2024-02 stayed"),
}


@pytest.fixture
def delivered(begun: Platform, tmp_path: Path) -> Path:
    """The second drop of a company of 60 customers, whose first one is closed."""
    return begun.copy(tmp_path).settings.drops / "month_001"


@pytest.mark.parametrize("names", ODD)
@pytest.mark.parametrize("stops", [False, True], ids=["told", "stops"])
def test_an_odd_drop_is_told_or_stops(names: str, stops: bool, delivered: Path, tmp_path: Path) -> None:
    change, sentence = ODD[names]
    settings = homes.settings_of(tmp_path, stop_on=names.replace(" ", ",") if stops else "")
    platform = Platform(settings)
    change(delivered)
    result = dg.materialize(
        [made_assets.LAND_DROP],
        partition_key="2024-02",
        resources={"home": platform.home},
        instance=dg.DagsterInstance.ephemeral(),
        run_config=QUIET,
        raise_on_error=False,
    )
    assert result.success is not stops
    warned = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert sentence in " ".join(check.description or "" for check in warned)
    wanted = dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN
    assert {check.severity for check in warned} == {wanted}
    assert platform.home.lake.has("landed/users", FEBRUARY) is not stops
    told = " ".join(platform.churn("status").stdout.split())
    assert (sentence in told) is not stops


def test_a_usual_drop_is_not_odd(delivered: Path, lake: Lake, settings: Settings) -> None:
    assert found_in(lake, delivered, settings, delivered.with_name("month_000")) == []
