"""A company's own months, lived through as if nothing were known of what came later."""

from __future__ import annotations

import json
from pathlib import Path

from churn_platform.home import Home
from churn_platform.months import Month
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform, quick_platform


def test_a_version_learns_only_from_what_was_known(tmp_path: Path) -> None:
    platform = quick_platform(tmp_path, foreign.CLUB)
    foreign.club(platform.settings.drops, 4)
    into, page = tmp_path / "into", tmp_path / "page.html"
    result = platform.churn("backtest", "--into", str(into), "--page", str(page), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    months = told["months"]
    assert [month["month"] for month in months] == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert months[0]["version"] is None and months[0]["customers"] > 0
    assert months[3]["customers"] == 0  # nobody knows yet who of them will leave
    assert [month["causes"][:1] for month in months[:2]] == [[], ["RETRAINING_TRIGGERED no champion yet"]]

    registry = Home(platform.settings.model_copy(update={"home": into / "home"})).registry
    for month in months[1:]:
        assert registry.version(month["version"]).month < Month.parse(month["month"])
    assert told["summary"]["compared"] == 2
    assert 0.5 < told["summary"]["platform"]["auc"] < 1
    assert told["summary"]["platform"]["fees"] is None
    assert "Backtest of Club" in page.read_text()
    assert not platform.settings.lake.exists()  # the person's own home is left alone

    again = platform.churn("backtest", "--into", str(into))
    assert again.exit_code == 1
    assert "is not empty" in again.output


def test_labels_that_come_with_a_month_teach_nobody_who_serves_it(tmp_path: Path) -> None:
    platform = quick_platform(tmp_path, foreign.BANK)
    for month in ("2024-01", "2024-02"):
        foreign.bank(platform.settings.drops / month)
    result = platform.churn("backtest", "--json")
    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)["months"]
    assert (first["version"], first["platform"]["auc"], first["promotions"]) == (None, None, 1)
    assert second["version"] == 1  # which learned from the first month
    assert (first["labels_from"], second["labels_from"]) == ("2024-01-31", "2024-02-29")


def test_a_month_that_cannot_be_closed_says_why(tmp_path: Path) -> None:
    (tmp_path / "company.toml").write_text(foreign.BANK)
    platform = Platform(homes.settings_of(tmp_path, company=tmp_path / "company.toml"))
    (foreign.bank(platform.settings.drops / "2024-01") / "clients.csv").unlink()
    result = platform.churn("backtest")
    assert result.exit_code == 1
    assert "2024-01 was not closed: 2024-01 waits: 2024-01 has no file yet for clients" in " ".join(
        result.output.split()
    )
