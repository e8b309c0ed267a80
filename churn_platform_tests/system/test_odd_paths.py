"""Odd paths: a home and drops whose names mean something to Dagster, DuckDB, SQLAlchemy or MLflow are only paths."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
import sqlalchemy

from churn_platform.automation.instance import open_instance
from churn_platform.automation.launcher import WatchedRunLauncher
from churn_platform.bundle import Manifest
from churn_platform.files.links import plain
from churn_platform.local.programs import environment
from churn_platform.online.store import open_reader
from churn_platform.tables.names import FEATURES
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from serving.registry import open_registry

FOLDERS = ("a=b [c] %20d ?#", "a%2Fb", "100%", "*")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A home and drops for two months, below folders that look like patterns, URLs, and columns of a partition."""
    folder = tmp_path / "env=prod" / FOLDERS[0]
    homes.deliver(folder / "drops", months=2, customers=homes.CUSTOMERS)
    return Platform(homes.settings_of(folder))


async def serving_reads(platform: Platform) -> tuple[str, str]:
    """The months of the champion's bundle and of the online store, as serving reads them."""
    registry, reader = open_registry(platform.settings.mlflow_uri, 1), open_reader(platform.settings.online_store)
    champion, publication = await registry.champion(), await reader.publication()
    await reader.close()
    assert champion is not None
    assert publication is not None
    manifest = msgspec.json.decode(await registry.read(champion.bundle_uri, "manifest.json"), type=Manifest)
    return manifest.month, publication.month


def test_everything_works_there_and_nothing_is_written_elsewhere(platform: Platform, tmp_path: Path) -> None:
    homes.to_parquet(platform.settings.drops / "month_001" / "users.csv")
    for arguments in (
        ("close", "--all"),
        ("retrain", "2024-01"),
        ("retrain", "2024-02"),
        ("promote", "2", "--reason", "a test"),
        ("rollback",),
        ("receipts",),
    ):
        result = platform.churn(*arguments)
        assert result.exit_code == 0, result.output
    status = json.loads(platform.churn("status", "--json").stdout)
    assert [month["matured"] for month in status["months"]] == [True, True]
    assert status["champion"]["version"] == 1
    assert "env" not in platform.home.lake.read(FEATURES, homes.MONTHS[0]).columns
    assert (platform.settings.data_docs / "2024-02" / "users.html").exists()
    assert (platform.settings.reports / "drift" / "2024-02.html").exists()
    assert asyncio.run(serving_reads(platform)) == ("2024-01", "2024-02")
    assert [path.name for path in (tmp_path / "env=prod").iterdir()] == [FOLDERS[0]]
    told = str(plain(platform.settings.dagster_home).parent).encode()
    kept = [path for path in platform.settings.home.rglob("*") if path.is_file() and told in path.read_bytes()]
    assert kept == []  # a link may be gone tomorrow


@pytest.mark.parametrize("name", FOLDERS)
def test_dagster_heeds_its_settings(name: str, tmp_path: Path) -> None:
    settings = homes.settings_of(tmp_path / name)
    for _ in range(2):
        with open_instance(settings) as instance:
            assert not instance.telemetry_enabled
            assert instance.run_retries_enabled
            assert isinstance(instance.run_launcher, WatchedRunLauncher)
            assert instance.get_runs() == []
    assert (settings.dagster_home / "history" / "runs.db").exists()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_registry_is_in_its_place(name: str, tmp_path: Path) -> None:
    platform = Platform(homes.settings_of(tmp_path / name))
    assert platform.home.registry.champion() is None
    store = platform.settings.mlflow_home / "mlflow.db"
    assert store.stat().st_size > 100_000
    told = sqlalchemy.make_url(environment(platform.settings)["MLFLOW_BACKEND_STORE_URI"]).database
    assert told is not None
    assert store.samefile(told)  # which `churn up` gives MLflow's own server
    assert [path.name for path in tmp_path.iterdir()] == [name]
