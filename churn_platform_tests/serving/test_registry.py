"""Resolving the champion: from MLflow's SQLite file, and from a real tracking server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from churn_platform_tests.serving.world import World
from serving.registry import ALIAS, MODEL, RegistryUnavailableError, RegistryUriError, open_registry

if TYPE_CHECKING:
    pass


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
