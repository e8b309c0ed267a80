"""Fixtures of the containers' tests: images are built once, and all tests share a stack, in order."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from churn_platform_tests import homes
from churn_platform_tests.containers import engine, images
from churn_platform_tests.containers.stack import OWNER, Stack

PASSWORDS = {
    "POSTGRES_PASSWORD": "a9f3secret",
    "SERVING_PASSWORD": "d6c5secret",
    "GRAFANA_PASSWORD": "b8e4secret",
    "CHURN_API_TOKEN": "c7d5secret",
}
SETTINGS = {
    "CHURN_SETTLE_SECONDS": "3600",  # so that the sensors leave the months to the tests
    "CHURN_SENSOR_SECONDS": "3600",
}
SERVICES = [
    "postgres", "mlflow", "storage", "serving-role", "code-server", "dagster-webserver", "dagster-daemon", "serving",
    "prometheus",
]  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def _images() -> None:
    if why := engine.missing():
        pytest.exit(why, returncode=1)
    images.make_all()


@pytest.fixture(scope="session")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for backups, made as the documentation says."""
    folder = readable(tmp_path_factory.mktemp("backups"))
    os.chown(folder, OWNER, OWNER)
    return folder


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, backups: Path) -> Iterator[Stack]:
    """The whole, with two months delivered."""
    drops = tmp_path_factory.mktemp("drops") / "drops"
    homes.deliver(drops, months=2, customers=homes.CUSTOMERS)
    with made(SERVICES, {"./data/seeds": readable(drops), "./backups": backups}) as whole:
        whole.start()
        yield whole


@contextmanager
def made(services: list[str], places: dict[str, Path], **variables: str) -> Iterator[Stack]:
    """A stack that is not started, and leaves nothing."""
    stack = Stack(services, {**PASSWORDS, **SETTINGS, **variables}, places)
    try:
        yield stack
    finally:
        stack.remove()


def readable(folder: Path) -> Path:
    """The folder, which user 10001 may read now."""
    outside = Path(tempfile.gettempdir())
    parents = [path for path in folder.parents if path.is_relative_to(outside) and path != outside]
    for path in (folder, *folder.rglob("*"), *parents):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder
