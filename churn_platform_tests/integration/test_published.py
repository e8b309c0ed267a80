"""Published tables on a real PostgreSQL: what analysts read, while months are replaced and publishers die."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn_platform.company.declaration import Kind
from churn_platform.contracts import Column
from churn_platform.lake import Lake, MissingTableError
from churn_platform.months import Month
from churn_platform.online import connecting
from churn_platform.tables.catalog import CatalogTable
from churn_platform.tables.names import CHURN_SCORES
from churn_platform.tables.published import NotPublishedError, PostgresUnavailableError, publish
from churn_platform_tests.postgres_proxy import proxy
from churn_platform_tests.processes import KILLED
from churn_platform_tests.published_cases import FEBRUARY, JANUARY, MARCH, ask, empty_database, execute
from churn_platform_tests.published_cases import two_months as make_two_months
from churn_platform_tests.streamflow import CATALOG, STREAMFLOW

ROOT = Path(__file__).parents[2]
NOTES = CatalogTable(
    "notes",
    "notes",
    "What was noted.",
    (
        Column("as_of", Kind.DATE, "The day."),
        Column("user_id", Kind.TEXT, "The customer."),
        Column("version", Kind.INTEGER, "Which content this is."),
    ),
)


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    with empty_database(postgres) as made:
        yield made


def note(lake: Lake, month: Month, version: int = 1, rows: int = 3, **columns: Any) -> None:
    """Put notes into the lake: one row per customer, each with this version and whatever else is given."""
    table = pa.table(
        {
            "user_id": [f"{number:06d}" for number in range(rows)],
            "version": pa.array([version] * rows, pa.int64()),
            **columns,
        }
    )
    path = lake.path("notes", month)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path.with_name("new"))
    path.with_name("new").replace(path)


@pytest.fixture(scope="module")
def two_months(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return make_two_months(tmp_path_factory.mktemp("two_months"))


def publish_all(url: str, lake: Lake) -> None:
    for table in CATALOG:
        for month in lake.months(table.source):
            assert not publish(url, lake, table, month).unchanged


def test_what_analysts_read(url: str, two_months: Lake) -> None:
    lake = two_months
    publish_all(url, lake)
    count = "SELECT count(*) FROM subscriptions_profile_snapshots WHERE as_of = '2024-01-31'"
    assert ask(url, count) == [(lake.rows("subscriptions_profile_snapshots", JANUARY),)]

    for table in CATALOG:
        if table.name == CHURN_SCORES:
            continue
        frame = lake.read(table.source, FEBRUARY)
        others = [name for name in frame.columns if name != "as_of"]
        with psycopg.connect(url) as connection:
            columns = ", ".join(others)
            found = connection.execute(f"SELECT as_of, {columns} FROM {table.name}_live ORDER BY user_id").fetchall()
        expected = [(date(2024, 2, 29), *row.values()) for row in frame.select(others).to_pyarrow().to_pylist()]
        assert found == expected
        types = dict(
            ask(url, f"SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{table.name}'")
        )
        assert types["as_of"] == "date"
        assert types["user_id"] == "text"
        assert set(types.values()) <= {"date", "text", "boolean", "bigint", "double precision"}
        for relation in (table.name, f"{table.name}_live"):
            told = dict(
                ask(
                    url,
                    f"SELECT attname, col_description(attrelid, attnum) FROM pg_attribute"
                    f" WHERE attrelid = '{relation}'::regclass AND attnum > 0",
                )
            )
            assert told == table.meanings()
            assert table.meaning in ask(url, f"SELECT obj_description('{relation}'::regclass)")[0][0]
    assert types["churn_label"] == "boolean"
    records = ask(url, "SELECT table_name, as_of, rows, sha256 FROM published_months ORDER BY 1, 2")
    assert records == sorted(
        (table.name, month.as_of, lake.rows(table.source, month), lake.sha256(table.source, month))
        for table in CATALOG
        for month in (JANUARY, FEBRUARY)
        if table.name != CHURN_SCORES
    )


def test_the_key_is_a_customer_and_a_month(url: str, lake: Lake) -> None:
    note(lake, JANUARY)
    publish(url, lake, NOTES, JANUARY)
    note(lake, JANUARY, user_id=["a", "a", "b"])
    with pytest.raises(NotPublishedError, match=r"notes of 2024-01 is not published: .* refuses it: .*duplicate key"):
        publish(url, lake, NOTES, JANUARY)
    assert ask(url, "SELECT user_id FROM notes ORDER BY 1") == [("000000",), ("000001",), ("000002",)]
    key = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'notes_2024_01_pkey'"
    assert ask(url, key) == [("PRIMARY KEY (as_of, user_id)",)]


def test_the_same_content_is_not_written_again(url: str, lake: Lake) -> None:
    note(lake, JANUARY)
    assert not publish(url, lake, NOTES, JANUARY).unchanged
    state = "SELECT n.xmin::text, n.ctid::text, p.xmin::text, published_at FROM notes n, published_months p"
    before = ask(url, state)
    again = publish(url, lake, NOTES, JANUARY)
    assert (again.unchanged, again.rows) == (True, 3)
    assert ask(url, state) == before


@pytest.mark.parametrize("dropped", ["TABLE notes CASCADE", "TABLE notes_2024_01", "VIEW notes_live"])
def test_what_was_dropped_by_hand_comes_back(dropped: str, url: str, lake: Lake) -> None:
    for month in (JANUARY, FEBRUARY):
        note(lake, month)
        publish(url, lake, NOTES, month)
    execute(url, f"DROP {dropped}")
    assert not publish(url, lake, NOTES, JANUARY).unchanged
    assert publish(url, lake, NOTES, FEBRUARY).unchanged == (dropped != "TABLE notes CASCADE")
    assert ask(url, "SELECT as_of, count(*) FROM notes GROUP BY 1 ORDER BY 1") == [
        (JANUARY.as_of, 3),
        (FEBRUARY.as_of, 3),
    ]
    assert len(ask(url, "SELECT FROM notes_live")) == 3


def test_readers_see_the_old_month_or_the_new_one(url: str, lake: Lake) -> None:
    contents = {1: 1500, 2: 2500}
    note(lake, JANUARY, 1, contents[1])
    publish(url, lake, NOTES, JANUARY)
    seen: list[tuple[Any, ...]] = []
    done = threading.Event()

    def read(relation: str, prepare: bool) -> None:
        query = f"SELECT count(*), min(version), max(version), min(as_of), max(as_of) FROM {relation}"
        with psycopg.connect(url, autocommit=True) as connection:
            while not done.is_set():
                seen.extend(connection.execute(query, prepare=prepare).fetchall())

    readers = [("notes WHERE as_of = '2024-01-31'", False), ("notes_live", False), ("notes_live", True)]
    with ThreadPoolExecutor() as pool:
        reading = [pool.submit(read, *reader) for reader in readers]
        try:
            for version in (2, 1, 2, 1):
                note(lake, JANUARY, version, contents[version])
                publish(url, lake, NOTES, JANUARY)
            for month in (FEBRUARY, MARCH):
                note(lake, month, 1, contents[1])
                publish(url, lake, NOTES, month)
        finally:
            done.set()
        for reader in reading:
            reader.result()
    assert {(first, last) for _, first, last, *_ in seen} == {(1, 1), (2, 2)}
    assert {count for count, *_ in seen} == set(contents.values())
    assert all(count == contents[version] for count, version, *_ in seen)
    assert all(first == last for *_, first, last in seen)  # the view shows one month


def test_nobody_waits_for_a_reader(url: str, lake: Lake) -> None:
    note(lake, JANUARY, 1)
    publish(url, lake, NOTES, JANUARY)
    with psycopg.connect(url) as analyst:
        analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        read = "SELECT as_of, version FROM notes_live"
        before = analyst.execute(read).fetchall()
        note(lake, JANUARY, 2)
        publish(url, lake, NOTES, JANUARY)
        note(lake, FEBRUARY, 1)
        publish(url, lake, NOTES, FEBRUARY)
        assert analyst.execute(read).fetchall() == before == [(JANUARY.as_of, 1)] * 3
        analyst.commit()
        assert analyst.execute(read).fetchall() == [(FEBRUARY.as_of, 1)] * 3
    assert ask(url, "SELECT DISTINCT version FROM notes WHERE as_of = '2024-01-31'") == [(2,)]


@pytest.mark.parametrize("moment", ["psycopg.Copy.write_row", "psycopg.Connection.commit"])
def test_a_publisher_is_killed(moment: str, url: str, lake: Lake) -> None:
    note(lake, JANUARY, 1)
    publish(url, lake, NOTES, JANUARY)
    state = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    records = "SELECT * FROM published_months"
    relations, recorded = ask(url, state), ask(url, records)
    note(lake, JANUARY, 2, 2000)
    note(lake, FEBRUARY, 1, 2000)
    code = f"""if True:
        import sys, psycopg
        from pathlib import Path
        from churn_platform.lake import Lake
        from churn_platform.months import Month
        from churn_platform.tables.published import publish
        from churn_platform_tests.processes import dying_at
        owner, name = {moment.rpartition(".")[0]}, "{moment.rpartition(".")[2]}"
        setattr(owner, name, dying_at(getattr(owner, name), {1500 if "row" in moment else 1}, after=False))
        from churn_platform_tests.integration.test_published import NOTES
        from churn_platform_tests.streamflow import STREAMFLOW
        publish(sys.argv[1], Lake(Path(sys.argv[2]), STREAMFLOW), NOTES, Month.parse(sys.argv[3]))
    """
    for month in (JANUARY, FEBRUARY):
        arguments = [sys.executable, "-c", code, url, str(lake.root), str(month)]
        assert subprocess.run(arguments, check=False, cwd=ROOT).returncode == KILLED
        assert ask(url, "SELECT version FROM notes") == [(1,)] * 3
        assert ask(url, records) == recorded
    assert ask(url, state) == relations  # nothing is left behind
    for month in (JANUARY, FEBRUARY):
        publish(url, lake, NOTES, month)
        assert ask(url, f"SELECT count(*) FROM notes WHERE as_of = '{month.as_of}'") == [(2000,)]


def test_publishers_wait_for_each_other(url: str, tmp_path: Path) -> None:
    lakes = [Lake(tmp_path / str(version), STREAMFLOW) for version in (1, 2, 3, 4)]
    for version, lake in enumerate(lakes, 1):
        for month in (JANUARY, FEBRUARY):
            note(lake, month, version, 1000 * version)
    jobs = [(lake, month) for lake in lakes for month in (JANUARY, FEBRUARY)]
    with ThreadPoolExecutor(len(jobs)) as pool:  # on an empty database: whoever comes first makes the tables
        for job in [pool.submit(publish, url, lake, NOTES, month) for lake, month in jobs]:
            job.result()
    found = ask(url, "SELECT as_of, count(*), min(version), max(version) FROM notes GROUP BY 1 ORDER BY 1")
    assert [as_of for as_of, *_ in found] == [JANUARY.as_of, FEBRUARY.as_of]
    assert all(count == 1000 * first == 1000 * last for _, count, first, last in found)
    assert ask(url, "SELECT as_of, rows FROM published_months ORDER BY 1") == [row[:2] for row in found]


def test_columns_come_and_go(url: str, lake: Lake) -> None:
    note(lake, JANUARY, old=[1.5, 2.5, None])
    publish(url, lake, NOTES, JANUARY)
    execute(url, "CREATE ROLE reader", "GRANT SELECT ON notes, notes_live TO reader")
    execute(url, "CREATE VIEW own AS SELECT count(*) FROM notes_live")
    note(lake, FEBRUARY, new=["x", None, ""])
    publish(url, lake, NOTES, FEBRUARY)
    rows = "SELECT as_of, user_id, version, old, new FROM notes ORDER BY as_of, user_id"
    assert [row[3:] for row in ask(url, rows)] == [
        (1.5, None), (2.5, None), (None, None), (None, "x"), (None, None), (None, "")
    ]  # fmt: skip
    assert ask(url, "SELECT new FROM notes_live ORDER BY user_id") == [("x",), (None,), ("",)]
    with psycopg.connect(url) as reader:
        reader.execute("SET ROLE reader")
        assert reader.execute("SELECT count(*) FROM notes").fetchone() == (6,)
        assert reader.execute("SELECT count(*) FROM notes_live").fetchone() == (3,)
        reader.rollback()
    execute(url, "DROP OWNED BY reader", "DROP ROLE reader")
    assert ask(url, "SELECT * FROM own") == [(3,)]


def test_a_changed_type_is_refused(url: str, lake: Lake) -> None:
    note(lake, JANUARY, mood=[1, 2, 3])
    publish(url, lake, NOTES, JANUARY)
    note(lake, FEBRUARY, mood=["low", "high", "none"])
    with pytest.raises(NotPublishedError) as refused:
        publish(url, lake, NOTES, FEBRUARY)
    told = str(refused.value)
    assert told.startswith("notes.mood is bigint in PostgreSQL, but text in the lake's 2024-02")
    (advice,) = re.findall(r"run (DROP TABLE .*?) in psql", told)
    execute(url, advice)
    assert not publish(url, lake, NOTES, FEBRUARY).unchanged
    assert ask(url, "SELECT mood FROM notes_live ORDER BY user_id") == [("low",), ("high",), ("none",)]


def test_what_cannot_be_published_is_told(url: str, lake: Lake) -> None:
    with pytest.raises(MissingTableError, match="close 2024-01 first"):
        publish(url, lake, NOTES, JANUARY)
    note(lake, JANUARY, parts=[[1], [2], [3]])
    with pytest.raises(NotPublishedError, match=r"notes.parts of 2024-01 is list<.*> in the lake"):
        publish(url, lake, NOTES, JANUARY)
    note(lake, JANUARY, text=["a", "b\0", "c"])
    with pytest.raises(NotPublishedError, match="notes of 2024-01 is not published: PostgreSQL refuses it"):
        publish(url, lake, NOTES, JANUARY)
    execute(url, "CREATE TABLE notes (somebody text)")
    note(lake, JANUARY)
    with pytest.raises(NotPublishedError, match='relation "notes" already exists'):
        publish(url, lake, NOTES, JANUARY)
    assert ask(url, "SELECT column_name FROM information_schema.columns WHERE table_name = 'notes'") == [("somebody",)]


@pytest.mark.parametrize("answers", [False, True], ids=["closed port", "silent server"])
def test_an_unreachable_server_is_told_within_seconds(answers: bool, lake: Lake) -> None:
    note(lake, JANUARY)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers:
            server.listen()
        started = time.monotonic()
        wanted = r"notes of 2024-01 is not published.*CHURN_POSTGRES_URL"
        with pytest.raises(PostgresUnavailableError, match=wanted) as told:
            publish(f"postgresql://churn:hidden@127.0.0.1:{server.getsockname()[1]}/churn", lake, NOTES, JANUARY)
    assert time.monotonic() - started < 10
    assert "hidden" not in str(told.value)
    assert told.value.__suppress_context__


def test_a_server_that_freezes_is_told_in_time(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, whole = threading.Event(), connecting._shut

    def slowly(line: socket.socket) -> None:
        whole(line)
        told.wait(10)  # who publishes may notice before this thread goes on

    monkeypatch.setattr(connecting, "_shut", slowly)
    with proxy(url) as line:

        class Freezing(Lake):
            def require(self, name: str, month: Month) -> None:
                """It is there."""

            def path(self, name: str, month: Month, ending: str = ".parquet") -> Path:
                line.freeze()  # asked for within the transaction
                return super().path(name, month, ending)

        note(Lake(tmp_path / "lake", STREAMFLOW), JANUARY)
        lake = Freezing(tmp_path / "lake", STREAMFLOW)
        with pytest.raises(PostgresUnavailableError, match=r"CHURN_POSTGRES_URL.*did not finish within 0\.5 seconds"):
            publish(line.url, lake, NOTES, JANUARY, seconds=0.5)
        told.set()
    assert ask(url, "SELECT to_regclass('notes')") == [(None,)]


def test_a_publisher_does_not_wait_for_another_for_ever(url: str, lake: Lake) -> None:
    note(lake, JANUARY)
    publish(url, lake, NOTES, JANUARY)
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_advisory_xact_lock(5120241164)")
        with pytest.raises(PostgresUnavailableError, match=r"did not finish within 0\.2 seconds"):
            publish(url, lake, NOTES, JANUARY, seconds=0.2)
