"""The online store, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from churn_platform.months import Month
from churn_platform.online import postgres, store
from churn_platform.online.store import open_reader, published
from churn_platform.online.types import (
    EarlierStoreError,
    OlderMonthError,
    OnlineStoreError,
    Publication,
    Row,
    StoreUnavailableError,
)
from churn_platform_tests.online import features, named, publish, publish_as_earlier, publish_without_kinds
from churn_platform_tests.postgres_proxy import Proxy, proxy

JANUARY, FEBRUARY = Month(2024, 1), Month(2024, 2)


def rows(count: int, **features: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(count):
        yield f"{number:05d}", {"number": number, **features}


def read(url: str, *customers: str) -> tuple[Publication | None, dict[str, Row]]:
    """What a new reader sees, by each way of asking."""

    async def ask() -> tuple[Publication | None, dict[str, Row]]:
        reader = open_reader(url)
        publication = await reader.publication()
        many = await reader.get_many(customers)
        one_by_one = await asyncio.gather(*(reader.get(customer) for customer in customers))
        assert {customer: row for customer, row in zip(customers, one_by_one, strict=True) if row} == many
        await reader.close()
        return publication, many

    return asyncio.run(ask())


def test_what_is_published_is_read(store_url: str) -> None:
    published = publish(store_url, JANUARY, rows(3, text="a 'b' \\ ü", flag=True, none=None))
    assert (published.month, published.as_of, published.customers) == ("2024-01", "2024-01-31", 3)
    publication, found = read(store_url, "00002", "nobody", "00000")
    assert publication == published
    assert found.keys() == {"00000", "00002"}
    assert found["00002"].schema.as_of == "2024-01-31"
    assert features(found["00002"]) == {"number": 2, "text": "a 'b' \\ ü", "flag": True, "none": None}


def test_a_store_that_was_never_published_is_empty(store_url: str) -> None:
    assert read(store_url, "00000") == (None, {})


def test_a_publication_replaces_everything(store_url: str) -> None:
    publish(store_url, JANUARY, rows(5))
    publish(store_url, FEBRUARY, rows(2, new=1))
    publication, found = read(store_url, "00001", "00004")
    assert publication is not None
    assert (publication.as_of, publication.customers) == ("2024-02-29", 2)
    assert {customer: (row.schema.as_of, features(row)) for customer, row in found.items()} == {
        "00001": ("2024-02-29", {"number": 1, "new": 1})
    }


def test_an_older_month_is_refused_and_the_same_month_is_not(store_url: str) -> None:
    publish(store_url, FEBRUARY, rows(2))
    with pytest.raises(OlderMonthError, match="holds 2024-02, so 2024-01 is not published"):
        publish(store_url, JANUARY, rows(5))
    publish(store_url, FEBRUARY, rows(3))
    publication, _ = read(store_url)
    assert publication is not None
    assert (publication.month, publication.customers) == ("2024-02", 3)


def broken() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from rows(3)
    raise RuntimeError("the source broke")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: [*rows(3), ("00001", {"number": 1})], "each customer must occur once"),
        (lambda: [], "no active customers"),
        (lambda: [("00000", {"value": object()})], "features of 00000 cannot be stored"),
        (lambda: [*rows(3), ("00009", {"number": 1, "more": 1})], "00009 has 2 values for 1 features"),
        (broken, "the source broke"),
    ],
    ids=["twice", "none", "no plain value", "too many", "broken source"],
)
def test_a_failed_publication_changes_nothing(store_url: str, bad: Any, message: str) -> None:
    before = publish(store_url, JANUARY, rows(3))
    with pytest.raises((OnlineStoreError, RuntimeError), match=message):
        publish(store_url, FEBRUARY, bad())
    publication, found = read(store_url, "00001")
    assert publication == before
    assert found["00001"].schema.as_of == "2024-01-31"


def test_publishers_wait_for_each_other(store_url: str) -> None:
    together = threading.Barrier(4)

    def attempt(month: Month) -> str:
        together.wait()
        try:
            return publish(store_url, month, rows(300)).month
        except OlderMonthError:
            return "refused"

    months = [JANUARY, FEBRUARY, JANUARY, FEBRUARY]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(attempt, months))
    assert outcomes[1] == outcomes[3] == "2024-02"
    publication, found = read(store_url, "00299")
    assert publication is not None
    assert publication.month == "2024-02"
    assert found["00299"].schema.as_of == "2024-02-29"


def test_a_reader_sees_whole_publications_while_they_are_replaced(store_url: str) -> None:
    publish(store_url, JANUARY, rows(200, round=0))
    done = threading.Event()

    def publish_again() -> None:
        for number in range(1, 6):
            publish(store_url, JANUARY, rows(200, round=number))
        done.set()

    async def watch() -> set[int]:
        reader, seen = open_reader(store_url), set()
        customers = [f"{number:05d}" for number in range(200)]
        while True:
            last = done.is_set()
            await reader.publication()
            found = await reader.get_many(customers)
            assert len(found) == 200
            rounds = {features(row)["round"] for row in found.values()}
            assert len(rounds) == 1
            seen |= rounds
            if last:
                await reader.close()
                return seen
            await asyncio.sleep(0)

    publisher = threading.Thread(target=publish_again)
    publisher.start()
    seen = asyncio.run(watch())
    publisher.join()
    assert max(seen) == 5


def test_rows_are_streamed(store_url: str) -> None:
    """Publishing consumes the rows as it goes, holding only a few at a time."""
    import tracemalloc

    large = 20_000
    tracemalloc.start()
    publish(store_url, JANUARY, rows(large, text="x" * 500))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < large * 500 / 4
    publication, _ = read(store_url)
    assert publication is not None
    assert publication.customers == large


@pytest.mark.parametrize("customer", ["", "\0", "\x00a", "' OR 1=1 --", "ü" * 1000, "\ud800"])
def test_any_customer_can_be_asked_for(store_url: str, customer: str) -> None:
    publish(store_url, JANUARY, rows(2))
    _, found = read(store_url, customer)
    assert found == {}


def test_a_file_that_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("not a database, but long enough to be taken for one" * 10)
    with pytest.raises(StoreUnavailableError, match=r"store\.db"):
        read(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailableError, match="move it away"):
        publish(f"sqlite:///{path}", JANUARY, rows(1))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE online_month SET month = 'soon'",
        "UPDATE online_month SET month = 7",
        "UPDATE online_month SET customers = 'many'",
        "UPDATE online_month SET features = 'many'",
        "UPDATE online_month SET features = '[1]'",
        "UPDATE online_month SET features = x'ff'",
        "DELETE FROM online_month",
        "DROP TABLE online_month",
    ],
)
def test_a_publication_that_cannot_be_right(tmp_path: Path, change: str) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    publish(url, JANUARY, rows(1))
    with closing(sqlite3.connect(tmp_path / "store.db")) as store, store:
        store.execute(change)
    with pytest.raises(StoreUnavailableError, match=r"store\.db"):
        read(url)
    with pytest.raises(StoreUnavailableError, match="move it away"):
        publish(url, JANUARY, rows(1))


def test_a_publication_that_crashed_leaves_no_trace(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    (tmp_path / ".store.db.new").write_text("half a file")
    publish(url, JANUARY, rows(1))
    assert {path.name for path in tmp_path.iterdir()} == {"store.db", "store.db.lock"}


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    url = f"postgresql://user:secret@/database?host={tmp_path}"
    with pytest.raises(StoreUnavailableError) as refused:
        publish(url, JANUARY, rows(1))
    assert "secret" not in str(refused.value)
    with pytest.raises(StoreUnavailableError):
        read(url)


def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://user:secret@127.0.0.1:{silent.getsockname()[1]}/database"
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError, match=r"2024-01 is not published.*CHURN_ONLINE_STORE_URL") as refused:
            postgres.publish(url, JANUARY, *named(rows(1)), seconds=1)
        assert "secret" not in str(refused.value)
        with pytest.raises(StoreUnavailableError, match=r"CHURN_ONLINE_STORE_URL.*no answer within 0.2 seconds"):
            asyncio.run(open_reader(url, 0.2).publication())
        assert time.monotonic() < started + 5  # psycopg waits for a connection 2 seconds at least


def test_a_server_that_freezes_while_it_is_written_to(postgres_url: str) -> None:
    with proxy(postgres_url) as line:

        def freezing() -> Iterator[tuple[str, dict[str, Any]]]:
            yield from rows(3)
            line.freeze()

        before = publish(line.url, JANUARY, rows(1))
        with pytest.raises(StoreUnavailableError, match=r"did not finish within 0\.5 seconds.*start it"):
            postgres.publish(line.url, FEBRUARY, *named(freezing()), seconds=0.5)
    publication, _ = read(postgres_url)
    assert publication == before


def test_a_server_that_freezes_while_it_is_read(postgres_url: str) -> None:
    publish(postgres_url, JANUARY, rows(3))

    async def ask(line: Proxy) -> float:
        reader = open_reader(line.url, 0.3)
        assert await reader.get("00001") is not None
        line.freeze()
        started = time.monotonic()
        answers = await asyncio.gather(*(reader.get(f"0000{number}") for number in range(3)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {StoreUnavailableError}
        assert "no answer within 0.3 seconds" in str(answers[0])
        await reader.close()
        return time.monotonic() - started

    with proxy(postgres_url) as line:
        assert asyncio.run(ask(line)) < 3  # psycopg cancels a query that is given up, which takes 10 seconds


def test_a_publisher_does_not_wait_for_another_for_ever(postgres_url: str) -> None:
    def waiting() -> Iterator[tuple[str, dict[str, Any]]]:
        yield from rows(3)
        with pytest.raises(StoreUnavailableError, match=r"did not finish within 0\.2 seconds"):
            postgres.publish(postgres_url, FEBRUARY, *named(rows(1)), seconds=0.2)

    assert publish(postgres_url, JANUARY, waiting()).customers == 3


def test_a_table_that_is_another_is_refused(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE online_month (somebody text)")
    with pytest.raises(OnlineStoreError, match=r"refuses it: column .month. does not exist"):
        publish(postgres_url, JANUARY, rows(1))
    with pytest.raises(StoreUnavailableError, match="UndefinedColumn"):
        read(postgres_url)


def test_rows_are_read_by_the_names_of_their_own_publication(store_url: str) -> None:
    """Also by a reader that has not looked for a new publication yet, and where a publication's number comes again."""

    async def ask() -> None:
        reader = open_reader(store_url)
        for round_ in range(3):
            publish(store_url, JANUARY, [("a", {f"first {round_}": round_, "ü": True, f"last {round_}": "x"})])
            if store_url.startswith("sqlite"):  # a file is read until the next one is noticed
                await reader.publication()
            row = await reader.get("a")
            assert row is not None
            assert features(row) == {f"first {round_}": round_, "ü": True, f"last {round_}": "x"}
            if not store_url.startswith("sqlite"):
                with psycopg.connect(store_url) as connection:
                    connection.execute("DROP TABLE online_month, online_customers")
        await reader.close()

    asyncio.run(ask())


def test_published_is_what_a_store_holds(store_url: str) -> None:
    assert published(store_url) is None
    assert publish(store_url, JANUARY, rows(3)) == published(store_url)


@pytest.mark.parametrize("month", [JANUARY, Month(2024, 3)])
@pytest.mark.parametrize("earlier", [publish_as_earlier, publish_without_kinds])
def test_what_an_earlier_version_published_is_never_read_and_replaced(
    store_url: str, month: Month, earlier: Callable[[str, Month], None]
) -> None:
    earlier(store_url, month)
    for look in (lambda: read(store_url, "00000"), lambda: published(store_url)):
        with pytest.raises(EarlierStoreError, match=r"an earlier version.*`refreshing` publishes it again"):
            look()
    with pytest.raises(RuntimeError):
        publish(store_url, FEBRUARY, broken())
    with pytest.raises(EarlierStoreError):
        published(store_url)
    made = publish(store_url, FEBRUARY, rows(2))  # nobody can read a later month that is in the old form
    publication, found = read(store_url, "00000")
    assert publication == made == published(store_url)
    assert {customer: features(row) for customer, row in found.items()} == {"00000": {"number": 0}}


def test_an_earlier_version_s_tables_go_with_the_transaction_that_publishes(postgres_url: str) -> None:
    publish_as_earlier(postgres_url, JANUARY)
    store.make_tables(postgres_url)  # as a new version does at its start, before it publishes
    asked = "SELECT to_regclass('online_publication') IS NULL, to_regclass('online_features') IS NULL"
    with psycopg.connect(postgres_url, autocommit=True) as old:

        def looking() -> Iterator[tuple[str, dict[str, Any]]]:
            yield from rows(2)
            found = old.execute("SELECT f.user_id FROM online_publication JOIN online_features f USING (publication)")
            assert found.fetchall() == [("00000",)]

        publish(postgres_url, JANUARY, looking())
        assert old.execute(asked).fetchall() == [(True, True)]


def test_somebody_else_s_tables_are_left_alone(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE online_features (user_id text); CREATE TABLE online_publication (a text)")
    assert published(postgres_url) is None
    assert read(postgres_url, "00000") == (None, {})
    publish(postgres_url, JANUARY, rows(1))
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT * FROM online_features, online_publication").fetchall() == []


def test_a_row_in_the_database_that_cannot_be_right_is_replaced(postgres_url: str) -> None:
    publish(postgres_url, FEBRUARY, rows(1))
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE online_month SET features = 'many'")
    with pytest.raises(StoreUnavailableError, match="materialize online_features again"):
        read(postgres_url)
    assert publish(postgres_url, JANUARY, rows(2)) == published(postgres_url)


@pytest.mark.parametrize("names", ["many", "[1]", "", '["number"'])
def test_a_publication_that_is_damaged_while_it_is_read(postgres_url: str, names: str) -> None:
    async def ask() -> None:
        publish(postgres_url, JANUARY, rows(1))
        reader = open_reader(postgres_url)
        assert await reader.get("00000") is not None
        with psycopg.connect(postgres_url) as connection:
            connection.execute("UPDATE online_month SET published_at = 'later', features = %s", (names,))
        for look in (reader.get("00000"), reader.get_many(("00000",))):
            with pytest.raises(StoreUnavailableError, match="materialize online_features again"):
                await look
        await reader.close()

    asyncio.run(ask())


def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(OnlineStoreError, match="CHURN_ONLINE_STORE_URL"):
        open_reader("redis://localhost")
