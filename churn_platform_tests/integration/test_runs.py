"""Runs that the command line starts: the UI finds them, Ctrl-C ends them, and only Ctrl-C counts as that."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest

from churn_platform.automation.instance import LOCATION, open_instance
from churn_platform.automation.jobs import BY_HAND, monthly
from churn_platform.definitions import build_defs
from churn_platform.intake import landing
from churn_platform.intake.drops import DropError
from churn_platform.local.joining import RunFailedError
from churn_platform.local.runs import Runs
from churn_platform.local.steps import followed
from churn_platform.progress import Step
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.streamflow import STREAMFLOW

JANUARY = homes.MONTHS[0]


class Event(NamedTuple):
    """As much of one of Dagster's events as is looked at."""

    event_type: dg.DagsterEventType
    step_key: str


@pytest.fixture
def new(drop: Path) -> Platform:
    """A drop of 60 customers, and nothing closed."""
    return Platform(homes.settings_of(drop.parents[1]))


def ended(platform: Platform) -> list[tuple[str, dg.DagsterRunStatus]]:
    with open_instance(platform.settings) as instance:
        return [(run.job_name, run.status) for run in instance.get_runs()]


def press(*_: object) -> None:
    """Do what Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)


def press_and_go_on(*_: object) -> None:
    try:
        press()
    except BaseException:
        raise OSError("could not be read to its end")  # noqa: B904  # as libraries do


def press_and_explain(*_: object) -> None:
    try:
        press()
    except BaseException as error:
        raise OSError("could not be read to its end") from error


def test_the_ui_finds_them_by_their_job(trained: Platform) -> None:
    with open_instance(trained.settings) as instance:
        runs = instance.get_runs()
    assert {run.job_name for run in runs} >= {"month_close", "retrain", "promote"}
    for run in runs:
        origin = run.remote_job_origin
        assert origin is not None
        assert (origin.location_name, origin.job_name) == (LOCATION, run.job_name)


def test_each_step_of_each_job_has_words(tmp_path: Path) -> None:
    settings = homes.settings_of(tmp_path, postgres_url="postgresql://u:p@127.0.0.1:1/with_published_tables")
    definitions = build_defs(settings)
    jobs = [definitions.resolve_job_def(name) for name in (*monthly(STREAMFLOW), *(job.name for job in BY_HAND))]
    named: list[Step] = []
    for job in jobs:
        steps = [Event(dg.DagsterEventType.STEP_START, node.name) for node in job.nodes]
        events: Any = [Event(dg.DagsterEventType.STEP_SKIPPED, ""), *steps]
        assert list(followed(events, job, JANUARY, named.append)) == events
    assert {step.name for step in named} >= {"training a candidate", "publishing features in PostgreSQL"}
    assert named[0].number == 2  # a step that is left out counts


@pytest.mark.parametrize("reading", [press, press_and_go_on, press_and_explain])
def test_ctrl_c_ends_the_run_and_the_command(reading: object, new: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "judge_state", reading)
    result = new.churn("close", "2024-01")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "\nAborted!\n")
    assert ended(new) == [("month_close", dg.DagsterRunStatus.FAILURE)]


def test_ctrl_c_leaves_no_run_that_never_begins(new: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    create = dg.DagsterInstance.create_run_for_job

    def interrupted(*arguments: object, **named: object) -> dg.DagsterRun:
        run = create(*arguments, **named)  # type: ignore[arg-type]
        press()
        return run

    monkeypatch.setattr(dg.DagsterInstance, "create_run_for_job", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Runs(new.settings).run("month_close", JANUARY)
    assert ended(new) == [("month_close", dg.DagsterRunStatus.FAILURE)]
    assert homes.contents(new.settings.lake) == {}


def test_a_fault_that_only_speaks_of_it_is_a_fault(new: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    told = f"users: {dg.DagsterExecutionInterruptedError.__name__} is no number"

    def judge(*_: object) -> None:
        raise DropError(told)

    monkeypatch.setattr(landing, "judge_state", judge)
    with pytest.raises(RunFailedError, match=told):
        Runs(new.settings).run("month_close", JANUARY)
