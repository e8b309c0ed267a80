"""What serving's tests share: a template registry, a real PostgreSQL, a running server."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn

from churn_platform.settings import Settings
from churn_platform_tests.frozen import Frozen
from churn_platform_tests.serving.world import World, mlflow_template
from serving.app import create_app
from serving.run import server


@pytest.fixture(scope="session", autouse=True)
def _hurry() -> Iterator[None]:
    """Have Uvicorn look a hundred times a second whether it has to stop, not ten, and wait no longer once it has to.

    Tests start and stop hundreds of servers, and would do nothing for a minute in all.
    """
    hurried = ModuleType("asyncio")
    vars(hurried).update(vars(asyncio), sleep=lambda seconds: asyncio.sleep(seconds / 10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.server, "asyncio", hurried)
        yield


@pytest.fixture(scope="session")
def registry_template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A migrated, empty MLflow store to copy."""
    template = mlflow_template(tmp_path_factory.mktemp("mlflow"))
    frozen = Frozen(template)
    yield template
    frozen.check()


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty online store, on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'online' / 'store.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def postgres_url(postgres: str) -> str:
    """The URL of a PostgreSQL without an online store, and without receipts."""
    with psycopg.connect(postgres) as connection:
        connection.execute(
            "DROP TABLE IF EXISTS online_month, online_customers, online_publication, online_features, receipts"
        )
    return postgres


@pytest.fixture
def new_world(tmp_path: Path, registry_template: Path) -> Callable[..., World]:
    """Makes a World; arguments are those of World after the registry."""

    def make(online_store_url: str = "", **settings: Any) -> World:
        return World(tmp_path / "home", registry_template, online_store_url, **settings)

    return make


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """Version 1 serves 50 customers from SQLite."""
    made = new_world()
    made.promote(made.register(1))
    made.publish()
    return made


@pytest.fixture(scope="session")
def _steady(tmp_path_factory: pytest.TempPathFactory, registry_template: Path) -> Iterator[tuple[Service, Frozen]]:
    world = World(tmp_path_factory.mktemp("steady") / "home", registry_template, serving_change_limit=10_000)
    world.promote(world.register(1))
    world.publish()
    settings = world.settings
    with running(settings) as service:
        service.ready()
        store = Path(settings.online_store.removeprefix("sqlite:///"))
        yield service, Frozen(settings.mlflow_home, settings.drops, store)  # in the rest of the home, serving may write


@pytest.fixture
def steady(_steady: tuple[Service, Frozen]) -> Iterator[Service]:
    """A service for tests that change nothing: version 1 serves 50 customers."""
    service, frozen = _steady
    yield service
    frozen.check()


class Service:
    """A running server and a client of it."""

    def __init__(self, settings: Settings) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.settings = settings.model_copy(update={"serving_port": port})
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=10)
        self.edge = create_app(self.settings)
        self.server = server(self.edge, self.settings)
        # In the server's own loop policy: asyncio's plain loop, since a thread cannot receive signals.
        self._thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()), daemon=True)
        self._thread.start()
        self.until(lambda: self.server.started)

    def until(self, condition: Callable[[], object], seconds: float = 30) -> float:
        """Wait for a condition; returns how many seconds it took."""
        started = time.monotonic()
        while not condition():
            assert time.monotonic() < started + seconds, f"not within {seconds} seconds"
            time.sleep(0.005)
        return time.monotonic() - started

    def connections(self) -> int:
        """How many connections are open."""
        return len(self.server.server_state.connections)

    def ready(self) -> None:
        """Wait until predictions are answered."""
        self.until(lambda: self.client.get("/ready").status_code == 200)

    def metric(self, line: str) -> float:
        """The value of a metric, named with its labels as the text shows them; 0 if there is none."""
        for text in self.client.get("/metrics").text.splitlines():
            if text.startswith(f"{line} "):
                return float(text.rpartition(" ")[2])
        return 0.0

    def stop(self) -> None:
        """Stop as on SIGTERM."""
        self.server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.client.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Starts servers, which stop with the test. `ready=False` does not wait for predictions."""
    with ExitStack() as stack:

        def start(settings: Settings, *, ready: bool = True) -> Service:
            service = stack.enter_context(running(settings))
            if ready:
                service.ready()
            return service

        yield start


@contextmanager
def running(settings: Settings) -> Iterator[Service]:
    """A server for as long as the block lasts."""
    service = Service(settings)
    try:
        yield service
    finally:
        service.stop()
