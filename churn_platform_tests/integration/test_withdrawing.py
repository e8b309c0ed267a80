"""Customers withdrawn from the published tables: their rows, what is recorded of the months, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from churn_platform.files import sha256_of
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables import withdrawing
from churn_platform.tables.names import FEATURES
from churn_platform.tables.published import NotPublishedError, PostgresUnavailableError, publish
from churn_platform_tests.published_cases import FEBRUARY, JANUARY, ask, empty_database, execute, two_months
from churn_platform_tests.streamflow import CATALOG

TABLES = [table for table in CATALOG if table.name in (FEATURES, "users_snapshots")]
MONTHS = (JANUARY, FEBRUARY)


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    with empty_database(postgres) as made:
        yield made


@pytest.fixture
def lake(tmp_path: Path, url: str) -> Lake:
    """Two months, published."""
    lake = two_months(tmp_path)
    for table in TABLES:
        for month in MONTHS:
            publish(url, lake, table, month)
    return lake


def keys(lake: Lake, month: Month) -> list[str]:
    found: list[str] = lake.frame(FEATURES, month)["user_id"].tolist()
    return found


def without(lake: Lake, customers: list[str]) -> dict[tuple[str, Month], str]:
    """Take customers out of the lake's files; returns the new files' hashes."""
    digests = {}
    for table in TABLES:
        for month in MONTHS:
            path = lake.path(table.source, month)
            rows = pq.read_table(path)
            pq.write_table(rows.filter([key not in customers for key in rows["user_id"].to_pylist()]), path)
            digests[table.name, month] = sha256_of(path)
    return digests


def test_they_go_from_every_table_and_month(url: str, lake: Lake) -> None:
    gone = [keys(lake, JANUARY)[3], keys(lake, FEBRUARY)[-1], "nobody", "bad\0id"]
    there = {name: ask(url, f"SELECT count(*) FROM {name}") for name in (FEATURES, "users_snapshots")}
    execute(url, "CREATE TABLE mine AS SELECT user_id FROM features")
    mine = ask(url, "SELECT count(*) FROM mine")

    digests = without(lake, gone[:2])
    rows = withdrawing.erase(url, "user_id", gone, digests)
    assert rows >= 5
    for name in there:
        assert ask(url, f"SELECT 1 FROM {name} WHERE user_id = ANY(ARRAY{gone[:2]})") == []
        assert ask(url, f"SELECT 1 FROM {name}_live WHERE user_id = ANY(ARRAY{gone[:2]})") == []
    left = sum(ask(url, f"SELECT count(*) FROM {name}")[0][0] for name in there)
    assert left == sum(count for ((count,),) in there.values()) - rows
    recorded = "SELECT table_name, as_of, rows, sha256 FROM published_months"
    for name, as_of, count, digest in ask(url, recorded):
        assert ask(url, f"SELECT count(*) FROM {name} WHERE as_of = '{as_of}'") == [(count,)]
        assert digest == digests[name, Month.of(as_of)]
    assert ask(url, "SELECT count(*) FROM mine") == mine
    listed = "SELECT histogram_bounds::text, most_common_vals::text FROM pg_stats WHERE attname = 'user_id'"
    execute(url, "DROP TABLE mine")
    assert not [customer for customer in gone[:2] if customer in str(ask(url, listed))]

    before = ask(url, "SELECT * FROM published_months ORDER BY 1, 2")
    assert withdrawing.erase(url, "user_id", gone, digests) == 0
    assert ask(url, "SELECT * FROM published_months ORDER BY 1, 2") == before
    for table in TABLES:
        for month in MONTHS:
            assert publish(url, lake, table, month).unchanged


def test_a_month_without_a_new_file_is_published_again(url: str, lake: Lake) -> None:
    """A kill in between may leave the lake's file for later: the month keeps the hash of what it was made from."""
    customer = keys(lake, JANUARY)[0]
    withdrawing.erase(url, "user_id", [customer], {})
    without(lake, [customer])
    published = publish(url, lake, TABLES[0], JANUARY)
    assert not published.unchanged
    assert ask(url, f"SELECT count(*) FROM {TABLES[0].name} WHERE as_of = '{JANUARY.as_of}'") == [(published.rows,)]


def test_tables_without_the_key_stay(url: str, lake: Lake) -> None:
    before = ask(url, "SELECT * FROM published_months ORDER BY 1, 2")
    assert withdrawing.erase(url, "client", keys(lake, JANUARY), {}) == 0
    execute(url, "ALTER TABLE features RENAME TO theirs", "CREATE TABLE features (user_id text)")
    execute(url, f"INSERT INTO features VALUES ('{keys(lake, JANUARY)[0]}')")
    withdrawing.erase(url, "user_id", keys(lake, JANUARY)[:1], {})
    assert len(ask(url, "SELECT * FROM features")) == 1  # it is somebody else's by now
    assert [row[:2] for row in ask(url, "SELECT * FROM published_months ORDER BY 1, 2")] == [row[:2] for row in before]


def test_where_nothing_is_published_nothing_is_done(url: str) -> None:
    assert withdrawing.erase(url, "user_id", ["1"], {}) == 0
    assert ask(url, "SELECT to_regclass('published_months')") == [(None,)]


def test_a_failure_changes_nothing_and_names_nobody(url: str, lake: Lake) -> None:
    customer = keys(lake, JANUARY)[0]
    execute(
        url,
        "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE 'no % here', OLD.user_id; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER refuse BEFORE DELETE ON users_snapshots FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    with pytest.raises(NotPublishedError, match="PostgreSQL refuses it") as raised:
        withdrawing.erase(url, "user_id", [customer], {})
    assert customer not in str(raised.value)
    assert len(ask(url, f"SELECT 1 FROM features WHERE user_id = '{customer}' AND as_of = '{JANUARY.as_of}'")) == 1


def test_a_postgres_that_is_away_is_told() -> None:
    with pytest.raises(PostgresUnavailableError, match="customers are not withdrawn"):
        withdrawing.erase("postgresql://localhost:1/nothing", "user_id", ["1"], {})
