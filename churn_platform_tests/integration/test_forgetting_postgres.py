"""Forgetting where Dagster's storage, receipts, published tables and the online store are in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from churn_platform_tests import postgres as postgres_server
from churn_platform_tests.conftest import Platform, done


@pytest.fixture
def database() -> Iterator[tuple[str, Path]]:
    """A server of its own, whose files are looked at: its URL, and the folder with them."""
    with postgres_server.server() as running:
        yield running.get_uri(), Path(running.pgdata)


def held(url: str, word: str) -> list[str]:
    """The tables with a row that holds the word."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        found = []
        for (table,) in tables:
            asked = sql.SQL("SELECT 1 FROM {0} AS one WHERE strpos(one::text, %s) > 0 LIMIT 1")
            if connection.execute(asked.format(sql.Identifier(table)), (word,)).fetchall():
                found.append(table)
        return sorted(found)


def test_no_table_and_no_file_of_postgresql_keeps_a_customer(
    begun: Platform, tmp_path: Path, database: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, data = database
    monkeypatch.setenv("CHURN_POSTGRES_URL", url)
    platform = begun.copy(tmp_path)
    settings = platform.settings.model_copy(update={"postgres_url": SecretStr(url)})
    users = settings.drops / "month_001" / "users.csv"
    *_, last = users.read_text().splitlines()
    customer = last.split(",")[0]
    users.write_text(users.read_text() + last.replace(last.split(",")[1], "2019-01-01") + "\n")
    done(platform, "close", "--all", exit_code=1)  # its two rows contradict each other, and each is told
    monkeypatch.setenv("CHURN_QUARANTINE_TOLERANCE", "0.2")
    done(platform, "close", "--all")
    before = held(url, customer)
    assert {"event_logs", "features", "asset_check_executions"} <= set(before)

    done(platform, "forget", customer, "--reason", "a test")
    assert held(url, customer) == []
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM features").fetchall()[0][0] > 50
        connection.execute("VACUUM FULL")
        connection.execute("CHECKPOINT")
    files = [path for path in data.rglob("*") if path.is_file() and "pg_wal" not in path.parts]
    assert [str(path) for path in files if customer.encode() in path.read_bytes()] == []
    receipt = Platform(settings).home.ledger.all()[-1]
    assert receipt.erasure is not None
    done(platform, "close", "--all")
    assert held(url, customer) == []
