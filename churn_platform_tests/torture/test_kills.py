"""Kills at random moments: the same work, done again, ends as if nobody had been killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from churn_platform.automation.triggers import REFRESH
from churn_platform.champion.agreement import findings
from churn_platform.champion.receipts import Receipt
from churn_platform.home import Home
from churn_platform.local.decisions import Decisions
from churn_platform.local.first_start import first_start
from churn_platform.local.runs import Runs
from churn_platform.settings import Settings
from churn_platform.tables.names import CHURN_SCORES
from churn_platform_tests import homes, processes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.torture import leftovers

FIRST, SECOND, THIRD = homes.MONTHS


def close(settings: Settings) -> None:
    list(Runs(settings).close(THIRD))


def retrain(settings: Settings) -> None:
    Runs(settings).retrain(THIRD)


def decide(settings: Settings, ask: Callable[[Decisions], Receipt]) -> None:
    """As the command does it."""
    decisions = Decisions(Runs(settings))
    ask(decisions)
    decisions.told()


def promote(settings: Settings) -> None:
    """As a person does who finds that the command was killed: again, unless the receipts say that it is done."""
    if Home(settings).ledger.all()[-1].verdict != "appointed":
        decide(settings, lambda decisions: decisions.promote(3, "it is preferred"))


def roll_back(settings: Settings) -> None:
    """The same."""
    if Home(settings).ledger.all()[-1].verdict != "rolled back":
        decide(settings, lambda decisions: decisions.roll_back("it calls the wrong customers"))


def publish(settings: Settings) -> None:
    Runs(settings).run(REFRESH, THIRD)


def start(settings: Settings) -> None:
    list(first_start(settings))


@dataclass(frozen=True)
class Work:
    """Something to kill: what is done, on which platform, and what was never done on it before."""

    do: Callable[[Settings], None]
    made: str
    without: str = ""


WORKS = (
    Work(close, "closed", without="2024-03.*"),
    Work(retrain, "trained"),
    Work(promote, "trained"),
    Work(roll_back, "trained"),
    Work(publish, "trained"),
    Work(start, "empty"),
)


def platform_for(work: Work, folder: Path, request: pytest.FixtureRequest) -> Settings:
    """A platform of its own on which the work has yet to be done."""
    if work.made == "empty":
        settings = homes.settings_of(folder)
        homes.deliver(settings.drops, months=2, customers=homes.CUSTOMERS)
        return settings
    platform: Platform = request.getfixturevalue(work.made)
    settings = platform.copy(folder).settings
    for path in settings.lake.rglob(work.without) if work.without else ():
        path.unlink()
    return settings


def decisions(settings: Settings) -> list[tuple[str, str]]:
    """What was decided about which model. A version's number may differ: a killed training leaves one unused."""
    return [(receipt.verdict, receipt.bundle_sha256) for receipt in Home(settings).ledger.all()]


def champion(settings: Settings) -> str | None:
    """The champion's model, verified."""
    registry = Home(settings).registry
    return registry.bundle(version).digest if (version := registry.champion()) else None


def tables(settings: Settings) -> dict[str, str]:
    """The lake's tables, without the scores, which name their version's number."""
    found = homes.repeatable(settings.lake)
    return {name: digest for name, digest in found.items() if not name.startswith(CHURN_SCORES)}


def killed_after(seconds: float, work: Work, settings: Settings) -> None:
    """Do the work in a process that is killed after this time, unless it is done by then."""
    process = processes.context().Process(target=work.do, args=(settings,))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, processes.KILLED)


def test_a_kill_changes_nothing_in_the_end(
    kill: int, seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    work = WORKS[kill % len(WORKS)]
    undisturbed = platform_for(work, tmp_path / "undisturbed", request)
    began = time.monotonic()
    assert processes.run((work.do, (undisturbed,))) == [0]
    duration = time.monotonic() - began

    settings = platform_for(work, tmp_path / "killed", request)
    chance = random.Random(f"{seed} {kill}")
    for _ in range(2):  # what does the work again may be killed as well
        killed_after(chance.uniform(0.0, duration), work, settings)
    assert processes.run((work.do, (settings,))) == [0]
    assert tables(settings) == tables(undisturbed)
    assert decisions(settings) == decisions(undisturbed)
    assert champion(settings) == champion(undisturbed)
    home = Home(settings)
    assert findings(home.registry, home.ledger) == []
    assert leftovers.of(settings) == []
