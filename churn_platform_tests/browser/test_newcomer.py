"""A newcomer's first hour, in the browser: what `make run` promises can be found by clicking."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from churn_platform_tests.browser.conftest import Watched
from churn_platform_tests.running import Up

GROUPS = ("landing", "snapshots", "features", "models", "monitoring", "delivery")

expect.set_options(timeout=60_000)


def test_a_newcomer_finds_the_way(up: Up, watched: Watched) -> None:
    up.until(lambda: "dagster-daemon is up" in up.said)
    assert "stopped: " not in up.said, up.said
    up.until(up.is_whole)
    for step in (_graph, _month, _check, _drift, _data_docs, _promotion, _registry, _api):
        step(up, watched)
    assert watched.faults == []


def _graph(up: Up, watched: Watched) -> None:
    """The first page shows what has run, and the lineage shows every group."""
    page = watched.page
    page.goto(up.dagster)
    for job in ("month_close", "retrain", "promote"):
        expect(page.get_by_text(job, exact=True).first).to_be_visible()
    watched.show("overview")
    page.locator("a[href='/asset-groups']").click()
    for group in GROUPS:
        expect(page.get_by_text(group, exact=True).first).to_be_visible()
    watched.show("graph")


def _month(up: Up, watched: Watched) -> None:
    """A month is materialized by clicking, and its run succeeds."""
    page = watched.page
    page.goto(f"{up.dagster}/assets/features")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    dialog = page.get_by_role("dialog")
    months = dialog.get_by_placeholder("ex: 2024-01, 2024-02")  # all delivered months, and no others
    months.fill("2024-02")
    months.press("Enter")
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()
    watched.show("partition")
    dialog.get_by_role("button", name=re.compile("^Launch")).click()
    page.get_by_text("View", exact=True).first.click()
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    watched.show("run")


def _check(up: Up, watched: Watched) -> None:
    """The delta rule says why the second version does not serve."""
    page = watched.page
    page.goto(f"{up.dagster}/assets/evaluation")
    expect(page.get_by_text("roc", exact=True)).to_be_visible()
    watched.show("evaluation")
    page.get_by_role("tab", name="Checks").click()
    page.get_by_text("delta_rule", exact=True).first.click()
    expect(page.get_by_text(re.compile(r"0\.\d{4} (<=|>) 0\.\d{4} \+ 0\.01: version")).first).to_be_visible()
    watched.show("check")


def _drift(up: Up, watched: Watched) -> None:
    """The drift report leads to Evidently's page."""
    page = watched.page
    page.goto(f"{up.dagster}/assets/drift_report")
    link = page.locator("a[href$='/reports/drift/2024-02.html']").first
    report = link.get_attribute("href") or ""
    watched.show("drift")
    page.get_by_role("button", name="Plots").click()
    expect(page.get_by_text("drift_share", exact=True).first).to_be_visible()
    watched.show("drift_plots")
    page.goto(report)
    expect(page.get_by_role("columnheader", name="Drift Score").first).to_be_visible()
    watched.show("evidently")


def _data_docs(up: Up, watched: Watched) -> None:
    """A landed table leads to Great Expectations' page."""
    page = watched.page
    page.goto(f"{up.dagster}/assets/landed/users")
    link = page.locator("a[href$='/reports/data_docs/2024-02/users.html']").first
    expect(link).to_be_visible()
    watched.show("landed")
    page.goto(link.get_attribute("href") or "")
    expect(page.get_by_role("heading", name="users of 2024-02")).to_be_visible()
    expect(page.get_by_role("heading", name="user_id")).to_be_visible()
    watched.show("data_docs")


def _promotion(up: Up, watched: Watched) -> None:
    """The promotion says why its version serves."""
    page = watched.page
    page.goto(f"{up.dagster}/assets/promotion")
    expect(page.get_by_text(re.compile("version 1 is promoted"))).to_be_visible()
    watched.show("promotion")


def _registry(up: Up, watched: Watched) -> None:
    """MLflow names the first version champion."""
    page = watched.page
    page.goto(f"{up.mlflow}/#/models/streamflow_churn")
    row = page.get_by_role("row").filter(has_text="Version 1")
    expect(row).to_contain_text("champion")
    page.get_by_role("button", name="Close").first.click()  # MLflow's assistant, which pops up on a first visit
    watched.show("registry")
    row.get_by_role("link", name="Version 1").click()
    expect(page.get_by_text("champion").first).to_be_visible()
    watched.show("version")


def _api(up: Up, watched: Watched) -> None:
    """The API's page describes it, and it predicts."""
    page = watched.page
    page.goto(up.serving)
    expect(page.get_by_text("/predict", exact=True).first).to_be_visible()
    watched.show("api")
    route = page.locator("[id='post/predict']")
    route.locator("summary").click()
    route.get_by_role("button", name="Send").click()
    expect(route.get_by_text("200 OK")).to_be_visible()  # the form holds a customer that exists
    answer = json.loads(route.locator("pre").inner_text())
    assert 0 <= answer["probability"] <= 1
    assert answer["model_version"] == 1, answer
