"""Resolving the champion: from MLflow's SQLite file, and from a real tracking server."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.world import World, mlflow_client, user_id, write_bundle
from serving.registry import ALIAS, MODEL, Registered, RegistryUnavailableError, RegistryUriError, open_registry

if TYPE_CHECKING:
    from mlflow import MlflowClient


def test_sqlite_gives_the_champion_and_its_tags(world: World) -> None:
    registry = open_registry(world.settings.mlflow_uri, 1)
    found = asyncio.run(registry.champion())
    assert found is not None
    assert (found.version.number, found.version.month) == (1, "2024-02")
    assert asyncio.run(registry.read(found.bundle_uri, "manifest.json")).startswith(b"{")
    assert asyncio.run(registry.read(str(world.bundle_folder(1)), "golden.json")).startswith(b"[")
    assert asyncio.run(registry.version(1)) == found
    with pytest.raises(RegistryUnavailableError, match="no version 2 of streamflow_churn"):
        asyncio.run(registry.version(2))


def test_sqlite_without_the_alias_or_the_model(new_world: Callable[..., World]) -> None:
    world = new_world()
    assert asyncio.run(open_registry(world.settings.mlflow_uri, 1).champion()) is None
    world.promote(world.register(1))
    world.client.delete_registered_model_alias(MODEL, ALIAS)
    assert asyncio.run(open_registry(world.settings.mlflow_uri, 1).champion()) is None


def test_sqlite_that_cannot_be_read(tmp_path: Path) -> None:
    registry = open_registry(f"sqlite:///{tmp_path / 'mlflow.db'}", 1)
    with pytest.raises(RegistryUnavailableError, match="cannot be read"):
        asyncio.run(registry.champion())
    assert list(tmp_path.iterdir()) == []  # looking must not make the file, or MLflow would find it
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(RegistryUnavailableError, match="no such table"):
        asyncio.run(registry.champion())
    with pytest.raises(RegistryUnavailableError, match=r"manifest\.json"):
        asyncio.run(registry.read(str(tmp_path), "manifest.json"))


def test_a_version_without_its_tags_is_refused(world: World) -> None:
    world.client.delete_model_version_tag(MODEL, "1", "bundle_sha256")
    found = asyncio.run(open_registry(world.settings.mlflow_uri, 1).champion())
    assert found is not None
    with pytest.raises(RegistryUnavailableError, match="version 1 of streamflow_churn lacks the tags bundle_sha256"):
        assert found.version


def test_other_stores_are_refused() -> None:
    with pytest.raises(RegistryUriError, match="CHURN_MLFLOW_TRACKING_URI"):
        open_registry("postgresql://localhost/mlflow", 1)


def test_a_server_that_is_down_or_none() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound, but nobody listens
        registry = open_registry(f"http://user:secret@127.0.0.1:{silent.getsockname()[1]}", 1)
        with pytest.raises(RegistryUnavailableError, match="does not answer") as refused:
            asyncio.run(registry.champion())
        assert "secret" not in str(refused.value)
    with pytest.raises(RegistryUnavailableError, match="not proxied"):
        asyncio.run(registry.read("s3://bucket/bundle", "manifest.json"))


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real tracking server that proxies its artifacts."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # As in use: its workers would only cost time.
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        with httpx.Client(base_url=url) as client:  # making a client takes longer than asking
            while True:
                try:
                    if client.get("/health").status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
        yield url
    finally:
        os.killpg(process.pid, 15)  # it has workers
        process.wait()


def test_a_real_tracking_server(
    mlflow_server: str, new_world: Callable[..., World], serve: Callable[..., Service], tmp_path: Path
) -> None:
    asyncio.run(_asked(mlflow_server, mlflow_client(mlflow_server), tmp_path / "bundle"))

    world = new_world(mlflow_tracking_uri=mlflow_server, serving_timeout_seconds=5)
    world.publish(3)
    service = serve(world.settings)
    answer = service.client.post("/predict", json={"user_id": user_id(0)}).json()
    assert answer["model_version"] == 1


async def _asked(url: str, client: MlflowClient, folder: Path) -> None:
    """What a reader says of a server before there is a model, an alias, a bundle, and after."""
    registry = open_registry(url, 5)
    assert await registry.champion() is None  # no such model
    client.create_registered_model(MODEL)
    assert await registry.champion() is None  # no such alias
    digest = write_bundle(folder, "2024-02", 1)
    run = client.create_run(client.create_experiment("churn"))
    client.log_artifacts(run.info.run_id, str(folder), "bundle")
    uri = f"{run.info.artifact_uri}/bundle"
    assert uri.startswith("mlflow-artifacts:/")
    tags = {"month": "2024-02", "bundle_uri": uri, "bundle_sha256": digest}
    client.create_model_version(MODEL, uri, run_id=run.info.run_id, tags=tags)
    client.set_registered_model_alias(MODEL, ALIAS, "1")
    assert await registry.champion() == await registry.version(1) == Registered(1, tags)
    with pytest.raises(RegistryUnavailableError, match="404"):
        await registry.read(uri, "nothing.json")
    with pytest.raises(RegistryUnavailableError, match="no version 2"):
        await registry.version(2)
    await registry.close()
