"""First opening: stores are made whole, by one process, and what a kill has left of them is made good."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from churn_platform.automation.instance import open_instance
from churn_platform.champion import opening
from churn_platform.champion.registry import EXPERIMENT, Registry, RegistryError
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.settings import Settings
from churn_platform_tests import homes, processes


@contextmanager
def database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The URL of an empty database, whose name no other test uses: MLflow remembers which stores have tables."""
    server, name = request.getfixturevalue("postgres"), sql.Identifier(folder.name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield server.replace("/postgres?", f"/{folder.name}?")
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(params=["sqlite", "postgres"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URI of an MLflow store that is not there yet, or an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
        return
    with database(request, tmp_path) as url:
        yield url


def names(uri: str, folder: Path) -> list[str]:
    """The store's experiments, as this process sees them when it opens the store."""
    registry = Registry(uri, folder / "artifacts")
    assert registry.champion() is None
    return sorted(found.name for found in registry.client.search_experiments())


def test_two_first_commands_at_once(uri: str, tmp_path: Path) -> None:
    assert processes.run(*[(processes.open_registry, (uri, tmp_path))] * 3) == [0, 0, 0]
    assert names(uri, tmp_path) == ["Default", EXPERIMENT]


@pytest.mark.parametrize("statement", [1, 9, 40, 90])
def test_killed_while_the_tables_are_made(statement: int, uri: str, tmp_path: Path) -> None:
    killed = processes.run((processes.open_registry_and_die, (uri, tmp_path, statement)))
    assert killed == [processes.KILLED]
    assert names(uri, tmp_path) == ["Default", EXPERIMENT]
    assert {path.name for path in tmp_path.glob("mlflow/*")} in (set(), {"mlflow.db", ".lock"})
    assert names(uri, tmp_path) == ["Default", EXPERIMENT]


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """The settings of a home without Dagster's storage."""
    if request.param == "sqlite":
        yield Settings(home=tmp_path / "home")
        return
    with database(request, tmp_path) as url:
        yield Settings(home=tmp_path / "home", postgres_url=url)


def test_two_first_commands_at_once_open_one_instance(settings: Settings) -> None:
    assert processes.run(*[(processes.use_instance, (settings,))] * 3) == [0, 0, 0]
    assert processes.run((processes.use_instance, (settings,))) == [0]


@pytest.mark.parametrize("statement", [1, 9, 25, 45, 60])
def test_killed_while_dagsters_tables_are_made(statement: int, settings: Settings) -> None:
    killed = processes.run((processes.use_instance_and_die, (settings, statement)))
    assert killed == [processes.KILLED]
    assert processes.run((processes.use_instance, (settings,))) == [0]
    assert not (settings.dagster_home / ".storage.new").exists()


@pytest.mark.parametrize("statement", [1, 9, 25, 45, 60])
def test_what_a_kill_of_an_earlier_version_left_of_dagsters_is_made_good(statement: int, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    killed = processes.run((processes.make_dagster_tables_and_die, (settings, statement)))
    assert killed == [processes.KILLED]
    assert processes.run((processes.use_instance, (settings,))) == [0]


def test_a_storage_with_runs_is_never_made_anew(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with open_instance(settings) as instance:
        instance.add_run(dg.DagsterRun(job_name="month_close"))
    index = settings.dagster_home / "history" / "runs" / "index.db"
    index.unlink()
    with open_instance(settings) as instance:  # Dagster makes it from the runs
        assert [run.job_name for run in instance.get_runs()] == ["month_close"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mlflow.db"


@pytest.mark.parametrize("statement", [1, 9, 40, 90])
def test_what_a_kill_of_an_earlier_version_left_is_made_good(statement: int, path: Path, tmp_path: Path) -> None:
    killed = processes.run((processes.make_mlflow_tables_and_die, (f"sqlite:///{path}", statement)))
    assert killed == [processes.KILLED]
    assert names(f"sqlite:///{path}", tmp_path) == ["Default", EXPERIMENT]


def test_an_empty_file_is_made_good(path: Path, tmp_path: Path) -> None:
    path.touch()
    assert names(f"sqlite:///{path}", tmp_path) == ["Default", EXPERIMENT]


def test_a_store_that_has_lost_its_versions_is_told(path: Path, tmp_path: Path) -> None:
    path.touch()
    (tmp_path / "artifacts" / "a run").mkdir(parents=True)
    with pytest.raises(Fault, match=rf"{re.escape(str(path))} has lost its tables, .* restore both from a backup"):
        names(f"sqlite:///{path}", tmp_path)
    assert path.stat().st_size == 0


def test_whole_tables_without_the_experiment_stay(path: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{path}"
    assert processes.run((processes.make_mlflow_tables, (uri,))) == [0]
    before = path.stat().st_ino  # another program may have it open
    assert names(uri, tmp_path) == ["Default", EXPERIMENT]
    assert path.stat().st_ino == before


def test_tables_that_somebody_uses_are_never_made_anew(path: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{path}"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE registered_models (name TEXT); INSERT INTO registered_models VALUES ('m')")
    with pytest.raises(RegistryError, match=r"mlflow\.db"):
        names(uri, tmp_path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM registered_models").fetchall() == [("m",)]


def test_a_journal_that_was_left_behind_does_not_reach_the_new_file(path: Path, tmp_path: Path) -> None:
    path.touch()
    path.with_name("mlflow.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(2000))
    assert names(f"sqlite:///{path}", tmp_path) == ["Default", EXPERIMENT]


def test_opening_a_store_again_only_asks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Home(homes.settings_of(tmp_path)).registry
    assert registry.champion() is None
    monkeypatch.setattr(opening, "locked", None)
    assert Home(homes.settings_of(tmp_path)).registry.champion() is None
