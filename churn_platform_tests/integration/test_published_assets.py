"""The publication assets in their runs: a month's close, late labels, a new champion, backfills, no server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from churn_platform.definitions import build_defs
from churn_platform.intake import deliveries
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.tables import published
from churn_platform.tables.names import CHURN_SCORES, landed
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.published_cases import FEBRUARY, JANUARY, MARCH, ask, empty_database, execute, two_months
from churn_platform_tests.streamflow import CATALOG, LABELS

NAMES = {table.name for table in CATALOG}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    with empty_database(postgres) as made:
        yield made


def run(
    settings: Settings, job: str, month: Month, instance: dg.DagsterInstance, *names: str
) -> dg.ExecuteInProcessResult:
    """Run a job, or publish only these tables if no job is named."""
    definitions = build_defs(settings)
    made = definitions.resolve_job_def(job) if job else definitions.resolve_implicit_global_asset_job_def()
    return made.execute_in_process(
        instance=instance,
        partition_key=str(month),
        asset_selection=[dg.AssetKey(["published", name]) for name in names] or None,
        raise_on_error=False,
        run_config=QUIET,
    )


def told(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    """The metadata of what was published, by table."""
    return {
        event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None and event.asset_key.path[0] == "published"
    }


def test_a_month_lives(trained: Platform, url: str, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    platform = trained.copy(tmp_path)
    settings = platform.settings.model_copy(update={"postgres_url": SecretStr(url)})
    lake, registry = platform.home.lake, platform.home.registry
    labels = settings.drops / "month_002" / f"{LABELS.name}.csv"
    labels.rename(tmp_path / "late.csv")
    lake.remove(landed(LABELS.name), MARCH)
    deliveries.forget(lake, MARCH, deliveries.LATER)

    closed = run(settings, "month_close", MARCH, instance)
    assert closed.success
    assert told(closed).keys() == NAMES - {LABELS.name}
    for table in CATALOG:
        if table.name != LABELS.name:
            rows = ask(url, f"SELECT count(*) FROM {table.name} WHERE as_of = '2024-03-31'")
            assert rows == [(lake.rows(table.source, MARCH),)] == [(told(closed)[table.name]["dagster/row_count"],)]
    (scores,) = (table for table in CATALOG if table.name == CHURN_SCORES)
    described = ask(
        url,
        f"SELECT attname, col_description(attrelid, attnum) FROM pg_attribute"
        f" WHERE attrelid = '{CHURN_SCORES}'::regclass AND attnum > 0",
    )
    assert dict(described) == scores.meanings()
    assert ask(url, "SELECT month FROM online_month") == [("2024-03",)]

    (tmp_path / "late.csv").rename(labels)
    matured = run(settings, "month_mature", MARCH, instance)
    assert matured.success
    assert told(matured).keys() == {LABELS.name}
    assert ask(url, "SELECT count(*), min(as_of) FROM labels_live") == [
        (lake.rows(landed(LABELS.name), MARCH), MARCH.as_of)
    ]

    labels.rename(tmp_path / "withdrawn.csv")
    withdrawn = run(settings, "month_mature", MARCH, instance)
    assert withdrawn.success
    assert told(withdrawn)["labels"] == {
        "published": False,
        "withdrawn": True,
        "reason": "2024-03 has no labels any more",
    }
    assert ask(url, "SELECT max(as_of) FROM labels_live") == [(None,)]
    (tmp_path / "withdrawn.csv").rename(labels)
    assert run(settings, "month_mature", MARCH, instance).success
    assert ask(url, "SELECT max(as_of) FROM labels_live") == [(MARCH.as_of,)]

    champion = registry.champion()
    assert champion is not None
    versions = "SELECT DISTINCT model_version FROM churn_scores_live"
    assert ask(url, versions) == [(champion.number,)]
    other = 1 if champion.number != 1 else 2
    registry.appoint(registry.version(other))
    refreshed = run(settings, "refresh", MARCH, instance)
    assert refreshed.success
    assert told(refreshed).keys() == {CHURN_SCORES}
    assert ask(url, versions) == [(other,)]


def on_postgres(folder: Path, url: str) -> tuple[Settings, Lake]:
    """A home with two closed months that nobody has scored, the second without labels, and PostgreSQL."""
    lake = two_months(folder)
    lake.path(landed(LABELS.name), FEBRUARY).unlink()
    return homes.settings_of(folder, postgres_url=url), lake


def test_a_backfill_publishes_what_there_is(url: str, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = on_postgres(tmp_path, url)
    for month, names in [
        (JANUARY, NAMES - {CHURN_SCORES}),
        (FEBRUARY, NAMES - {CHURN_SCORES, LABELS.name}),
        (MARCH, set()),  # not closed
    ]:
        result = run(settings, "", month, instance, *NAMES)
        assert result.success
        made = told(result)
        assert made.keys() == NAMES  # a backfill counts what returns no result as failed
        assert {name for name in NAMES if made[name]["published"]} == names
        assert not any(made[name]["unchanged"] for name in names)
        assert {made[name]["reason"] for name in NAMES - names} == {
            f"{month} has no {name} yet" for name in NAMES - names
        }
    again = run(settings, "", JANUARY, instance, *NAMES)
    assert {metadata["unchanged"] for metadata in told(again).values() if metadata["published"]} == {True}
    months = "SELECT DISTINCT as_of FROM published_months ORDER BY 1"
    assert ask(url, months) == [(JANUARY.as_of,), (FEBRUARY.as_of,)]
    psql = str(told(again)["features"]["psql"])
    assert psql == 'psql "$CHURN_POSTGRES_URL" -c "SELECT count(*) FROM features WHERE as_of = \'2024-01-31\'"'


def test_an_absent_server_is_tried_again(
    url: str, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = on_postgres(tmp_path, url)
    publish, fails = published.publish, [published.PostgresUnavailableError("features of 2024-01: no server")]

    def failing_once(*arguments: object) -> published.PublishedMonth:
        if fails:
            raise fails.pop()
        return publish(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(published, "publish", failing_once)
    result = run(settings, "", JANUARY, instance, "features")
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == ["published__features"]
    assert ask(url, "SELECT DISTINCT as_of FROM features") == [(JANUARY.as_of,)]


def test_what_a_person_has_to_mend_is_not_tried_again(url: str, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = on_postgres(tmp_path, url)
    assert run(settings, "", JANUARY, instance, "features").success
    execute(url, "DROP VIEW features_live", "ALTER TABLE features ALTER COLUMN total_paid TYPE text")
    result = run(settings, "", FEBRUARY, instance, "features", "users_snapshots")
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    expected = "features.total_paid is text in PostgreSQL, but double precision in the lake's 2024-02."
    assert str(data.description).startswith(expected)
    assert told(result).keys() == {"users_snapshots"}  # one table does not bring others along


def test_without_postgresql_there_is_nothing_to_publish(tmp_path: Path) -> None:
    settings = homes.settings_of(tmp_path)
    with_it = build_defs(homes.settings_of(tmp_path, postgres_url="postgresql://nowhere/churn")).resolve_asset_graph()
    without = build_defs(settings).resolve_asset_graph()
    made = with_it.get_all_asset_keys() - without.get_all_asset_keys()
    assert {key.to_user_string() for key in made} == {f"published/{name}" for name in NAMES}
    for key in made:
        node = with_it.get(key)
        assert (node.group_name, node.kinds, bool(node.description), bool(node.owners)) == (
            "published", {"postgres"}, True, True
        )  # fmt: skip
        (parent,) = node.parent_keys
        assert parent in without.get_all_asset_keys()
