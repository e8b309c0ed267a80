"""A hostile company: its drops, its folder and what its people type are shown everywhere, and do nothing anywhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import cycle
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.automation import news
from churn_platform.automation.instance import open_instance
from churn_platform.champion.registry import EXPERIMENT, MODEL
from churn_platform.champion.tags import CAUSE_TAG
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.frozen import Frozen
from churn_platform_tests.hostile_values import HOSTILE, dangers
from churn_platform_tests.pages import Page
from churn_platform_tests.streamflow import TABLES

pytestmark = pytest.mark.usefixtures("drawn")

ROWS = 5
"""How many rows of a table may be broken: the tolerance, of 500 customers."""


@dataclass
class Company:
    """The platform, what the command line said, and what Dagster's runs keep."""

    platform: Platform
    said: list[str] = field(default_factory=list)

    def churn(self, *arguments: str, code: int = 0) -> None:
        result = self.platform.churn(*arguments)
        assert result.exit_code == code, result.output
        self.said.append(result.output)

    def logs(self) -> Iterator[dg.EventLogEntry]:
        with open_instance(self.platform.settings) as instance:
            for run in instance.get_runs():
                yield from instance.all_logs(run.run_id)


@pytest.fixture(scope="module")
def company(_trained: tuple[Platform, Frozen], tmp_path_factory: pytest.TempPathFactory) -> Company:
    """It lives through a month that stops, one that closes, a retraining, and decisions with hostile reasons."""
    company = Company(_trained[0].copy(tmp_path_factory.mktemp("hostile")))
    drops = company.platform.settings.drops
    drop = drops / "month_002"
    values = cycle(HOSTILE)
    for table in TABLES:
        put(drop / f"{table.name}.csv", values)
    _misname(drops)
    company.churn("close", "2024-03")
    company.churn("retrain", "2024-03")
    reason = "\n".join(HOSTILE)
    company.churn("promote", "3", "--reason", reason)
    company.churn("pause", "--reason", reason)
    company.churn("pause", "--reason", reason, code=1)
    _break(drop / "users.csv")
    company.churn("close", "2024-03", code=1)
    _rename_columns(drop / "payments_agg_90d.csv")
    company.churn("close", "2024-03", code=1)
    company.churn("receipts")
    company.churn("status")
    company.churn("status", "--json")
    return company


def put(path: Path, values: Iterator[str]) -> None:
    """Put hostile values into the last column of a few rows."""
    rows = homes.rows_of(path)
    for row in rows[1 : ROWS + 1]:
        row[2 if path.stem == "users" else -1] = next(values)
    _write(path, rows)


def _break(path: Path) -> None:
    """Break more rows than the tolerance allows."""
    rows = homes.rows_of(path)
    for row, value in zip(rows[1:], HOSTILE, strict=False):
        row[2] = value
    _write(path, rows)


def _rename_columns(path: Path) -> None:
    rows = homes.rows_of(path)
    for row in rows:
        row += [value if row is rows[0] else "1" for value in HOSTILE[:3]]
    _write(path, rows)


def _write(path: Path, rows: homes.Rows) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def _misname(drops: Path) -> None:
    """Name a folder, and the files of a month that is yet to come, so that they are told of as passed over."""
    (drops / "month_3\n").mkdir()
    drop = drops / "month_003"
    drop.mkdir()
    for value in HOSTILE:
        name = value.replace("/", "").replace("\0", "")[:150]
        (drop / f"users {name}.csv").touch()


def test_the_terminal_shows_text(company: Company) -> None:
    said = "".join(company.said)
    assert r"\x1b" in said and "paused since" in said and r"month_003/users \x3cscript" in said
    assert "break its contract" in said and "unknown columns" in said
    assert dangers(said, markup=False) == []
    assert json.loads(company.said[-1])["paused"]


def test_pages_run_and_load_nothing(company: Company) -> None:
    pages = sorted(company.platform.settings.reports.rglob("*.html"))
    assert {page.parent.name for page in pages} == {"drift", "2024-01", "2024-02", "2024-03"}
    for path in pages:
        page = Page(path.read_text())
        assert page.active == [], path
        assert dangers(page.text) == [], path
        assert "default-src 'none'" in page.policy
        drift = path.parent.name == "drift"
        assert [page.runs(script) for script in page.scripts] == ([False, True] if drift else [])
        assert path.stat().st_size <= 300_000
        if drift:
            assert dangers(json.dumps(page.data)) == []
    told = "".join(path.read_text() for path in pages)
    assert r"\x3cscript\x3ealert(1)" in told and r"\x5cx3c" not in told  # made inert, and once


def test_what_dagster_shows_is_text(company: Company) -> None:
    markdown: list[str] = []
    texts: list[str] = []
    for entry in company.logs():
        texts.append(entry.user_message)
        event = entry.dagster_event
        if event is None:
            continue
        data = event.event_specific_data
        if event.is_step_failure:
            assert event.step_failure_data.error_display_string
            texts.append(event.step_failure_data.error_display_string)
        if isinstance(data, dg.AssetCheckEvaluation):
            texts.append(data.description or "")
        found = getattr(getattr(data, "materialization", data), "metadata", {})
        for value in found.values():
            (markdown if isinstance(value, dg.MarkdownMetadataValue) else texts).append(str(value.value))
    assert any(r"\x5cx3c" not in text and r"\x3cscript" in text for text in markdown)
    assert any("break its contract" in text and r"\x3cscript" in text for text in texts)
    assert [found for text in markdown if "data:image/png" not in text for found in dangers(text)] == []
    assert [found for text in texts for found in dangers(text, markup=False)] == []


def test_what_mlflow_shows_is_text(company: Company) -> None:
    from churn_platform.assets.tracking import described

    client = company.platform.home.registry.client
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    told = [str(value) for run in runs for value in (*run.data.params.values(), *run.data.tags.values())]
    told += [
        text
        for v in client.search_model_versions(f"name='{MODEL}'")
        for text in (v.description or "", *v.tags.values())
    ]
    assert len(told) > 50
    assert [found for text in told for found in dangers(text)] == []
    for value in HOSTILE:  # whoever starts a run in the UI may give it any tags
        tags = described(dg.DagsterRun("retrain", tags={CAUSE_TAG: value}), company.platform.settings)
        assert dangers(tags["mlflow.note.content"]) == []
        assert dangers(tags["mlflow.runName"], markup=False) == []


def test_alerts_are_text_of_the_platforms_own_lines(company: Company) -> None:
    home = company.platform.home
    with open_instance(home.settings) as instance:
        alerts = list(news.alerts(home, instance, date.today()))
    titles = {alert.title for alert in alerts}
    assert {"Version 3 appointed", "Promotions and retrainings paused", "2024-03 stopped"} <= titles
    for alert in alerts:
        assert dangers(alert.title + alert.body, markup=False) == []
    [paused] = [alert.body for alert in alerts if alert.title == "Promotions and retrainings paused"]
    assert len(paused.splitlines()) == 2
