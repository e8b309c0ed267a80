"""Watching the stack: Prometheus' alerts by promtool, and every query of the dashboard on what serving tells."""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest

from churn_platform_tests.compose import ROOT
from churn_platform_tests.containers.engine import podman
from churn_platform_tests.containers.images import OTHERS
from churn_platform_tests.containers.stack import LIMITS, Stack
from churn_platform_tests.containers.test_stack import address, bearer

PATIENCE = 120.0
RULES = re.findall(r"alert: (\w+)", (ROOT / "deploy/prometheus/rules.yml").read_text())
PANELS = json.loads((ROOT / "deploy/grafana/dashboards/serving.json").read_text())["panels"]


@pytest.mark.parametrize("ask", [("check", "config", "prometheus.yml"), ("test", "rules", "rules.test.yml")])
def test_rules_raise_what_they_should(ask: tuple[str, ...]) -> None:
    folder = f"{ROOT / 'deploy/prometheus'}:/rules:ro"
    promtool = ("--entrypoint", "promtool", "--volume", folder, "--workdir", "/rules", OTHERS["prometheus"])
    assert "SUCCESS" in podman("run", "--rm", "--network", "none", *LIMITS, *promtool, *ask)


def test_every_query_of_the_dashboard_finds_data(stack: Stack) -> None:
    serving, prometheus = address(stack, "8000"), address(stack, "9090")
    customer = httpx.get(f"{serving}/customers", headers=bearer(), trust_env=False).json()["user_ids"][0]
    empty = {target["expr"] for panel in PANELS for target in panel["targets"]}
    until = time.monotonic() + PATIENCE
    while empty:
        assert time.monotonic() < until, empty
        asked = httpx.post(f"{serving}/predict", json={"user_id": customer}, headers=bearer(), trust_env=False)
        assert asked.status_code == 200
        time.sleep(1)  # Prometheus looks every 15 seconds, and rates need two looks
        empty = {query for query in empty if not found(prometheus, query.replace("$__rate_interval", "1m"))}


def test_no_alert_is_raised_where_all_is_well(stack: Stack) -> None:
    groups = httpx.get(f"{address(stack, '9090')}/api/v1/rules", trust_env=False).json()["data"]["groups"]
    rules = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert rules == dict.fromkeys(RULES, "ok")
    alerts = httpx.get(f"{address(stack, '9090')}/api/v1/alerts", trust_env=False).json()["data"]["alerts"]
    firing = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
    assert firing <= {"FeaturesAreOld"}  # the drops are of 2024


def found(prometheus: str, query: str) -> list[object]:
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": query}, trust_env=False).json()
    results: list[object] = answer["data"]["result"]
    return [one for one in results if one["value"][1] != "NaN"]  # type: ignore[index]
