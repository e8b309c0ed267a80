"""Generating a month, with the real simulation: which month, with which shock, and what is not possible."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from churn_platform.months import Month
from churn_platform.simulation.drops import simulate, write_drop
from churn_platform.simulation.hazard import Shock, ShockKind
from churn_platform.web.token import api_token
from churn_platform_tests import homes
from churn_platform_tests.serving.conftest import Service, running
from churn_platform_tests.serving.world import World
from churn_platform_tests.streamflow import TABLES
from serving import messages

FIRST = Month(2025, 1)
Generate = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, registry_template: Path) -> Iterator[Service]:
    """A service without a champion. Its first month is in its settings, and not in the environment."""
    home = tmp_path_factory.mktemp("generation") / "home"
    world = World(home, registry_template, first_month=str(FIRST), serving_change_limit=10_000)
    with running(world.settings) as started:
        yield started


@pytest.fixture
def generate(service: Service) -> Generate:
    """Asks for a month, with the token."""
    headers = {"Authorization": f"Bearer {api_token(service.settings)}"}
    return lambda **body: service.client.post("/generate", headers=headers, json=body)


@pytest.fixture
def drops(service: Service) -> Iterator[Path]:
    """The service's folder of drops, not there yet."""
    yield service.settings.drops
    if service.settings.drops.is_dir():
        shutil.rmtree(service.settings.drops)
    else:
        service.settings.drops.unlink()


def assert_written(drops: Path, months: int, *shocks: Shock) -> None:
    """The folder holds what this company delivers, and nothing else."""
    expected = drops.with_name("expected")
    for month in simulate(months, 100, shocks=shocks, first=FIRST):
        write_drop(month, expected)
    assert homes.contents(drops, "**/*.csv") == homes.contents(expected, "**/*.csv")
    shutil.rmtree(expected)


def test_the_next_month_is_written(generate: Generate, drops: Path) -> None:
    answer = generate(samples=100)
    assert answer.status_code == 201
    body = answer.json()
    assert body == {
        "month": "2025-01",
        "folder": "month_000",
        "rows": {table.name: 100 for table in TABLES},
        "shock": None,
        "drift": None,
    }
    body = generate(samples=100, shock="price_rise").json()
    assert (body["month"], body["folder"], body["shock"]) == ("2025-02", "month_001", "price_rise")
    assert_written(drops, 2, Shock(FIRST + 1, ShockKind.PRICE_RISE))


def test_the_service_s_settings_hold_whatever_the_environment_says(
    generate: Generate, drops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURN_FIRST_MONTH", "2023-07")
    assert generate(samples=100, shock="new_plan").json()["month"] == "2025-01"
    assert_written(drops, 1, Shock(FIRST, ShockKind.NEW_PLAN))


def test_what_lies_in_the_current_folder_is_nobody_s_module(
    generate: Generate, drops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    assert generate(samples=100).status_code == 201
    assert drops.is_dir()


@pytest.mark.parametrize(
    "given",
    [{"drift": "price_rise"}, {"drift": "price_rise", "shock": None}, dict.fromkeys(("shock", "drift"), "price_rise")],
)
def test_drift_is_the_old_name_of_shock(generate: Generate, drops: Path, given: dict[str, Any]) -> None:
    body = generate(samples=100, **given).json()
    assert (body["shock"], body["drift"]) == ("price_rise", "price_rise")
    assert_written(drops, 1, Shock(FIRST, ShockKind.PRICE_RISE))


def test_the_old_name_is_deprecated_in_the_document(service: Service) -> None:
    schemas = service.client.get("/docs/openapi.json").json()["components"]["schemas"]
    for name in ("GenerateRequest", "Generated"):
        assert schemas[name]["properties"]["drift"]["deprecated"] is True
        assert "deprecated" not in schemas[name]["properties"]["shock"]


def test_shocks_are_those_of_the_simulation() -> None:
    assert get_args(messages.ShockKind) == tuple(ShockKind)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "samples", "Object missing required field `samples`"),
        ({"samples": 99}, "samples", "Expected `int` >= 100"),
        ({"samples": 10_001}, "samples", "Expected `int` <= 10000"),
        ({"samples": 100, "shock": "earthquake"}, "shock", "Invalid enum value 'earthquake'"),
        ({"samples": 100, "drift": "earthquake"}, "drift", "Invalid enum value 'earthquake'"),
        ({"samples": 100, "shock": "new_plan", "drift": "price_rise"}, "drift", "is the old name of `shock`"),
        ({"samples": 100, "seed": 1}, "seed", "Object contains unknown field `seed`"),
    ],
)
def test_a_bad_request(generate: Generate, body: dict[str, Any], field: str, message: str) -> None:
    answer = generate(**body)
    assert answer.status_code == 400
    [found] = answer.json()["fields"]
    assert found["field"] == field
    assert message in found["message"]


def test_a_month_that_is_there_already_is_409(generate: Generate, drops: Path) -> None:
    drops.mkdir()
    (drops / "month_000").write_text("a file, which is no drop and yet is in its place")
    answer = generate(samples=100)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["detail"] == (
        f"{drops / 'month_000'} already holds a drop of 2025-01: remove it, or ask for the next month"
    )


def test_a_simulation_that_fails_is_500_and_says_why_in_the_log(
    generate: Generate, drops: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drops.write_text("a file where the folder should be")
    answer = generate(samples=100)
    assert (answer.status_code, answer.json()["code"]) == (500, "not_generated")
    assert str(drops) not in answer.text
    assert str(drops) in caplog.text


def test_a_bug_in_the_simulation_is_500(
    generate: Generate, drops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    drops.mkdir()
    (tmp_path / "numpy.py").write_text("raise RuntimeError('numpy is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    answer = generate(samples=100)
    assert (answer.status_code, answer.json()["code"]) == (500, "not_generated")
    assert "numpy is broken" in caplog.text
    assert "numpy" not in answer.text
