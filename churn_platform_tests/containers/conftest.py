"""Fixtures of the containers' tests: images are built once, and all tests share a stack, in order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from churn_platform_tests import homes
from churn_platform_tests.containers import engine, images
from churn_platform_tests.containers.stack import Stack

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
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole, with two months delivered."""
    drops = tmp_path_factory.mktemp("drops") / "drops"
    homes.deliver(drops, months=2, customers=homes.CUSTOMERS)
    for path in (drops, *drops.rglob("*"), *drops.parents[:3]):
        path.chmod(0o755 if path.is_dir() else 0o644)  # user 10001 reads them
    made = Stack(SERVICES, {**PASSWORDS, **SETTINGS}, {"./data/seeds": drops})
    try:
        made.start()
        yield made
    finally:
        made.remove()
