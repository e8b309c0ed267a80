"""Erased customers: out of the online store and the prediction log, while serving reads one and writes the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest

from churn_platform.erasure import predictions
from churn_platform.files import locked
from churn_platform.months import Month
from churn_platform.online import store
from churn_platform.online.types import StoreUnavailableError
from churn_platform_tests.online import features, publish, publish_as_earlier
from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.world import World, user_id
from churn_platform_tests.streamflow import STREAMFLOW
from serving.metrics import Metrics
from serving.naming import Naming
from serving.prediction_log import LOCK, PredictionLog

JANUARY = Month(2024, 1)
LOGGED = Naming(STREAMFLOW).logged


def test_only_they_go_and_readers_notice(store_url: str) -> None:
    before = publish(store_url, JANUARY, ((f"{number:05d}", {"number": number}) for number in range(2_000)))

    async def look() -> None:
        reader = store.open_reader(store_url)
        assert await reader.publication() == before
        assert len(await reader.get_many(("00003", "00004"))) == 2
        assert store.erase(store_url, ["00003", "00007", "nobody", "bad\0id", "half\ud800"]) == 2
        after = await reader.publication()
        assert after is not None
        assert (after.month, after.customers, after.schema) == ("2024-01", 1_998, before.schema)
        assert after.published_at > before.published_at
        found = await reader.get_many(("00003", "00004", "00007"))
        assert {customer: features(row) for customer, row in found.items()} == {"00004": {"number": 4}}
        await reader.close()

    asyncio.run(look())
    after = store.published(store_url)
    assert store.erase(store_url, ["00003", "00007"]) == 0
    assert store.published(store_url) == after


def test_no_byte_of_theirs_is_left_in_the_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'online.db'}"
    publish(url, JANUARY, ((f"customer_{number:05d}", {"number": number}) for number in range(500)))
    assert b"customer_00250" in (tmp_path / "online.db").read_bytes()
    (tmp_path / ".online.db.new").write_bytes(b"of a publication that was killed: customer_00250")
    store.erase(url, ["customer_00250"])
    assert b"customer_00250" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"customer_00251" in (tmp_path / "online.db").read_bytes()


def test_all_of_them_may_go(store_url: str) -> None:
    publish(store_url, JANUARY, [("00001", {"number": 1})])
    assert store.erase(store_url, ["00001"]) == 1
    found = store.published(store_url)
    assert found is not None and found.customers == 0
    publish(store_url, JANUARY, [("00002", {"number": 1})])


def test_where_nothing_is_published_nobody_is(store_url: str) -> None:
    assert store.erase(store_url, ["00001"]) == 0
    assert store.published(store_url) is None


def test_what_an_earlier_version_published_goes_as_a_whole(store_url: str) -> None:
    publish_as_earlier(store_url, JANUARY)
    assert store.erase(store_url, ["00000"]) == 0
    assert store.published(store_url) is None


def test_a_store_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "online.db").write_bytes(b"somebody's")
    with pytest.raises(StoreUnavailableError, match="not an online store"):
        store.erase(f"sqlite:///{tmp_path / 'online.db'}", ["00001"])


def test_a_postgres_that_is_away_is_told() -> None:
    with pytest.raises(StoreUnavailableError, match="customers are not erased") as raised:
        store.erase("postgresql://localhost:1/nothing", ["00001"])
    assert "00001" not in str(raised.value)


def test_other_tables_of_the_database_stay(postgres_url: str) -> None:
    publish(postgres_url, JANUARY, [("00001", {"number": 1}), ("00002", {"number": 1})])
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE online_features (user_id text)")
        connection.execute("INSERT INTO online_features VALUES ('00001')")
    assert store.erase(postgres_url, ["00001"]) == 1
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT * FROM online_features").fetchall() == [("00001",)]


def test_serving_answers_for_nobody_who_is_erased(world: World, serve: Callable[..., Service]) -> None:
    service = serve(world.settings)
    for number in (0, 1):
        assert service.client.post("/predict", json={"user_id": user_id(number)}).status_code == 200
    assert store.erase(world.settings.online_store, [user_id(0)]) == 1
    service.until(lambda: service.client.post("/predict", json={"user_id": user_id(0)}).status_code == 404)
    assert service.client.post("/predict", json={"user_id": user_id(1)}).status_code == 200
    folder = world.settings.prediction_log
    service.until(lambda: sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl")) >= 3)
    assert predictions.erase(folder, [user_id(0)]) == list(folder.glob("*.jsonl"))
    assert service.client.post("/predict", json={"user_id": user_id(1)}).status_code == 200
    service.stop()
    lines = b"".join(path.read_bytes() for path in folder.iterdir())
    assert user_id(0).encode() not in lines
    assert lines.count(user_id(1).encode()) == 3


# The prediction log by itself.


def line(customer: str | int | None, name: str = "user_id") -> bytes:
    key = f'"{customer}"' if isinstance(customer, str) else "null" if customer is None else str(customer)
    return (
        f'{{"time":"2024-01-01T00:00:00Z","{name}":{key},"version":7,  "as_of":"7","probability":7.0,"route":"7"}}\n'
    ).encode()


def test_other_lines_keep_their_bytes(tmp_path: Path) -> None:
    others = [line("77"), line(None), line("7 "), line(70), b"\n", b"[7]\n", b'{"half": "line \xff\n', b"\n"]
    theirs = [line("7"), line(7), line("7", "client"), line("jo@b.org"), b'{"time":"","user_id":"jo@b.org","ver\n']
    theirs += [b'{"time":"","user_id":7,"ver\n', b'{"time":"","user_id": "7"\n', b'{"user_id":"jo@b.org\n']
    mixed = [part for pair in zip(others, theirs, strict=True) for part in pair]
    (tmp_path / "2024-01-01-a-1.jsonl").write_bytes(b"".join(mixed))
    (tmp_path / "2024-01-02-a-1.jsonl").write_bytes(line("8"))
    (tmp_path / "notes.txt").write_bytes(line("7"))
    untouched = (tmp_path / "2024-01-02-a-1.jsonl").stat().st_ino
    for found in ([tmp_path / "2024-01-01-a-1.jsonl"], []):
        assert predictions.erase(tmp_path, ["7", "jo@b.org", "absent_1"]) == found
        assert (tmp_path / "2024-01-01-a-1.jsonl").read_bytes() == b"".join(others)
    assert (tmp_path / "2024-01-02-a-1.jsonl").stat().st_ino == untouched
    assert (tmp_path / "notes.txt").read_bytes() == line("7")


def test_without_a_log_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert predictions.erase(tmp_path / "none", ["7"]) == []


def test_both_hold_the_same_lock() -> None:
    assert predictions.LOCK == LOCK


def test_a_line_that_is_added_meanwhile_is_kept(tmp_path: Path) -> None:
    """A writer that never stops, as serving writes, and erasures one after the other."""
    log = PredictionLog(tmp_path, 10, Metrics(), days=7, today=lambda: date(2024, 1, 2))
    rows = 600
    over = threading.Event()

    def write() -> None:
        for number in range(rows):
            log.add(LOGGED(datetime(2024, 1, 1, tzinfo=UTC), f"user{number % 3}", number, None, 0.5, "/predict"))
            log._write(log._take())
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not over.is_set():
        predictions.erase(tmp_path, ["user1"])
    writer.join()
    predictions.erase(tmp_path, ["user1"])
    (file,) = tmp_path.glob("*.jsonl")
    versions = [line.split(b'"version":')[1].split(b",")[0] for line in file.read_bytes().splitlines()]
    assert [int(version) for version in versions] == [number for number in range(rows) if number % 3 != 1]


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_a_file_that_goes_meanwhile_stays_gone(tmp_path: Path, change: str) -> None:
    """Serving removes old files, and two may erase at once: whoever comes second sees what the first has done."""
    path = tmp_path / "2024-01-01-a-1.jsonl"
    path.write_bytes(line("7") + line("8") + line("9"))
    with locked(tmp_path / LOCK):
        erasing = threading.Thread(target=predictions.erase, args=(tmp_path, ["7"]))
        erasing.start()
        while not [name for name in tmp_path.iterdir() if name.name.startswith(f".{path.name}.")]:
            pass
        path.unlink()
        if change == "replaced":
            path.write_bytes(line("7") + line("8"))
    erasing.join()
    assert [file.read_bytes() for file in tmp_path.glob("*.jsonl")] == ([line("8")] if change == "replaced" else [])
