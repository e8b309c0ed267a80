"""Fixtures that several test files share.

Session fixtures may only be read: a test that changes one fails. Change a copy instead (`Platform.copy`).
"""

from __future__ import annotations

import fcntl
import gc
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import settings as hypothesis_settings

from churn_platform.__main__ import YOUNG
from churn_platform.champion.quiet import quiet_mlflow
from churn_platform.home import Home
from churn_platform.lake import Lake
from churn_platform.settings import Settings
from churn_platform_tests import homes
from churn_platform_tests import postgres as postgres_server
from churn_platform_tests.drawings import draw, draw_once
from churn_platform_tests.frozen import Frozen
from churn_platform_tests.stores import EmptyStores, keep_engines
from churn_platform_tests.streamflow import STREAMFLOW

# Examples depend only on the test, so that what passes once passes again.
hypothesis_settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis_settings.load_profile("repeatable")


UMASK = os.umask(0o022)
os.umask(UMASK)

IN_MEMORY, ROOM = Path("/dev/shm"), 8 * 1024**3
"""Where tests write if there is so much room (bytes): they commit to hundreds of databases, and disks take long."""


def _has_room() -> bool:
    try:
        room = os.statvfs(IN_MEMORY)
        told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        memory = int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return False
    runs_programs = not room.f_flag & os.ST_NOEXEC
    return runs_programs and os.access(IN_MEMORY, os.W_OK) and min(memory, room.f_bavail * room.f_frsize) >= ROOM


def pytest_configure() -> None:
    """Before any test is imported: ignore a person's own settings, and make MLflow as quiet as it is in use.

    What a shell runs in the background ignores SIGINT, all that it starts inherits that, and Dagster's services then
    ignore SIGTERM as well. As programs of containers do, those of tests begin with the system's own handling.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.set_threshold(YOUNG)  # as the command line has it
    for name in [name for name in os.environ if name.startswith("CHURN_")]:
        del os.environ[name]
    quiet_mlflow()
    if not {"TMPDIR", "PYTEST_DEBUG_TEMPROOT"} & os.environ.keys() and _has_room():
        os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = str(IN_MEMORY)


def pytest_collection_finish() -> None:
    """Have Python look for garbage in nothing that the tests themselves consist of: they stay to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _cheap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In this process, copy the platform's empty stores, keep Dagster's engines, and draw each kind of graph once."""
    with pytest.MonkeyPatch.context() as patch:
        EmptyStores(tmp_path_factory.mktemp("empty_stores")).copy_instead(patch)
        keep_engines(patch)
        draw_once(patch)
        yield


@pytest.fixture(scope="module")
def drawn() -> Iterator[None]:
    """Draw every graph of a drift report, for tests that look at them."""
    with pytest.MonkeyPatch.context() as patch:
        draw(patch)
        yield


@pytest.fixture(autouse=True)
def _dagster_home() -> Iterator[None]:
    """Put DAGSTER_HOME back: opening an instance sets it."""
    before = os.environ.get("DAGSTER_HOME")
    yield
    if before is None:
        os.environ.pop("DAGSTER_HOME", None)
    else:
        os.environ["DAGSTER_HOME"] = before


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Put the umask back: the command line sets it."""
    os.umask(UMASK)
    yield
    os.umask(UMASK)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", STREAMFLOW)


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """The first month of a company of 60 customers, free to be changed."""
    return homes.deliver(tmp_path / "drops")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL, as its superuser. The tests of serving and of Dagster use its database."""
    with postgres_server.running() as url:
        yield url


@dataclass(frozen=True)
class Platform:
    """A platform on disk and its command line."""

    settings: Settings

    @property
    def home(self) -> Home:
        return Home(self.settings)

    @property
    def said(self) -> list[str]:
        """What the command line said while a shared platform was made, by line."""
        return _said(self.settings.home.parent).read_text().splitlines()

    def churn(self, *arguments: str) -> Result:
        """Call the command line in this process."""
        from churn_platform.cli import main

        settings = self.settings
        environment = {
            "CHURN_HOME": str(settings.home),
            "CHURN_DROPS": str(settings.drops),
            "CHURN_ESTIMATOR": settings.estimator,
            "CHURN_MIN_TRAINING_CUSTOMERS": str(settings.min_training_customers),
        }
        environment |= {"CHURN_COMPANY": str(settings.company)} if settings.company else {}
        return CliRunner().invoke(main, arguments, env=environment)

    def copy(self, folder: Path) -> Platform:
        """A copy with its drops, free to be changed."""
        return Platform(homes.copied(self.settings, folder))


def quick_platform(folder: Path, declaration: str) -> Platform:
    """A platform of the company that is declared so, with the estimator that trains fastest."""
    company = folder / "company.toml"
    company.write_text(declaration)
    return Platform(
        homes.settings_of(folder, company=company, min_training_customers=50, estimator="logistic_regression")
    )


def done(platform: Platform, *arguments: str, exit_code: int = 0) -> str:
    """What a command says that has to end with this exit code, and never with a bug."""
    result = platform.churn(*arguments)
    assert result.exit_code == exit_code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.output


def _said(folder: Path) -> Path:
    return folder / "said.txt"


def _shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], str]) -> Platform:
    """A platform that one run's test processes share, since making it takes seconds: the first process makes it."""
    folder = factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / name
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _said(folder).exists():
            _said(folder).write_text(make(folder))
    return Platform(homes.settings_of(folder))


def _told(platform: Platform, *arguments: str) -> str:
    result = platform.churn(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def _closing(months: int, customers: int, *commands: tuple[str, ...]) -> Callable[[Path], str]:
    """How a company's drops are written and closed; returns what the command line said."""

    def make(folder: Path) -> str:
        platform = Platform(homes.settings_of(folder))
        homes.deliver(platform.settings.drops, months, customers)
        told = "".join(_told(platform, *command) for command in commands)
        assert platform.home.registry.champion() is None  # makes the MLflow store, once for all copies
        return told

    return make


@pytest.fixture(scope="session")
def _begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Platform, Frozen]:
    platform = _shared(tmp_path_factory, "begun", _closing(2, 60, ("close", "2024-01")))
    return platform, Frozen(platform.settings.home, platform.settings.drops)


@pytest.fixture(scope="session")
def _closed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Platform, Frozen]:
    platform = _shared(tmp_path_factory, "closed", _closing(3, homes.CUSTOMERS, ("close", "--all")))
    return platform, Frozen(platform.settings.home, platform.settings.drops)


@pytest.fixture(scope="session")
def _trained(_closed: tuple[Platform, Frozen], tmp_path_factory: pytest.TempPathFactory) -> tuple[Platform, Frozen]:
    def make(folder: Path) -> str:
        platform = _closed[0].copy(folder)
        return "".join(_told(platform, "retrain", month) for month in ("2024-01", "2024-02", "2024-02"))

    platform = _shared(tmp_path_factory, "trained", make)
    return platform, Frozen(platform.settings.home, platform.settings.drops)


@pytest.fixture
def begun(_begun: tuple[Platform, Frozen]) -> Iterator[Platform]:
    """A platform with two months of a company of 60 customers delivered, the first one closed."""
    platform, frozen = _begun
    yield platform
    frozen.check()


@pytest.fixture
def closed(_closed: tuple[Platform, Frozen]) -> Iterator[Platform]:
    """A platform with three months of a company of 500 customers closed, and nothing trained."""
    platform, frozen = _closed
    yield platform
    frozen.check()


@pytest.fixture
def company(closed: Platform) -> Path:
    """That company's drops."""
    return closed.settings.drops


@pytest.fixture
def trained(_trained: tuple[Platform, Frozen]) -> Iterator[Platform]:
    """The same, with version 1 for the first month, and versions 2 and 3, twins, for the second."""
    platform, frozen = _trained
    yield platform
    frozen.check()
