"""A home as an earlier version left it, under `churn up`: everything comes up, and the platform goes on by itself."""

from __future__ import annotations

from pathlib import Path

import httpx

from churn_platform.home import Home
from churn_platform_tests import earlier, homes
from churn_platform_tests.running import Up


def test_it_comes_up_answers_and_closes_the_next_month(tmp_path: Path) -> None:
    home = Home(earlier.unpacked("0.1.0", tmp_path))
    months = [homes.rows_of(tmp_path / "drops" / name / "users.csv")[1:] for name in ("month_001", "month_002")]
    customer = min({row[0] for row in months[0]} & {row[0] for row in months[1]})  # serving may have either month
    with Up(tmp_path, CHURN_SETTLE_SECONDS="0", CHURN_SENSOR_SECONDS="1").started() as up:
        up.until(up.is_whole)  # what that version published is published again by then
        answer = httpx.post(f"{up.serving}/predict", json={"user_id": customer}, trust_env=False).json()
        assert answer["model_version"] == 2
        assert 0 <= answer["probability"] <= 1
        up.until(lambda: home.lake.has("features", homes.MONTHS[2]))
        ready = up.until(lambda: httpx.get(f"{up.serving}/ready", trust_env=False).json()["as_of"] == "2024-03-31")
        assert ready
        # What that version left is corrected at the start; all programs, those of others too, write as is set now.
        assert list(homes.open_to_others(up.home)) == []
