"""A champion that scores a month unlike what it has learned: people are told, and a retraining waits for labels."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.automation import news, unsafe, watch
from churn_platform.automation.triggers import Launch
from churn_platform.monitoring.drift import ColumnDrift, Drift
from churn_platform.monitoring.performance import Expected
from churn_platform.monitoring.shifts import Shift
from churn_platform.tables.names import DRIFT_REPORT, EXPECTED, landed
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform, done

MARCH = homes.MONTHS[2]
COLUMNS = tuple(f"column_{number}" for number in range(7))


@pytest.fixture
def platform(trained: Platform, tmp_path: Path) -> Platform:
    """A champion for January, and three closed months."""
    return trained.copy(tmp_path)


def differ(platform: Platform, *drifted: str, shifted: tuple[str, ...] = ()) -> None:
    """A drift report of March that says so."""
    columns = tuple(ColumnDrift(name, "wasserstein", 1.0, 0.1, name in drifted) for name in COLUMNS)
    tests = tuple(Shift(name, "chi2", 1e-9, shifted=True) for name in shifted)
    share = len(drifted) / len(columns)
    found = Drift(str(MARCH), ("2024-01",), share, drifted, columns, {}, 500, 500, 500, 500, tests)
    platform.home.lake.write_document(DRIFT_REPORT, MARCH, found)


def withdraw(platform: Platform) -> Path:
    """Take March's labels away, and say where they are kept."""
    labels = platform.home.lake.path(landed("labels"), MARCH)
    return labels.rename(labels.with_suffix(".kept"))


def test_it_is_told_until_the_labels_are_known(platform: Platform, instance: dg.DagsterInstance) -> None:
    home = platform.home
    differ(platform, *COLUMNS[:6], shifted=("column_6",))
    assert unsafe.told(home) is None  # the labels are known: a retraining is due
    assert isinstance(watch.retraining(home, instance), Launch)
    kept = withdraw(platform)
    home.lake.write_document(EXPECTED, MARCH, Expected("2024-03", 2, "2024-01", 0.83, 500, 0.8123, 0.2, 0.01))
    found = unsafe.told(home)
    assert found is not None
    assert found == (
        "version 2 may be wrong about 2024-03, which is unlike what it has learned: 7 features differ"
        " (column_0, column_1, column_2, column_3, column_4 and 2 more); no version can learn from it before its"
        " labels are known, 2024-04-30 at the earliest. By its own scores its AUC would be 0.8123, give or take"
        " 0.0196 (95 %), if churn still follows the same pattern: that shows whether customers are harder to tell"
        " apart, but not whether they leave for other reasons than before"
    )
    assert "no version can learn from it before the labels" in watch.retraining(home, instance).why
    [alert] = [a for a in news.alerts(home, instance, date(2024, 4, 1)) if a.title == "The champion may be wrong"]
    assert "2024-03" in alert.body
    assert found in done(platform, "status").replace("\n", " ")
    assert json.loads(done(platform, "status", "--json"))["unsafe"] == found
    kept.rename(kept.with_suffix(".parquet"))
    assert unsafe.told(home) is None


def test_a_shift_alone_is_enough(platform: Platform) -> None:
    differ(platform, shifted=("column_3",))
    withdraw(platform)
    assert "1 feature differs (column_3)" in str(unsafe.told(platform.home))


def test_without_a_champion_or_drift_nothing_is_told(platform: Platform, closed: Platform) -> None:
    withdraw(platform)
    differ(platform)
    assert unsafe.told(platform.home) is None
    assert unsafe.told(closed.home) is None
    assert json.loads(done(platform, "status", "--json"))["unsafe"] is None
