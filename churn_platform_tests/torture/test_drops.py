"""Drops that are broken in a thousand ways: each month closes whole or stops in words, and nothing is lost."""

from __future__ import annotations

import random
import shutil
from functools import cached_property

import dagster as dg
import pytest

from churn_platform.faults import Fault
from churn_platform.local.runs import Runs
from churn_platform.settings import Settings
from churn_platform.tables.names import FEATURES, landed, quarantine
from churn_platform_tests import homes
from churn_platform_tests.streamflow import STATE_TABLES
from churn_platform_tests.torture.mutations import mutate

FIRST, SECOND, _ = homes.MONTHS


class Forgetful(Runs):
    """Runs on an instance in memory."""

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.ephemeral()

    def bugs(self) -> list[str]:
        """The errors of the runs' steps that are no faults: a person would get a traceback."""
        events = [
            entry.dagster_event for run in self.instance.get_runs() for entry in self.instance.all_logs(run.run_id)
        ]
        failures = [event.step_failure_data for event in events if event and event.is_step_failure]
        return [str(found.error) for found in failures if found.user_failure_data is None]

    def forget(self) -> None:
        """Take an instance without runs from now on."""
        del self.instance


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A company of 60 customers whose first month is closed, and whose second one is delivered."""
    settings = homes.settings_of(tmp_path_factory.mktemp("base"))
    homes.deliver(settings.drops, months=2)
    list(Forgetful(settings).close(FIRST))
    return settings


def attempt(runs: Forgetful) -> str | None:
    """Close the second month; the fault's sentence if it stops."""
    try:
        list(runs.close(SECOND))
    except Fault as fault:
        return str(fault)
    return None


def test_a_broken_drop_closes_whole_or_stops_in_words(tens_of_drops: int, seed: int, base: Settings) -> None:
    runs = Forgetful(base)
    sound = base.drops.with_name("sound")
    if not sound.exists():
        shutil.copytree(base.drops / "month_001", sound)
    before = homes.contents(base.lake, "**/2024-01.*")
    for number in range(10 * tens_of_drops, 10 * tens_of_drops + 10):
        shutil.rmtree(base.drops / "month_001")
        shutil.copytree(sound, base.drops / "month_001")
        done = mutate(base.drops / "month_001", random.Random(f"{seed} {number}"))
        fault = attempt(runs)
        case = f"drop {number} ({done}): {fault}"
        assert runs.bugs() == [], case
        assert homes.contents(base.lake, "**/2024-01.*") == before, case
        kept = [
            table.name for table in STATE_TABLES if base.lake.joinpath(f"{landed(table.name)}/2024-02.parquet").exists()
        ]
        if fault is None:
            assert runs.home.lake.has(FEATURES, SECOND), case
            for table in STATE_TABLES:
                assert runs.home.lake.has(quarantine(table.name), SECOND), case
        elif "label" not in fault:
            assert kept == [], case
        if fault is not None:
            assert len(fault) < 2_000, case
            assert fault.isprintable(), case
        for path in base.lake.rglob("2024-02*"):
            path.unlink()
        runs.forget()
