"""Fixtures that several test files share. Those of a session are to be read only; change a copy (`homes.copied`)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import settings as hypothesis_settings

from churn_platform.champion.registry import quiet_mlflow
from churn_platform.home import Home
from churn_platform.lake import Lake
from churn_platform.settings import Settings
from churn_platform_tests import homes
from churn_platform_tests import postgres as postgres_server

# Examples follow from the test alone, so that what passes once passes again.
hypothesis_settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis_settings.load_profile("repeatable")


def pytest_configure() -> None:
    """Before any test is imported: a person's own settings decide nothing here, and MLflow is as quiet as in use."""
    for name in [name for name in os.environ if name.startswith("CHURN_")]:
        del os.environ[name]
    quiet_mlflow()


@pytest.fixture(autouse=True)
def _dagster_home() -> Iterator[None]:
    """Put DAGSTER_HOME back: opening an instance sets it."""
    before = os.environ.get("DAGSTER_HOME")
    yield
    if before is None:
        os.environ.pop("DAGSTER_HOME", None)
    else:
        os.environ["DAGSTER_HOME"] = before


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """The first month of a company of 60 customers, free to be changed."""
    return homes.deliver(tmp_path / "drops")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL, as its superuser. Its database is serving's and Dagster's tests'."""
    with postgres_server.running() as url:
        yield url


@dataclass(frozen=True)
class Platform:
    """A platform on disk and its command line; `answers` holds what that has said so far."""

    settings: Settings
    answers: list[Result] = field(default_factory=list)

    @property
    def home(self) -> Home:
        return Home(self.settings)

    def churn(self, *arguments: str) -> Result:
        """Call the command line in this process."""
        from churn_platform.cli import main

        settings = self.settings
        environment = {"CHURN_HOME": str(settings.home), "CHURN_DROPS": str(settings.drops)}
        result = CliRunner().invoke(main, arguments, env=environment)
        self.answers.append(result)
        return result

    def copy(self, folder: Path) -> Platform:
        """A copy with its drops, free to be changed."""
        return Platform(homes.copied(self.settings, folder))


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A platform with three months of a company of 500 customers closed, and nothing trained.

    The test processes of one run share it: closing takes seconds. What the command line said is in `said.txt`.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "closed"
    folder.mkdir(exist_ok=True)
    platform, said = Platform(homes.settings_of(folder)), folder / "said.txt"
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            homes.deliver(platform.settings.drops, months=3, customers=homes.CUSTOMERS)
            result = platform.churn("close", "--all")
            assert result.exit_code == 0, result.output
            assert platform.home.registry.champion() is None  # makes the MLflow store, once for all copies
            said.write_text(result.stdout)
    return platform


@pytest.fixture(scope="session")
def company(closed: Platform) -> Path:
    """That company's drops."""
    return closed.settings.drops


@pytest.fixture(scope="session")
def trained(closed: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The same, with version 1 for the first month, and versions 2 and 3, twins, for the second."""
    platform = closed.copy(tmp_path_factory.mktemp("trained"))
    for month in ("2024-01", "2024-02", "2024-02"):
        result = platform.churn("retrain", month)
        assert result.exit_code == 0, result.output
    return platform
