"""Homes of earlier versions: they open, show what they hold, and go on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn_platform_tests import earlier
from churn_platform_tests.conftest import Platform


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A home as version 0.1.0 left it."""
    return Platform(earlier.unpacked("0.1.0", tmp_path))


def said(platform: Platform, *arguments: str) -> str:
    """What the command line says, as one line; the command must succeed."""
    result = platform.churn(*arguments)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_it_shows_what_it_holds(platform: Platform) -> None:
    shown = said(platform, "status")
    assert "2024-01: 400 active customers, labels landed, 0 rows in quarantine" in shown
    assert "candidate version 1 with AUC 0.7543 promoted" in shown
    assert "champion: version 2, trained for 2024-02, AUC 0.8830" in shown
    assert "2024-01, 2024-02 were closed with DuckDB 2.0.0" in shown
    assert "To renew them: churn close --all" in shown
    assert said(platform, "receipts").endswith("3 receipts, each as it was written")


def test_it_goes_on(platform: Platform) -> None:
    assert "version 2" in said(platform, "retrain", "2024-02")
    assert "rolled back" in said(platform, "rollback", "--reason", "an older version has to serve as well")
    champion = platform.home.registry.champion()
    assert champion is not None
    assert champion.number == 1
    assert said(platform, "receipts").endswith("each as it was written")
    assert "2024-03 closed: 401 active customers" in said(platform, "close", "--all")
    assert "DuckDB 2.0.0" not in said(platform, "status")
