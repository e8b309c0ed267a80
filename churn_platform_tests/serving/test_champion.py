"""The champion: swaps, refusals, and what serves when the registry does not answer."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from churn_platform.bundle import Bundle, Manifest
from churn_platform.files import sha256
from churn_platform.months import Month
from churn_platform_tests.online import publish
from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.world import World, customers, user_id
from churn_platform_tests.streamflow import SCHEMA
from serving.registry import ALIAS, MODEL

Serve = Callable[..., Service]


def version(service: Service) -> int:
    return int(service.client.post("/predict", json={"user_id": user_id(0)}).json()["model_version"])


def _serves(service: Service, champion: int) -> bool:
    return version(service) == champion


def warnings(service: Service) -> str:
    return " ".join(service.client.get("/ready").json()["warnings"])


def test_promotions_and_rollbacks_are_followed(world: World, serve: Serve) -> None:
    world.register(2)
    service = serve(world.settings)
    for champion in (2, 1, 2):
        world.promote(champion)
        service.until(partial(_serves, service, champion))
        assert service.client.get("/model").json()["version"] == champion
        assert service.metric("churn_champion_version") == champion


def rewrite(folder: Path, **changes: Any) -> str:
    """Change a manifest; returns its new SHA-256."""
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    raw = msgspec.json.encode(msgspec.structs.replace(manifest, **changes))
    (folder / "manifest.json").write_bytes(raw)
    return sha256(raw)


def damaged_model(world: World) -> str:
    (world.bundle_folder(2) / "model.onnx").write_bytes(b"not a model")
    return "model.onnx is not the file"


def another_manifest(world: World) -> str:
    rewrite(world.bundle_folder(2), threshold=0.1)
    return "not the one that was registered"


def another_model(world: World) -> str:
    """The hashes match, but the probabilities do not."""
    folder = world.bundle_folder(2)
    shutil.copy(world.bundle_folder(1) / "model.onnx", folder)
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    files = {**manifest.files, "model.onnx": sha256((folder / "model.onnx").read_bytes())}
    world.client.set_model_version_tag(MODEL, "2", "bundle_sha256", rewrite(folder, files=files))
    return "golden rows differ"


def files_elsewhere(world: World) -> str:
    digest = rewrite(world.bundle_folder(2), files={"../../../stolen": "0"})
    world.client.set_model_version_tag(MODEL, "2", "bundle_sha256", digest)
    return "outside its folder"


def another_month(world: World) -> str:
    world.client.set_model_version_tag(MODEL, "2", "month", "2024-01")
    return "the registry says 2024-01"


@pytest.mark.parametrize("damage", [damaged_model, another_manifest, another_model, files_elsewhere, another_month])
def test_a_version_that_fails_its_checks_is_refused(world: World, serve: Serve, damage: Callable[[World], str]) -> None:
    service = serve(world.settings)
    world.register(2)
    reason = damage(world)
    world.promote(2)
    service.until(lambda: reason in warnings(service))
    service.until(lambda: service.metric("churn_refused_reloads_total") == 1)
    assert "version 2 was refused" in warnings(service)
    assert version(service) == 1
    world.promote(1)
    service.until(lambda: not warnings(service))
    assert service.metric("churn_refused_reloads_total") == 1  # only once, however often it was looked at


def test_a_bundle_that_is_mended_serves(world: World, serve: Serve) -> None:
    service = serve(world.settings)
    world.register(2)
    model = world.bundle_folder(2) / "model.onnx"
    good = model.read_bytes()
    model.write_bytes(good[:-1])  # as if it were still being copied
    world.promote(2)
    service.until(lambda: "refused" in warnings(service))
    model.write_bytes(good)
    service.until(lambda: version(service) == 2)


def test_no_bundle_at_all(world: World, serve: Serve) -> None:
    service = serve(world.settings)
    world.register(2)
    shutil.rmtree(world.bundle_folder(2))
    world.promote(2)
    service.until(lambda: "manifest.json cannot be read" in warnings(service))
    assert version(service) == 1


def test_without_the_registry_what_is_loaded_serves(world: World, serve: Serve) -> None:
    service = serve(world.settings)
    database = world.settings.mlflow_home / "mlflow.db"
    database.rename(database.with_suffix(".away"))
    service.until(lambda: "cannot be read" in warnings(service))
    assert version(service) == 1
    database.with_suffix(".away").rename(database)
    service.until(lambda: not warnings(service))


def test_without_the_registry_the_last_good_version_serves_from_the_start(world: World, serve: Serve) -> None:
    world.register(2)
    first = serve(world.settings)
    world.promote(2)
    first.until(lambda: version(first) == 2)
    shutil.rmtree(world.settings.mlflow_home)
    second = serve(world.settings)
    assert version(second) == 2
    assert "cannot be read" in warnings(second)


def test_a_damaged_copy_is_fetched_again(world: World, serve: Serve) -> None:
    assert version(serve(world.settings)) == 1
    [copy] = (world.settings.serving_home / "bundles").iterdir()
    (copy / "model.onnx").write_bytes(b"damaged")
    assert version(serve(world.settings)) == 1
    assert (copy / "model.onnx").read_bytes() == (world.bundle_folder(1) / "model.onnx").read_bytes()
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_without_the_registry_a_damaged_copy_does_not_serve(world: World, serve: Serve) -> None:
    serve(world.settings)
    [copy] = (world.settings.serving_home / "bundles").iterdir()
    (copy / "model.onnx").write_bytes(b"damaged")
    shutil.rmtree(world.settings.mlflow_home)
    service = serve(world.settings, ready=False)
    service.until(lambda: "cannot be read" in service.client.get("/ready").text)
    answer = service.client.post("/predict", json={"user_id": user_id(0)})
    assert answer.status_code == 503


def test_no_champion_is_503_until_there_is_one(new_world: Callable[..., World], serve: Serve) -> None:
    world = new_world()
    world.publish()
    service = serve(world.settings, ready=False)
    service.until(lambda: "names none" in service.client.get("/ready").text)
    for path in ("/model", "/ready"):
        assert service.client.get(path).status_code == 503
    answer = service.client.post("/predict", json={"user_id": user_id(0)})
    assert (answer.status_code, answer.json()["missing"]) == (503, ["champion: the registry names none"])
    world.promote(world.register(1))
    service.ready()
    world.client.delete_registered_model_alias(MODEL, ALIAS)
    service.until(lambda: "names none" in warnings(service))
    assert version(service) == 1


@pytest.fixture
def split(world: World) -> World:
    """Version 2, which can do without the fee, is the champion, and what is published has none."""
    folder = world.bundle_folder(world.register(2))
    schema = [msgspec.structs.replace(f, required=False) if f.name == "monthly_fee" else f for f in SCHEMA]
    (folder / "feature_schema.json").write_bytes(msgspec.json.encode(schema))
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    files = {**manifest.files, "feature_schema.json": sha256((folder / "feature_schema.json").read_bytes())}
    world.client.set_model_version_tag(MODEL, "2", "bundle_sha256", rewrite(folder, files=files))
    world.promote(2)
    rows = [
        (user, {name: v for name, v in features.items() if name != "monthly_fee"}) for user, features in customers(9)
    ]
    publish(world.settings.online_store, Month(2024, 2), rows)
    return world


WAY_OUT = "if that stops, promote a version that fits the declaration, or declare what the champion knows and close"


def test_a_champion_waits_where_it_alone_cannot_score_what_is_published(split: World, serve: Serve) -> None:
    first = serve(split.settings)
    first.until(partial(_serves, first, 2))
    split.promote(1)
    first.until(lambda: "version 1 waits: the online store lacks monthly_fee" in warnings(first))
    restarted = serve(split.settings)
    restarted.until(lambda: "version 1 waits: the online store lacks monthly_fee" in warnings(restarted))
    for service in (first, restarted):
        assert WAY_OUT in warnings(service)
        assert "; version 2, the last good one, serves" in warnings(service)
        assert version(service) == 2
    split.publish()
    for service in (first, restarted):
        service.until(partial(_serves, service, 1))
        assert warnings(service) == ""


def test_a_warning_ends_where_the_version_that_serves_is_named_again(split: World, serve: Serve) -> None:
    service = serve(split.settings)
    split.promote(1)
    service.until(lambda: "waits" in warnings(service))
    split.promote(2)
    service.until(lambda: not warnings(service))
    assert version(service) == 2


def test_a_champion_that_cannot_score_does_not_wait_for_nobody(split: World, serve: Serve) -> None:
    """It serves what-ifs, and says what to do."""
    split.promote(1)
    service = serve(split.settings, ready=False)
    service.until(lambda: WAY_OUT in service.client.get("/ready").text)
    assert service.client.get("/ready").status_code == 503
    assert service.client.get("/model").json()["version"] == 1


def test_nothing_of_a_champion_that_was_replaced_is_kept(world: World, serve: Serve) -> None:
    def bundles() -> dict[int, Bundle]:
        gc.collect()
        return {id(thing): thing for thing in gc.get_objects() if type(thing) is Bundle}

    world.register(2)
    before = bundles()  # those of other tests, which stay as long as this one does
    service = serve(world.settings)
    for champion in (2, 1, 2):
        world.promote(champion)
        service.until(partial(_serves, service, champion))
    service.until(lambda: len(bundles().keys() - before.keys()) == 1)


def test_what_is_kept_says_which_version_it_is(world: World, serve: Serve) -> None:
    service = serve(world.settings)
    kept = json.loads((world.settings.serving_home / "champion.json").read_bytes())
    assert (kept["version"], kept["bundle_sha256"]) == (1, service.client.get("/model").json()["bundle_sha256"])
