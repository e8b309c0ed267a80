"""Erased from Dagster's storage, on SQLite and PostgreSQL: what it kept of customers, and that it reads all the rest.

The customers are those whom a drop mentions in quarantine: a stranger and a repeated key, first in a close that fails.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from churn_platform.automation.instance import open_instance
from churn_platform.erasure import postgres as erasing_postgres
from churn_platform.erasure import sqlite, texts
from churn_platform.erasure.forms import forms
from churn_platform.erasure.mentions import Mentions
from churn_platform.shown import inert
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform, done
from churn_platform_tests.dagster_private import InstigatorType, TickData, TickStatus
from churn_platform_tests.published_cases import ask, empty_database

STRANGER = "jo <jo@b.org>"
"""A customer of no table of customers, whose id is shown otherwise than it is."""
TOLERANCE = "CHURN_QUARANTINE_TOLERANCE"


def closed(platform: Platform, monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> list[str]:
    """Close the second month with a stranger and a repeated key, and return both ids.

    A first attempt `fails`, since so many rows may not break the contract.
    """
    drop = platform.settings.drops / "month_001"
    repeated = str(homes.rows_of(drop / "users.csv")[5][0])
    homes.edit(drop / "users.csv", lambda rows: [*rows, [rows[5][0], *rows[6][1:]]])
    homes.put(drop / "usage_agg_30d.csv", 9, "user_id", STRANGER)
    if fails:
        done(platform, "close", "2024-02", exit_code=1)
    monkeypatch.setenv(TOLERANCE, "0.2")
    done(platform, "close", "2024-02")
    return [STRANGER, repeated]


def tell(instance: dg.DagsterInstance, text: str) -> None:
    """Tell Dagster of customers otherwise too: in a run's tag, an event, and a sensor's tick."""
    run = instance.add_run(dg.DagsterRun(job_name="month_close", tags={"asked_for": text, "dagster/max_retries": "7"}))
    instance.report_engine_event(f"asked for {text}", run)
    tick = TickData("origin", "drops", InstigatorType.SENSOR, TickStatus.SKIPPED, 1.0, selector_id="selector")
    instance.create_tick(tick.with_status(TickStatus.SKIPPED, skip_reason=f"waits for {text}"))


def read(instance: dg.DagsterInstance) -> str:
    """All that the storage holds, as Dagster itself reads it: runs, events, checks and ticks."""
    told: list[object] = [run.tags for run in instance.get_runs()]
    told += [entry for run in instance.get_runs() for entry in instance.all_logs(run.run_id)]
    for key in instance.get_asset_keys():
        check = dg.AssetCheckKey(key, "keeps_the_contract")
        told += [record.event for record in instance.event_log_storage.get_asset_check_execution_history(check, 10)]
    told += instance.get_ticks("origin", "selector")
    return "\n".join(map(str, told))


def prepared(platform: Platform, monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> tuple[Mentions, list[str], str]:
    """A platform with mentions everywhere: they, how they are written, and what Dagster reads."""
    ids = closed(platform, monkeypatch, fails=fails)
    with open_instance(platform.settings) as instance:
        tell(instance, f"'{inert(ids[0])}' and {ids[1]}")
        before = read(instance)
    written = [form for id_ in ids for form in forms(id_)]
    for id_ in ids:
        assert sum(before.count(form) for form in forms(id_)) > 5
    for place in ("asked_for", "waits for", "duplicate key", "is an unknown customer"):
        assert place in before
    assert ("breaks its contract" in before) == fails
    return Mentions(ids, platform.home.contract.key), written, before


def test_sqlite(begun: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = begun.copy(tmp_path)
    mentions, written, before = prepared(platform, monkeypatch, fails=True)
    home = platform.settings.home
    online = home / "online_store.db"
    assert sqlite.erase(home, mentions, [online])
    assert texts.erase(home, mentions)
    with open_instance(platform.settings) as instance:
        after = read(instance)
    assert after == mentions.without(before)
    for path in home.rglob("*"):
        if path.is_file() and path.suffix != ".parquet" and path != online:
            assert [form for form in written if form.encode() in path.read_bytes()] == [], path
    assert sqlite.erase(home, mentions, [online]) == texts.erase(home, mentions) == []


def test_postgres(begun: Platform, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_database(postgres) as url:
        monkeypatch.setenv("CHURN_POSTGRES_URL", url)
        platform = begun.copy(tmp_path)
        platform = Platform(platform.settings.model_copy(update={"postgres_url": SecretStr(url)}))
        mentions, written, before = prepared(platform, monkeypatch, fails=False)
        changed = erasing_postgres.erase(url, mentions)
        assert {"event_logs", "asset_check_executions", "run_tags", "runs", "job_ticks"} <= set(changed)
        with open_instance(platform.settings) as instance:
            assert read(instance) == mentions.without(before)
        assert erasing_postgres.erase(url, mentions) == []
        for table in changed:
            rows = str(ask(url, f"SELECT t::text FROM {table} t"))
            assert [form for form in written if form in rows] == []
