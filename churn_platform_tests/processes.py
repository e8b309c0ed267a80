"""What tests run in other processes, and how: they are forked by a server that has done the slow imports.

Here: functions that such a process runs; some end it with SIGKILL at a given moment. Not here: the tests.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from churn_platform.automation.instance import open_instance, prepare
from churn_platform.automation.triggers import REFRESH
from churn_platform.backup import making
from churn_platform.backup.archive import Archive
from churn_platform.champion.books import FileBook
from churn_platform.champion.receipts import Ledger
from churn_platform.champion.registry import Registry, Version
from churn_platform.home import Home
from churn_platform.local.decisions import Decisions
from churn_platform.local.first_start import first_start
from churn_platform.local.runs import Runs
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform_tests.decision_cases import Desk, evaluation
from churn_platform_tests.homes import scores_are_stale

KILLED = -signal.SIGKILL


def context() -> ForkServerContext:
    """What makes such processes."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(
        ["great_expectations", "evidently.presets", "mlflow.sklearn", "churn_platform.definitions"]
    )
    return made


def run(*calls: tuple[Callable[..., None], Sequence[Any]]) -> list[int | None]:
    """Run these at once, each in its own process, and return their exit codes."""
    made = context()
    started: list[BaseProcess] = [made.Process(target=call, args=tuple(arguments)) for call, arguments in calls]
    for process in started:
        process.start()
    for process in started:
        process.join(180)
    return [process.exitcode for process in started]


def die() -> None:
    """End this process as the kernel would."""
    os.kill(os.getpid(), signal.SIGKILL)


def back_up_and_die(settings: Settings, file: Path) -> None:
    """Back up a platform, and be killed while the backup is written."""
    Archive.add = dying_at(Archive.add, 5, after=True)  # type: ignore[method-assign]
    making.make(Home(settings), file, lambda _: None)


def dying_at(function: Callable[..., Any], call: int, *, after: bool) -> Callable[..., Any]:
    """The function, changed so that its `call`-th call ends the process, before it begins or after it is done."""
    calls = 0

    def dying(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            die()
        result = function(*arguments, **named)
        if calls == call:
            die()
        return result

    return dying


def close(settings: Settings, month: Month) -> None:
    """Close a month."""
    list(Runs(settings).close(month))


def close_and_die(settings: Settings, month: Month, file: str) -> None:
    """Close a month, killed when a file of the lake has been written but not yet moved into place."""

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.rename" and Path(arguments[1]) == settings.lake / file:
            die()

    sys.addaudithook(watch)  # Python reports a rename before doing it
    close(settings, month)


def retrain(settings: Settings, month: Month) -> None:
    """Train, compare, settle."""
    Runs(settings).retrain(month)


def _kill_at(place: str, after: bool) -> None:
    """This process dies at the first call of a method, such as `receipts.Ledger.confirm`."""
    from importlib import import_module

    module, owner, name = place.rsplit(".", 2)
    holder = getattr(import_module(module), owner)
    setattr(holder, name, dying_at(getattr(holder, name), 1, after=after))


def retrain_and_die(settings: Settings, month: Month, place: str, after: bool) -> None:
    """Retrain, killed there."""
    _kill_at(place, after)
    retrain(settings, month)


def roll_back_and_die(settings: Settings, place: str, after: bool) -> None:
    """Roll back as the command does, killed there."""
    _kill_at(place, after)
    decisions = Decisions(Runs(settings))
    decisions.roll_back("killed")
    decisions.told()


def settle(folder: Path) -> None:
    """Settle the second version's evaluation against the first, at a desk in this folder."""
    Desk(folder).settle(evaluation(2, 1))


def write_receipts(folder: Path, count: int) -> None:
    """Write this many receipts."""
    ledger = Ledger(FileBook(folder))
    for number in range(1, count + 1):
        version = Version(number, Month(2024, 1), 0.8, "run", "uri", f"digest {number}")
        with ledger.locked():
            ledger.intend(
                verdict="appointed", by="ann", reason="a", version=version, before=None, after=number, run_id="run"
            )
            ledger.confirm()


def live(settings: Settings, first_start_months: int) -> None:
    """Live through a first start with some of the delivered months, then close the others."""
    drops = sorted(settings.drops.iterdir())
    later = settings.drops.with_name("later")
    later.mkdir()
    for drop in drops[first_start_months:]:
        drop.rename(later / drop.name)
    list(first_start(settings))
    runs = Runs(settings)
    newest = max(runs.delivered())
    if scores_are_stale(runs.home, newest):
        runs.run(REFRESH, newest)
    for number, drop in enumerate(drops[first_start_months:], 1):
        (later / drop.name).rename(drop)
        list(runs.close(newest + number))


def open_registry(uri: str, folder: Path) -> None:
    """Ask a registry for its champion."""
    Registry(uri, folder / "artifacts").champion()


def open_registry_and_die(uri: str, folder: Path, statement: int) -> None:
    """The same, killed at a statement that changes the database."""
    _die_at(statement)
    open_registry(uri, folder)


def make_mlflow_tables(uri: str) -> None:
    """Open a store as other programs do, such as MLflow's own server."""
    from mlflow import MlflowClient

    MlflowClient(uri).search_experiments()


def make_mlflow_tables_and_die(uri: str, statement: int) -> None:
    """The same, killed at a statement that changes the database."""
    _die_at(statement)
    make_mlflow_tables(uri)


def use_instance(settings: Settings) -> None:
    """Open Dagster's instance, keep an event and read it back."""
    import dagster as dg

    with open_instance(settings) as instance:
        key = dg.AssetKey(f"made by {os.getpid()}")
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
        assert instance.get_latest_materialization_event(key) is not None
        assert instance.get_runs() == []
        assert instance.all_instigator_state() == []


def use_instance_and_die(settings: Settings, statement: int) -> None:
    """The same, killed at a statement that changes the database."""
    _die_at(statement)
    use_instance(settings)


def make_dagster_tables_and_die(settings: Settings, statement: int) -> None:
    """Open the instance as the first version did, killed at a statement that changes the database."""
    import dagster as dg

    _die_at(statement)
    prepare(settings)
    dg.DagsterInstance.get()


def _die_at(statement: int) -> None:
    """Be killed right after the n-th statement that changes a database."""
    import sqlalchemy

    changes = 0

    @sqlalchemy.event.listens_for(sqlalchemy.Engine, "after_cursor_execute")
    def _(_: object, __: object, text: str, *___: object) -> None:
        nonlocal changes
        changes += text.lstrip().startswith(("CREATE", "ALTER", "INSERT", "UPDATE", "DROP"))
        if changes == statement:
            die()
