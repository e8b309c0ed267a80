"""Submitting: a command gives its run to a platform that is up, and does it itself where that one goes meanwhile.

A platform that is really up: `system/test_up_running`.
"""

from __future__ import annotations

import signal
import time
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from churn_platform.automation.instance import open_instance
from churn_platform.automation.launcher import PROCESS_TAG
from churn_platform.champion.tags import PARTITION_TAG
from churn_platform.local import joining, lock, submitting
from churn_platform.local.lock import only_one
from churn_platform.settings import Settings
from churn_platform_tests.conftest import Platform

MONTH = "2024-02"
QUEUE = "QUEUED_RUN_COORDINATOR"


def beats(monkeypatch: pytest.MonkeyPatch, daemon: str, *ages: float) -> None:
    """The ages of a daemon's sign of life, each time that somebody looks; the last one stays."""
    told = chain(ages, repeat(ages[-1]))
    monkeypatch.setattr(
        dg.DagsterInstance,
        "get_daemon_heartbeats",
        lambda _: {daemon: SimpleNamespace(timestamp=time.time() - next(told))},
    )


@pytest.mark.parametrize(
    ("daemon", "age", "up"),
    [
        (QUEUE, 1, True),
        (QUEUE, joining.HEARTBEAT_SECONDS + 1, False),
        (QUEUE, 30, False),  # of a daemon before this `churn up`
        ("SENSOR", 1, False),  # it starts nothing
    ],
)
def test_on_one_machine_it_is_up_while_its_lock_is_held(
    daemon: str, age: float, up: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    beats(monkeypatch, daemon, age)
    monkeypatch.setattr(lock, "began", lambda _: time.time() - 20)
    with open_instance(settings) as instance:
        assert not submitting.is_up(settings, instance)  # nothing was ever up here
        with only_one(tmp_path):
            assert submitting.is_up(settings, instance) == up
        assert not submitting.is_up(settings, instance)


def test_a_platform_that_goes_before_it_begins_leaves_the_run_to_the_command(
    begun: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = begun.copy(tmp_path)
    users = platform.settings.drops / "month_001" / "users.csv"
    users.write_text(users.read_text().replace("user_id", "customer", 1))  # which takes seconds less than closing it
    with only_one(platform.settings.home):
        beats(monkeypatch, QUEUE, 1, joining.HEARTBEAT_SECONDS + 1)
        result = platform.churn("close", MONTH)
    assert result.exit_code == 1
    assert "waiting to begin" in result.output and "lacks column user_id" in result.output.splitlines()[-1]
    with open_instance(platform.settings) as instance:
        runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: MONTH}))
    assert [(run.status, PROCESS_TAG in run.tags) for run in runs] == [(dg.DagsterRunStatus.FAILURE, True)]


def test_ctrl_c_while_the_run_is_made_leaves_none(
    begun: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, create = begun.copy(tmp_path), dg.DagsterInstance.create_run_for_job

    def interrupted(*arguments: object, **named: object) -> dg.DagsterRun:
        signal.raise_signal(signal.SIGINT)
        return create(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(dg.DagsterInstance, "create_run_for_job", interrupted)
    with only_one(platform.settings.home):
        beats(monkeypatch, QUEUE, 1)
        result = platform.churn("close", MONTH)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "Aborted!")
    with open_instance(platform.settings) as instance:
        assert instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: MONTH})) == []
