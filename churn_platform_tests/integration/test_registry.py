"""The registry: what MLflow does not have or cannot answer is said in one sentence, and can be asked for again."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from unittest.mock import Mock

import pytest
import sqlalchemy

from churn_platform.champion import opening
from churn_platform.champion.registry import Registry, RegistryError, Version
from churn_platform.champion.twins import identical
from churn_platform.home import Home
from churn_platform.months import Month
from churn_platform_tests import homes


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """An embedded store, made when it is first used, without a version."""
    return Home(homes.settings_of(tmp_path_factory.mktemp("registry"))).registry


def test_before_the_first_version(registry: Registry) -> None:
    assert registry.champion() is None
    with pytest.raises(RegistryError, match=r"^streamflow_churn has no version 3; it has none yet$"):
        registry.version(3)


def test_opening_costs_nothing(tmp_path: Path) -> None:
    home = Home(homes.settings_of(tmp_path))
    assert home.registry.name == f"sqlite:///{tmp_path}/home/mlflow/mlflow.db"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def _impatient() -> Iterator[None]:
    """MLflow waits 20 s for a lock, and no setting changes that."""

    def hurry(_: object, __: object, statement: str, parameters: object, *___: object) -> tuple[str, object]:
        return statement.replace("busy_timeout = 20000", "busy_timeout = 50"), parameters

    listener = (sqlalchemy.Engine, "before_cursor_execute", hurry)
    sqlalchemy.event.listen(*listener, retval=True)
    yield
    sqlalchemy.event.remove(*listener)


@pytest.mark.usefixtures("_impatient")
def test_a_locked_store_is_told_and_can_be_asked_again(registry: Registry) -> None:
    assert registry.champion() is None
    path, again = registry.uri.removeprefix("sqlite:///"), Registry(registry.uri, registry.artifacts)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            RegistryError, match=r"the MLflow store sqlite:///.*mlflow\.db.* does not answer: .*locked.*run"
        ):
            again.champion()
        other.execute("COMMIT")
    other.close()
    assert again.champion() is None


def test_an_unreachable_store_is_told(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: every connection is refused
        registry = Registry(f"http://127.0.0.1:{closed.getsockname()[1]}", tmp_path)
        with pytest.raises(RegistryError, match=r"the MLflow store http://127\.0\.0\.1:\d+ does not answer: "):
            registry.champion()


def test_a_store_that_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 1000)
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
    with pytest.raises(RegistryError, match="not a database"):
        registry.champion()


@contextmanager
def dripping() -> Iterator[str]:
    """The address of a server that begins each answer at once, and sends a byte now and then for ever."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
            while not over.wait(0.02):
                connection.sendall(b" ")

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("ask", [Registry.champion, Registry.anchor, lambda registry: registry.version(1)])
def test_a_server_that_never_ends_its_answer_is_not_waited_for(
    ask: Callable[[Registry], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "seconds", 0.5)
    with dripping() as address, pytest.raises(RegistryError) as raised:
        ask(Registry(address, tmp_path))
    assert str(raised.value).startswith(f"the MLflow store {address} has not answered within ")


def test_looking_for_a_twin_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "seconds", 0.2)
    monkeypatch.setattr(Registry, "version", lambda *_: Version(2, Month(2024, 1), 0.5, "run", "uri", "hash"))
    registry = Registry("http://127.0.0.1:1", tmp_path)
    registry.client = Mock(**{"search_model_versions.side_effect": lambda _: sleep(3)})
    with pytest.raises(RegistryError, match="has not answered within "):
        identical(registry, 2)


def test_a_postgresql_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_CONNECT_SECONDS", 2)  # the least that PostgreSQL's driver takes
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        registry = Registry(f"postgresql://churn:hidden@{address}/mlflow", tmp_path)
        with pytest.raises(RegistryError, match=rf"the MLflow store postgresql://{address}/mlflow does not answer: "):
            registry.champion()


def test_messages_hold_no_password(tmp_path: Path) -> None:
    registry = Registry("postgresql://churn:hidden@127.0.0.1:1/mlflow", tmp_path)
    assert registry.name == "postgresql://127.0.0.1:1/mlflow"
    with pytest.raises(RegistryError, match="does not answer: ") as raised, registry.reachable():
        sqlalchemy.create_engine(registry.uri).connect()  # as MLflow does, which would try ten times within 100 s
    assert "hidden" not in str(raised.value)


def test_a_fault_without_words_is_told_all_the_same(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="does not answer"), registry.reachable():
        raise OSError
