"""The prediction log: what is in it, that it is a table, and that losing it costs no answer."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.world import World, user_id
from churn_platform_tests.streamflow import STREAMFLOW
from serving.metrics import Metrics
from serving.naming import Naming
from serving.prediction_log import LOCK, Logged, PredictionLog

Serve = Callable[..., Service]


LOGGED = Naming(STREAMFLOW).logged


def table(folder: Path) -> list[dict[str, Any]]:
    """The log as DuckDB reads it: times are in UTC, without saying so."""
    import duckdb

    query = f"SELECT * FROM read_json('{folder}/*.jsonl', format = 'newline_delimited') ORDER BY time"
    found = duckdb.sql(query)
    assert found is not None
    return [{str(name): value for name, value in row.items()} for row in found.df().to_dict("records")]


def test_every_prediction_is_logged(world: World, serve: Serve) -> None:
    service = serve(world.settings)
    first = service.client.post("/predict", json={"user_id": user_id(0)}).json()
    service.client.post("/predict", json={"user_id": "nobody"})
    batch = service.client.post("/predict/batch", json={"user_ids": [user_id(1), "nobody"]}).json()["results"]
    features = {"features": first["features_used"]}
    whatif = service.client.post("/predict/features", json=features).json()
    service.stop()  # what is still waiting gets written
    rows = table(world.settings.prediction_log)
    assert [(row["user_id"], row["version"], row["route"]) for row in rows] == [
        (user_id(0), 1, "/predict"),
        (user_id(1), 1, "/predict/batch"),
        (None, 1, "/predict/features"),
    ]
    assert [row["probability"] for row in rows] == [body["probability"] for body in (first, batch[0], whatif)]
    assert rows[0]["time"].replace(tzinfo=UTC) == datetime.fromisoformat(first["timestamp"])
    assert [str(row["as_of"])[:10] for row in rows] == ["2024-02-29", "2024-02-29", "NaT"]


def test_it_is_written_while_the_service_runs(world: World, serve: Serve) -> None:
    service = serve(world.settings)
    service.client.post("/predict", json={"user_id": user_id(0)})
    folder = world.settings.prediction_log
    service.until(lambda: list(folder.glob("*.jsonl")) and len(table(folder)) == 1)


def test_a_disk_that_takes_nothing_costs_no_answer(world: World, serve: Serve) -> None:
    world.settings.serving_home.mkdir()
    world.settings.prediction_log.write_text("a file where a folder should be")
    service = serve(world.settings)
    for number in range(5):
        assert service.client.post("/predict", json={"user_id": user_id(number)}).status_code == 200
    service.until(lambda: service.metric("churn_prediction_log_lost_total") == 5)


def row(number: int, day: int = 1) -> Logged:
    return LOGGED(datetime(2024, 1, day, tzinfo=UTC), f"user{number}", 1, "2024-01-31", 0.5, "/predict")


def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    metrics = Metrics()
    log = PredictionLog(tmp_path / "log", 3, metrics, days=7, today=lambda: date(2024, 1, 2))
    for number in range(5):
        log.add(row(number))
    asyncio.run(log.flush())
    log.add(row(5))
    asyncio.run(log.flush())
    assert [found["user_id"] for found in table(tmp_path / "log")] == ["user0", "user1", "user2", "user5"]
    assert metrics.registry.get_sample_value("churn_prediction_log_lost_total") == 2


def test_each_day_has_its_file(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, 10, Metrics(), days=7, today=lambda: date(2024, 1, 2))
    for number, day in enumerate((1, 1, 2)):
        log.add(row(number, day))
    asyncio.run(log.flush())
    assert [name[:10] for name in days(tmp_path)] == ["2024-01-01", "2024-01-02"]


def days(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK)


def test_files_end_some_days_later(tmp_path: Path) -> None:
    now = [date(2024, 1, 31)]
    log = PredictionLog(tmp_path, 10, Metrics(), days=7, today=lambda: now[0])
    others = ["2024-01-01.txt", "2024-99-99-host-1.jsonl", "notes.jsonl"]
    names = [f"2024-01-{day}-another-host-1.jsonl" for day in (20, 23, 24, 31)]
    for name in (*names, *others):
        (tmp_path / name).write_text("{}\n")
    asyncio.run(log.flush())  # without a row to write
    assert days(tmp_path) == sorted([*names[2:], *others])
    (tmp_path / names[0]).write_text("{}\n")
    asyncio.run(log.flush())
    assert names[0] in days(tmp_path)  # it looks once a day
    now[0] = date(2024, 2, 1)
    log.add(row(1, day=31))
    asyncio.run(log.flush())
    assert days(tmp_path) == sorted([f"2024-01-31-{socket.gethostname()}-{os.getpid()}.jsonl", names[3], *others])


def test_several_writers_remove_and_write_together(tmp_path: Path) -> None:
    """Each has files of its own, so nobody takes another's rows away, and all may remove the same old ones."""
    for day in range(1, 29):
        for host in range(20):
            (tmp_path / f"2023-01-{day:02}-{host}-1.jsonl").write_text("{}\n")

    async def write() -> None:
        logs = [PredictionLog(tmp_path, 10, metrics, days=1, today=lambda: date(2024, 1, 2)) for _ in range(8)]
        for number, log in enumerate(logs):
            log._name = f"{number}.jsonl"
            log.add(row(number, day=1))
        await asyncio.gather(*(log.flush() for log in logs))

    metrics = Metrics()
    asyncio.run(write())
    assert len(table(tmp_path)) == 8
    assert metrics.registry.get_sample_value("churn_prediction_log_lost_total") == 0


def test_an_old_file_that_stays_costs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "2023-01-01-host-1.jsonl").mkdir()
    (tmp_path / "2023-01-02-host-1.jsonl").touch()
    log = PredictionLog(tmp_path, 10, Metrics(), days=1, today=lambda: date(2024, 1, 2))
    log.add(row(1, day=1))
    asyncio.run(log.flush())
    assert "2023-01-01-host-1.jsonl" in caplog.text
    assert len(days(tmp_path)) == 2


def test_serving_removes_old_files(world: World, serve: Serve) -> None:
    old = world.settings.prediction_log / "2020-01-01-host-1.jsonl"
    old.parent.mkdir(parents=True)
    old.write_text("{}\n")
    service = serve(world.settings)
    service.until(lambda: not old.exists())
