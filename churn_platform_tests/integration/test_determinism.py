"""Determinism: the same months give the same bytes however they are run, and a correction goes everywhere it must."""

from __future__ import annotations

import csv
import io
import random
import re
import shutil
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from churn_platform.definitions import build_defs
from churn_platform.lake import Lake
from churn_platform.local.runs import Runs
from churn_platform.months import Month
from churn_platform.tables.features import LAST_SEEN
from churn_platform.tables.names import FEATURES
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.dagster_private import CachingStaleStatusResolver, LoadingContext, StaleStatus
from churn_platform_tests.streamflow import STATE_TABLES, STREAMFLOW

FIRST, SECOND, THIRD = homes.MONTHS


def built(lake: Path) -> dict[str, str]:
    """The bytes of landed tables, snapshots and features."""
    return {
        name: digest
        for name, digest in homes.contents(lake).items()
        if name.startswith(("landed", "features")) or "_snapshots/" in name
    }


@pytest.fixture
def platform(closed: Platform, tmp_path: Path) -> Platform:
    """Three closed months, free to be changed."""
    return closed.copy(tmp_path)


def test_months_closed_again_in_another_order_give_the_same_bytes(platform: Platform) -> None:
    before = built(platform.settings.lake)
    for path in platform.settings.lake.rglob("2024-03.*"):
        path.unlink()
    again = platform.churn("close", "2024-01")  # an old month again: later ones stay, since nothing has changed
    assert again.stdout == "2024-01 closed: 500 active customers, labels landed\n"
    assert platform.churn("close", "2024-03").exit_code == 0
    assert built(platform.settings.lake) == before


@given(order=st.lists(st.sampled_from(homes.MONTHS), min_size=1, max_size=4))
@hypothesis_settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_months_run_in_any_order_give_the_same_bytes(
    order: list[Month], closed: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake, wanted = Lake(tmp_path_factory.mktemp("order") / "lake", STREAMFLOW), built(closed.settings.lake)
    shutil.copytree(closed.settings.lake / "landed", lake.root / "landed")
    for month in [*order, *homes.MONTHS]:  # whatever was run before or in between
        if month == FIRST or lake.has(FEATURES, month - 1):
            homes.close(lake, month)
    assert built(lake.root) == wanted
    homes.close(lake, FIRST)  # an old month again changes nothing
    assert built(lake.root) == wanted


def test_drops_written_in_another_way_close_to_the_same_bytes(closed: Platform, company: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    for number, drop in enumerate(["month_000", "2024-02"]):
        folder = tmp_path / "drops" / drop
        folder.mkdir(parents=True)
        for path in (company / f"month_{number:03d}").iterdir():
            header, *rows = homes.rows_of(path)
            rng.shuffle(rows)
            order = rng.sample(range(len(header)), len(header))
            buffer = io.StringIO()
            writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
            writer.writerows([[row[column] for column in order] for row in (header, *rows)])
            (folder / path.name).write_bytes(("\ufeff" + buffer.getvalue()).encode())
            if number:
                homes.to_parquet(folder / path.name)
            elif path.stem == "users":
                homes.compress(folder / path.name)
    other = Platform(homes.settings_of(tmp_path))
    assert other.churn("close", "--all").exit_code == 0
    wanted = {name: digest for name, digest in built(closed.settings.lake).items() if "2024-03" not in name}
    assert built(other.settings.lake) == wanted


def test_a_correction_reaches_its_month_and_the_later_ones(platform: Platform, tmp_path: Path) -> None:
    before = built(platform.settings.lake)
    path = platform.settings.drops / "month_000" / "subscriptions.csv"
    for line in range(2, 400):
        homes.put(path, line, "monthly_fee", "12.34")
    result = platform.churn("close", "2024-01")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line[:7] for line in lines] == ["2024-01", "2024-02", "2024-03"]
    assert all(line.endswith("changed") for line in lines)
    after = built(platform.settings.lake)
    changed = {name for name in after if after[name] != before[name]}
    months = ("2024-01", "2024-02", "2024-03")
    assert changed == {
        "landed/subscriptions/2024-01.parquet",
        *(f"subscriptions_profile_snapshots/{month}.parquet" for month in months),
        *(f"features/{month}.parquet" for month in months),
    }
    fresh = Lake(tmp_path / "fresh", STREAMFLOW)
    for number, month in enumerate(homes.MONTHS):
        homes.land(fresh, month, platform.settings.drops / f"month_{number:03d}")
        homes.close(fresh, month)
    wanted = built(fresh.root)
    assert {name: digest for name, digest in after.items() if name in wanted} == wanted


def test_the_ui_shows_what_a_correction_makes_stale(platform: Platform) -> None:
    path = platform.settings.drops / "month_000" / "subscriptions.csv"
    for line in range(2, 400):
        homes.put(path, line, "monthly_fee", "12.34")
    runs = Runs(platform.settings)
    runs.run("month_close", FIRST)  # only this month
    graph = build_defs(platform.settings).resolve_asset_graph()

    class Loading(LoadingContext):
        """The context in which the UI's server loads."""

        def __init__(self) -> None:
            self._loaders: dict = {}

        @property
        def instance(self) -> dg.DagsterInstance:
            return runs.instance

        @property
        def loaders(self) -> dict:
            return self._loaders

    resolver = CachingStaleStatusResolver(runs.instance, graph, Loading())

    def stale(name: str, month: str) -> bool:
        return resolver.get_status(dg.AssetKey(name), month) == StaleStatus.STALE

    assert stale("subscriptions_profile_snapshots", "2024-02")
    assert stale("features", "2024-03")
    assert not stale("subscriptions_profile_snapshots", "2024-01")
    assert not stale("usage_agg_30d_snapshots", "2024-02")


def test_a_partial_drop(platform: Platform) -> None:
    drop = platform.settings.drops / "month_002"
    some = {row[0] for row in homes.rows_of(drop / "users.csv")[1:101]}
    for table in (*(table.name for table in STATE_TABLES), "labels"):
        homes.edit(drop / f"{table}.csv", lambda rows: [rows[0], *(row for row in rows[1:] if row[0] in some)])
    lake = platform.home.lake
    known = set(lake.frame("users_snapshots", SECOND)["user_id"])
    result = platform.churn("close", "2024-03")
    assert re.match(r"2024-03 closed: 100 active customers", result.stdout)
    for name in ("users_snapshots", "usage_agg_30d_snapshots"):
        frame = lake.frame(name, THIRD)
        assert set(frame["user_id"]) == known | some
        assert (frame[LAST_SEEN] == "2024-03").sum() == 100
    assert set(lake.frame("features", THIRD)["user_id"]) == some
