"""Joining: commands beside others that run the same platform do everything once, and one after the other."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from churn_platform.automation.instance import open_instance
from churn_platform.automation.launcher import PROCESS_TAG
from churn_platform.automation.triggers import CLOSE, EVENT_TAG, RETRAIN
from churn_platform.champion.registry import RegistryError
from churn_platform.champion.tags import PARTITION_TAG
from churn_platform.company.reading import shipped_text
from churn_platform.files.owners import own_process
from churn_platform.local import joining
from churn_platform.local.runs import Runs
from churn_platform.months import Month
from churn_platform.progress import Step
from churn_platform.tables.names import landed
from churn_platform_tests.conftest import Platform
from churn_platform_tests.daemon import Daemon

MONTH = Month(2024, 2)
DEAD = json.dumps([socket.gethostname(), 1, -1])
"""A process that no longer exists."""
ALIVE = json.dumps(["another host", 1, 1])
"""One of which nothing else is known."""


@pytest.fixture
def platform(begun: Platform, tmp_path: Path) -> Platform:
    return begun.copy(tmp_path)


@contextmanager
def elsewhere(platform: Platform, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own."""
    settings = platform.settings
    environment = {**os.environ, "CHURN_HOME": str(settings.home), "CHURN_DROPS": str(settings.drops)}
    with subprocess.Popen(
        [sys.executable, "-m", "churn_platform", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def runs(platform: Platform, *jobs: str) -> list[dg.RunRecord]:
    """The month's runs of these jobs, oldest first."""
    with open_instance(platform.settings) as instance:
        records = instance.get_run_records(dg.RunsFilter(tags={PARTITION_TAG: str(MONTH)}))
    return [record for record in reversed(records) if record.dagster_run.job_name in jobs]


def break_drop(platform: Platform) -> None:
    """Have closing the month stop at its first step, which takes seconds less than closing it."""
    users = platform.settings.drops / "month_001" / "users.csv"
    users.write_text(users.read_text().replace("user_id", "customer", 1))


def test_a_command_joins_the_run_that_does_what_it_asks_for(platform: Platform) -> None:
    with elsewhere(platform, "close", str(MONTH)) as first:
        until(lambda: runs(platform, CLOSE))
        second = platform.churn("close", str(MONTH))
        told, _ = first.communicate()
    assert (first.returncode, second.exit_code) == (0, 0), told + second.output
    [run] = runs(platform, CLOSE)
    assert f"(joined run {run.dagster_run.run_id[:8]}, which was under way)" in second.output
    assert f"{MONTH} closed: 55 active customers" in told
    assert f"{MONTH} closed: 55 active customers" in second.output


def test_commands_that_begin_at_once_run_one_after_the_other(platform: Platform) -> None:
    with elsewhere(platform, "close", str(MONTH)) as one, elsewhere(platform, "close", str(MONTH)) as other:
        told = [one.communicate()[0], other.communicate()[0]]
    assert (one.returncode, other.returncode) == (0, 0), told
    assert all(f"{MONTH} closed: 55 active customers" in text for text in told)
    made = runs(platform, CLOSE)
    first = made[0]
    assert all(run.start_time >= first.end_time for run in made[1:] if run.start_time and first.end_time)


def test_another_job_of_the_month_waits(platform: Platform) -> None:
    told: list[Step] = []
    with elsewhere(platform, "close", str(MONTH)):
        until(lambda: runs(platform, CLOSE))
        with pytest.raises(joining.RunFailedError):  # these are too few customers
            Runs(platform.settings, told.append).run(RETRAIN, MONTH)
    [closing], [training] = runs(platform, CLOSE), runs(platform, RETRAIN)
    assert closing.end_time is not None and training.start_time is not None
    assert training.start_time >= closing.end_time
    assert told[0].task == f"training for {MONTH} after run {closing.dagster_run.run_id[:8]}, closing {MONTH}"


@pytest.mark.parametrize(
    ("status", "tags", "beats", "counts"),
    [
        (dg.DagsterRunStatus.STARTED, {PROCESS_TAG: DEAD}, 0.0, False),  # its process has died
        (dg.DagsterRunStatus.STARTED, {PROCESS_TAG: DEAD}, 1.0, False),
        (dg.DagsterRunStatus.STARTED, {PROCESS_TAG: ALIVE}, 0.0, True),
        (dg.DagsterRunStatus.STARTED, {PROCESS_TAG: own_process()}, 0.0, False),  # it could not say that it ended
        (dg.DagsterRunStatus.NOT_STARTED, {}, 0.0, False),  # nobody is there who would start it
        (dg.DagsterRunStatus.NOT_STARTED, {}, 1.0, True),
        (dg.DagsterRunStatus.STARTED, {}, 1.0, True),
        (dg.DagsterRunStatus.SUCCESS, {}, 1.0, False),
    ],
)
def test_only_what_somebody_brings_to_an_end_is_waited_for(
    status: dg.DagsterRunStatus,
    tags: dict[str, str],
    beats: float,
    counts: bool,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`beats` is whether a daemon has given a sign of life."""

    @dg.job
    def empty() -> None: ...

    with open_instance(platform.settings) as instance:
        instance.create_run_for_job(empty, status=status, tags={PARTITION_TAG: str(MONTH), **tags})
        signs = {"queue": SimpleNamespace(timestamp=time.time() * beats)}
        monkeypatch.setattr(type(instance), "get_daemon_heartbeats", lambda _: signs)
        assert bool(joining.under_way(instance, MONTH)) == counts
        assert joining.under_way(instance, MONTH + 1) == []


@pytest.mark.parametrize("changed", [False, True])
def test_a_run_that_has_read_something_else_counts_for_nothing(
    changed: bool, begun: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = begun.copy(tmp_path)
    assert platform.churn("close", str(MONTH)).exit_code == 0
    [record] = runs(platform, CLOSE)
    told = iter([record, None])  # as if it had been under way
    monkeypatch.setattr(joining, "join", lambda *_: next(told))
    if changed:
        break_drop(platform)
    again = platform.churn("close", str(MONTH))
    assert (again.exit_code, len(runs(platform, CLOSE))) == ((1, 2) if changed else (0, 1))
    assert ", changed" not in again.output


FRESH = {EVENT_TAG: "an event"}


def trained_by_run(platform: Platform, tags: dict[str, str]) -> None:
    """Have a run for the month that has trained, as a sensor's if the tags say so."""

    @dg.job(name=RETRAIN)
    def retrain() -> None: ...

    with open_instance(platform.settings) as instance:
        done = dg.DagsterRunStatus.SUCCESS
        instance.create_run_for_job(retrain, status=done, tags={PARTITION_TAG: str(MONTH), **tags})


@pytest.mark.parametrize(
    ("tags", "since", "counts"),
    [
        (FRESH, "nothing", True),
        (FRESH, "labels", False),
        (FRESH, "rollback", False),
        (FRESH, "CHURN_DELTA=0.02", False),
        (FRESH, "CHURN_SEED=8", False),
        ({}, "nothing", False),  # a person's
    ],
)
def test_what_a_sensor_has_trained_is_not_trained_again(
    tags: dict[str, str],
    since: str,
    counts: bool,
    trained: Platform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform = trained.copy(tmp_path)
    trained_by_run(platform, tags)
    settings = platform.settings
    if since == "labels":
        labels = platform.home.lake.path(landed("labels"), MONTH)
        labels.write_bytes(platform.home.lake.path(landed("labels"), MONTH - 1).read_bytes())
    elif since == "rollback":
        assert platform.churn("rollback", "--reason", "a test").exit_code == 0
    elif since.startswith("CHURN"):
        name, _, value = since.partition("=")
        settings = settings.model_copy(update={name.removeprefix("CHURN_").lower(): type(settings.delta)(value)})
    assert bool(Runs(settings).trained_by_itself(MONTH)) == counts
    if counts:
        told = platform.churn("retrain", str(MONTH))
        assert "a sensor has trained for 2024-02 from the data that is there now; --again trains anyway" in told.output
        assert "version 3 is not promoted" in told.output
        with pytest.raises(RegistryError):
            platform.home.registry.version(4)


def test_what_a_sensor_has_trained_by_another_formula_is_refused_as_by_hand(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    trained_by_run(platform, FRESH)
    company = tmp_path / "company.toml"
    company.write_text(shipped_text().replace('"total_paid / months_active"', '"months_active / total_paid"'))
    changed = Platform(platform.settings.model_copy(update={"company": company}))
    told = changed.churn("retrain", str(MONTH))
    assert (told.exit_code, "a sensor has trained" in told.output) == (1, False), told.output
    assert "have fee_per_tenure_month, made otherwise than is declared now: close 2024-01 again" in told.output


def test_training_on_what_has_changed_since_is_told(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    assert "as it was closed" not in platform.churn("retrain", str(MONTH)).stderr
    break_drop(platform)
    told = platform.churn("retrain", str(MONTH)).stderr
    assert (
        f"this is about the month as it was closed: the drop of {MONTH} has changed, which is not taken in yet" in told
    )


def test_a_month_that_cannot_be_trained_for_has_no_run(platform: Platform) -> None:
    result = platform.churn("retrain", "2024-07")
    assert result.exit_code == 1
    assert result.output.startswith("Error: 2024-07 is not closed: close 2024-07 first (churn close 2024-07)")
    with open_instance(platform.settings) as instance:
        assert instance.get_runs(dg.RunsFilter(job_name=RETRAIN)) == []


def test_what_a_person_could_not_close_is_not_tried_again_by_a_sensor(platform: Platform) -> None:
    settings = platform.settings.model_copy(update={"settle_seconds": 0.0})
    assert platform.churn("close", str(MONTH - 1)).exit_code == 0
    break_drop(platform)
    assert platform.churn("close", str(MONTH)).exit_code == 1
    with open_instance(settings) as instance:
        told = Daemon(settings, instance).skipped("drops")
    assert f"{MONTH} stopped because month_close failed: users" in told
