"""Whatever a registry answers, the last good version serves, and `/ready` says so."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from churn_platform.settings import Settings
from churn_platform_tests.serving.conftest import Service, running
from churn_platform_tests.serving.fake_registry import (
    WAYS,
    FakeRegistry,
    Handler,
    Way,
    dripping_body,
    elsewhere,
    endless,
    fake_registry,
    rightly,
    rightly_sent,
    saying,
    silent,
)
from churn_platform_tests.serving.test_champion import version, warnings
from churn_platform_tests.serving.world import World, write_bundle
from serving.champion import Champions

Serve = Callable[..., Service]
Served = tuple[Settings, FakeRegistry]


@pytest.fixture(scope="module", params=["the alias", "a receipt"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, registry_template: Path
) -> Iterator[Served]:
    """The settings of a home that has served version 1, for this reason, and the server that named it."""
    folder = tmp_path_factory.mktemp("wrong")
    tags = {"month": "2024-02", "bundle_sha256": write_bundle(folder / "1", "2024-02", 1)}
    with fake_registry(1, tags, folder / "1") as registry:
        world = World(folder / "home", registry_template, mlflow_tracking_uri=registry.url, serving_timeout_seconds=0.5)
        world.publish()
        if request.param == "a receipt":
            (world.home / "receipts").mkdir()
            text = json.dumps({"verdict": "promoted", "version": 1, "reason": "", **tags})
            (world.home / "receipts" / "000001.json").write_text(text)
        with running(world.settings) as service:
            service.ready()
        yield world.settings, registry


@pytest.mark.parametrize("way", WAYS)
def test_the_last_good_version_serves(way: str, served: Served, caplog: pytest.LogCaptureFixture) -> None:
    settings, registry = served
    registry.way = rightly
    with running(settings) as service:
        service.ready()
        service.until(lambda: not warnings(service))
        registry.way = WAYS[way]
        service.until(lambda: "champion: " in warnings(service))
        _assert_version_1_serves(service)
    with running(settings) as service:
        service.ready()
        service.until(lambda: "champion: " in warnings(service))
        _assert_version_1_serves(service)
        registry.way = rightly
        service.until(lambda: not warnings(service))
    assert not _tracebacks(caplog)  # a bug would show one


def _tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Those of serving and its libraries. SQLAlchemy is none: it tells when an earlier test's connections are freed."""
    return [f"{r.name}: {r.exc_text}" for r in caplog.records if r.exc_info and not r.name.startswith("sqlalchemy.")]


def _assert_version_1_serves(service: Service) -> None:
    assert version(service) == 1
    [told] = service.client.get("/ready").json()["warnings"]
    assert told.endswith("; version 1, the last good one, serves") or "receipt 1 made version 1 champion" in told
    assert len(told) < 500
    assert told.isprintable()


def not_a_manifest(request: Handler) -> None:
    request.answer(b"[]", kind="application/x")


def half(request: Handler) -> None:
    whole = (request.server.folder / request.path.rpartition("/")[2]).read_bytes()
    request.answer(whole if request.path.endswith("manifest.json") else whole[: len(whole) // 2], kind="application/x")


def only_the_manifest(then: Way) -> Way:
    return lambda request: (rightly_sent if request.path.endswith("manifest.json") else then)(request)


FILES: dict[str, Way] = {
    "no manifest": not_a_manifest,
    "half of each": half,
    "dripping": dripping_body,
    "dripping model": only_the_manifest(dripping_body),
    "silent model": only_the_manifest(silent),
    "endless": only_the_manifest(endless),
    "redirect": elsewhere,
    "missing": saying("", 404),
    "HTML": saying("<html>", kind="text/html"),
}


@pytest.mark.parametrize("way", FILES)
def test_a_bundle_that_is_sent_wrongly(way: str, new_world: Callable[..., World], tmp_path: Path) -> None:
    tags = [
        {"month": "2024-02", "bundle_sha256": write_bundle(tmp_path / str(seed), "2024-02", seed)} for seed in (1, 2)
    ]
    with fake_registry(1, tags[0], tmp_path / "1") as registry:
        world = new_world(mlflow_tracking_uri=registry.url, serving_timeout_seconds=0.2)
        world.publish()
        with running(world.settings) as service:
            service.ready()
            registry.files = FILES[way]
            registry.name(2, tags[1], tmp_path / "2")
            service.until(lambda: "version 2" in warnings(service))
            assert version(service) == 1
        with running(world.settings) as service:
            service.ready()
            assert version(service) == 1
            service.until(lambda: "version 2" in warnings(service))
            service.until(lambda: "being fetched" not in warnings(service))  # it is given up
            assert version(service) == 1
            registry.files = rightly_sent
            service.until(lambda: version(service) == 2)
            service.until(lambda: not warnings(service))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")


def no_tags_table(path: Path) -> None:
    execute(path, "DROP TABLE model_version_tags")


def text_for_a_number(path: Path) -> None:
    execute(path, "UPDATE registered_model_aliases SET version = 'two'")


def bytes_in_tags(path: Path) -> None:
    execute(path, "UPDATE model_version_tags SET value = x'ff00'")


def no_text_in_tags(path: Path) -> None:
    execute(path, "UPDATE model_version_tags SET value = CAST(x'ff' AS TEXT)")


def no_path(path: Path) -> None:
    execute(path, "UPDATE model_version_tags SET value = 'a' || char(0) WHERE key = 'bundle_uri'")
    execute(path, f"UPDATE model_version_tags SET value = '{'0' * 64}' WHERE key = 'bundle_sha256'")


def html(path: Path) -> None:
    path.write_text("<html>" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def gone(path: Path) -> None:
    shutil.rmtree(path.parent)


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(statement)


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        foreign,
        no_tags_table,
        text_for_a_number,
        bytes_in_tags,
        no_text_in_tags,
        no_path,
        html,
        empty,
        folder,
        gone,
    ],
)
def test_a_damaged_file(damage: Callable[[Path], None], world: World, serve: Serve) -> None:
    service = serve(world.settings)
    damage(world.settings.mlflow_home / "mlflow.db")
    service.until(lambda: "champion: " in warnings(service))
    _assert_version_1_serves(service)
    service = serve(world.settings)
    service.until(lambda: "champion: " in warnings(service))
    _assert_version_1_serves(service)


def test_a_locked_file(new_world: Callable[..., World], serve: Serve) -> None:
    world = new_world(serving_timeout_seconds=0.2)
    world.promote(world.register(1))
    world.publish()
    serve(world.settings).stop()
    with closing(sqlite3.connect(world.settings.mlflow_home / "mlflow.db")) as database:
        database.execute("BEGIN EXCLUSIVE")
        service = serve(world.settings)
        _assert_version_1_serves(service)
        assert "CHURN_SERVING_TIMEOUT_SECONDS" in warnings(service)
        database.rollback()
        service.until(lambda: not warnings(service))


@pytest.mark.parametrize("damage", ["champion.json", "bundle"])
def test_the_version_before_serves_where_the_last_one_is_damaged(damage: str, world: World, serve: Serve) -> None:
    first = serve(world.settings)
    world.promote(world.register(2))
    first.until(lambda: version(first) == 2)
    kept = world.settings.serving_home
    if damage == "bundle":
        (kept / "bundles" / first.client.get("/model").json()["bundle_sha256"] / "model.onnx").write_bytes(b"damaged")
    else:
        (kept / "champion.json").write_text("[]")
    shutil.rmtree(world.settings.mlflow_home)
    second = serve(world.settings)
    _assert_version_1_serves(second)


def test_a_bug_does_not_end_the_watching(
    world: World, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serve(world.settings).stop()
    whole = Champions._look

    async def broken(self: Champions) -> str | None:
        if self._shelf._folder != world.settings.serving_home:  # another test's service
            return await whole(self)
        raise TypeError("a secret reason")

    monkeypatch.setattr(Champions, "_look", broken)
    service = serve(world.settings)
    _assert_version_1_serves(service)
    assert "serving has a bug, which its log shows: TypeError" in warnings(service)
    monkeypatch.setattr(Champions, "_look", whole)
    service.until(lambda: not warnings(service))
    assert caplog.text.count("Traceback") == 1  # however often it was looked at


def test_a_champion_that_cannot_be_kept_serves_all_the_same(world: World, serve: Serve) -> None:
    (world.settings.serving_home / "champion.json").mkdir(parents=True)
    service = serve(world.settings)
    assert version(service) == 1
    assert "version 1 cannot be noted for the next start: Is a directory" in warnings(service)
    (world.settings.serving_home / "champion.json").rmdir()
    service.until(lambda: not warnings(service))
