"""The champion and the receipts: who serves where alias and ledger differ, and what people are told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.fake_registry import Handler, fake_registry, pairs, rightly, told
from churn_platform_tests.serving.test_champion import version, warnings
from churn_platform_tests.serving.world import World, write_bundle
from serving.comparing import Compared
from serving.ledger import Standing
from serving.registry import Identity, Registered

Serve = Callable[..., Service]
DIFFERENT = "is at version 2, but receipt 1 made version 1 champion"


def receipt(world: World, number: int, decided: int, verdict: str = "promoted", **changes: Any) -> str:
    """A receipt's text as the platform writes it."""
    tags = world.client.get_model_version("streamflow_churn", str(decided or 1)).tags
    written = {
        "number": number,
        "decided_at": "2024-03-01T00:00:00+00:00",
        "verdict": verdict,
        "decided_by": "somebody",
        "reason": "it is better",
        "version": decided,
        "month": tags["month"] if decided else "",
        "champion_before": None,
        "champion": decided,
        "bundle_sha256": tags["bundle_sha256"] if decided else "",
        "dagster_run_id": "",
        "evaluation": None,
        "previous_sha256": None,
    }
    return json.dumps(written | changes)


def write(world: World, number: int, decided: int, verdict: str = "promoted", **changes: Any) -> Path:
    """The same, in its file."""
    path = world.home / "receipts" / f"{number:06d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(receipt(world, number, decided, verdict, **changes))
    return temporary.replace(path)


@pytest.fixture
def receipted(world: World) -> World:
    """A receipt made version 1 champion; version 2 is registered."""
    write(world, 1, 1)
    world.register(2)
    return world


def test_without_a_receipt_the_champion_stays(receipted: World, serve: Serve) -> None:
    service = serve(receipted.settings)
    receipted.promote(2)
    service.until(lambda: DIFFERENT in warnings(service))
    assert version(service) == 1
    assert service.metric("churn_refused_reloads_total") == 0
    assert "`churn promote 1 --reason TEXT` restores version 1" in warnings(service)
    receipted.promote(1)
    service.until(lambda: not warnings(service))


@pytest.mark.parametrize("kept", [True, False], ids=["with its bundle", "with nothing"])
def test_a_fresh_start_serves_the_version_that_has_a_receipt(receipted: World, serve: Serve, kept: bool) -> None:
    serve(receipted.settings).stop()
    receipted.promote(2)
    if not kept:
        shutil.rmtree(receipted.settings.serving_home)
    service = serve(receipted.settings)
    assert version(service) == 1
    service.until(lambda: DIFFERENT in warnings(service))


def test_a_tracking_server_is_asked_for_the_version_by_its_number(
    new_world: Callable[..., World], serve: Serve, tmp_path: Path
) -> None:
    world = new_world()
    world.promote(world.register(1))
    world.publish()
    write(world, 1, 1)
    one = world.client.get_model_version("streamflow_churn", "1").tags
    two = {"month": "2024-02", "bundle_sha256": write_bundle(tmp_path / "2", "2024-02", 2)}
    with fake_registry(1, one, world.bundle_folder(1)) as registry:

        def alias_elsewhere(request: Handler) -> None:
            if "model-versions/get" in request.path and "version=1" in request.path:
                rightly(request)
            else:
                request.answer(told("2", pairs(two)))

        registry.way = alias_elsewhere
        service = serve(world.settings.model_copy(update={"mlflow_tracking_uri": SecretStr(registry.url)}))
        assert version(service) == 1
        service.until(lambda: DIFFERENT in warnings(service))


def test_the_moment_between_alias_and_receipt_is_not_told() -> None:
    one, two = (Identity(number, "2024-02", str(number) * 64) for number in (1, 2))
    compared = Compared()
    moved = Registered(2, {"bundle_sha256": two.bundle_sha256})
    compared.look(moved, Standing(one, 1))
    assert compared.difference is None
    compared.look(moved, Standing(two, 2))
    assert compared.difference is None
    for wanted in (False, True, True):
        compared.look(moved, Standing(one, 3))
        assert (compared.difference is not None) == wanted
    compared.look(None, Standing(one, 3))
    assert compared.difference is None


def test_receipts_are_followed(receipted: World, serve: Serve) -> None:
    service = serve(receipted.settings)
    decisions = [(2, "promoted", 2), (3, "kept", 2), (4, "rolled back", 1), (5, "appointed", 2)]
    for number, verdict, champion in decisions:
        receipted.promote(champion)  # the alias first, as the platform does it
        write(receipted, number, champion, verdict)
        service.until(lambda champion=champion: version(service) == champion)  # type: ignore[misc]
        service.until(lambda: not warnings(service))
    assert service.metric("churn_refused_reloads_total") == 0


def test_a_kept_champion_is_not_taken_for_the_candidate(receipted: World, serve: Serve) -> None:
    write(receipted, 2, 2, "kept", champion=1)
    assert version(serve(receipted.settings)) == 1


def test_the_receipts_count_without_the_registry(receipted: World, serve: Serve) -> None:
    service = serve(receipted.settings)
    receipted.promote(2)
    write(receipted, 2, 2)
    service.until(lambda: version(service) == 2)
    database = receipted.settings.mlflow_home / "mlflow.db"
    write(receipted, 3, 1, "rolled back")
    service.until(lambda: version(service) == 1)  # before the alias moves
    database.rename(database.with_suffix(".away"))
    (receipted.home / "receipts" / "000003.json").unlink()
    service.until(lambda: version(service) == 2)  # its bundle is on this disk
    service.until(lambda: "cannot be read" in warnings(service))


def test_the_setting_off_follows_the_alias_and_warns(receipted: World, serve: Serve) -> None:
    service = serve(receipted.settings.model_copy(update={"require_receipt": False}))
    receipted.promote(2)
    service.until(lambda: version(service) == 2)
    service.until(lambda: DIFFERENT in warnings(service))


def test_a_bundle_that_was_exchanged_in_the_registry(receipted: World, serve: Serve) -> None:
    service = serve(receipted.settings)
    receipted.client.set_model_version_tag("streamflow_churn", "1", "bundle_sha256", "0" * 64)
    service.until(lambda: "gives version 1 another bundle than the one with which receipt 1" in warnings(service))
    assert version(service) == 1


def damaged(path: Path) -> None:
    path.write_text("{")


def of_another_shape(path: Path) -> None:
    path.write_text('{"verdict": "promoted", "version": "two"}')


def naming_no_bundle(path: Path) -> None:
    text = json.loads(path.read_text())
    path.write_text(json.dumps(text | {"bundle_sha256": "../../evil"}))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [damaged, of_another_shape, naming_no_bundle, a_folder])
def test_a_ledger_that_cannot_be_read(receipted: World, serve: Serve, damage: Callable[[Path], None]) -> None:
    service = serve(receipted.settings)
    newest = write(receipted, 2, 1, "appointed")
    damage(newest)
    receipted.promote(2)
    restarted = serve(receipted.settings)
    for each in (service, restarted):
        each.until(lambda each=each: "cannot be read" in warnings(each))  # type: ignore[misc]
        assert version(each) == 1
    if newest.is_dir():
        newest.rmdir()
    write(receipted, 2, 2)
    for each in (service, restarted):
        each.until(lambda each=each: version(each) == 2)  # type: ignore[misc]
        each.until(lambda each=each: not warnings(each))  # type: ignore[misc]


def test_an_older_receipt_that_is_damaged_changes_nothing(receipted: World, serve: Serve) -> None:
    damaged(write(receipted, 1, 1))
    write(receipted, 2, 1)
    service = serve(receipted.settings)
    assert version(service) == 1
    assert not warnings(service)


def test_a_pause_is_shown(receipted: World, serve: Serve) -> None:
    service = serve(receipted.settings)
    write(receipted, 2, 0, "paused", reason="the plan changes\non Monday")
    wanted = ["promotions and retrainings are paused: the plan changes on Monday"]
    service.until(lambda: service.client.get("/ready").json()["warnings"] == wanted)
    assert version(service) == 1
    write(receipted, 3, 0, "resumed")
    service.until(lambda: not warnings(service))


def test_receipts_in_postgres_count(receipted: World, serve: Serve, postgres_url: str) -> None:

    store = receipted.settings.online_store
    settings = receipted.settings.model_copy(
        update={"postgres_url": SecretStr(postgres_url), "online_store_url": SecretStr(store)}
    )
    service = serve(settings)
    assert version(service) == 1  # there is no table yet: the files count
    receipted.promote(2)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE receipts (number bigint PRIMARY KEY, receipt text NOT NULL)")
        service.until(lambda: DIFFERENT in warnings(service))
        for number, champion in enumerate((1, 2), start=1):
            connection.execute("INSERT INTO receipts VALUES (%s, %s)", (number, receipt(receipted, number, champion)))
        service.until(lambda: version(service) == 2)
        service.until(lambda: not warnings(service))
        connection.execute("UPDATE receipts SET receipt = '{' WHERE number = 2")
    restarted = serve(settings)
    assert version(restarted) == 2
    restarted.until(lambda: "receipt 2 cannot be read" in warnings(restarted))
