"""Drift by Evidently: which columns drift, which cannot, and what is written about it."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import numpy as np
import pandas as pd
import pytest

from churn_platform.lake import Lake, MissingTableError
from churn_platform.monitoring import drift, page
from churn_platform.months import Month
from churn_platform.tables.features import AS_OF
from churn_platform.tables.names import DRIFT_REPORT, FEATURES
from churn_platform_tests.pages import Page
from churn_platform_tests.streamflow import HISTORY, KEY, LABEL, SCHEMA, STREAMFLOW

pytestmark = pytest.mark.usefixtures("drawn")

JANUARY, FEBRUARY, MARCH, APRIL = (Month(2024, number) for number in (1, 2, 3, 4))


def put_features(lake: Lake, month: Month, rows: int = 400, seed: int = 0, **columns: object) -> None:
    """A month of features that differ only by chance from month to month; `columns` replace some of them."""
    import ibis

    rng = np.random.default_rng([seed, month.number])
    values: dict[str, object] = {KEY: [f"{number:04d}-ABCDE" for number in range(rows)], AS_OF: month.as_of}
    schema = {KEY: "string", AS_OF: "date"}
    for feature in SCHEMA:
        if feature.kind == "category":
            values[feature.name], schema[feature.name] = rng.choice(feature.categories, rows), "string"
        elif feature.kind == "boolean":
            values[feature.name], schema[feature.name] = rng.random(rows) < 0.5, "boolean"
        else:
            values[feature.name], schema[feature.name] = rng.normal(10, 2, rows), "float64"
    frame = pd.DataFrame(values | columns)
    lake.write(FEATURES, month, ibis.memtable(frame, schema=schema).order_by(KEY))


@pytest.fixture(scope="module")
def lake_of_months(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three quiet months, and one in which three features shifted."""
    lake = Lake(tmp_path_factory.mktemp("months"), STREAMFLOW)
    for month in (JANUARY, FEBRUARY, MARCH):
        put_features(lake, month)
    fees = np.random.default_rng(5).normal(14, 2, 400)
    put_features(lake, APRIL, monthly_fee=fees, contract_type="Two year", has_family=True)
    return lake


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def quiet(lake_of_months: Lake, pages: Path) -> drift.Drift:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("DO_NOT_TRACK", raising=False)
        return drift.compare(lake_of_months, MARCH, [FEBRUARY], 0.02, pages)


@pytest.fixture(scope="module")
def shifted(lake_of_months: Lake, pages: Path) -> drift.Drift:
    return drift.compare(lake_of_months, APRIL, [MARCH], 0.02, pages)


def test_without_pages_the_figures_are_the_same(lake_of_months: Lake, shifted: drift.Drift) -> None:
    assert drift.compare(lake_of_months, APRIL, [MARCH], 0.02, None) == shifted


def test_quiet_columns_do_not_drift_and_shifted_ones_do(quiet: drift.Drift, shifted: drift.Drift) -> None:
    assert quiet.drift_share == 0 and quiet.drifted == ()
    assert set(shifted.drifted) == {"monthly_fee", "contract_type", "has_family"}
    assert shifted.drift_share == pytest.approx(3 / len(shifted.columns))
    assert [c.score for c in shifted.columns] == sorted((c.score for c in shifted.columns), reverse=True)
    assert not {KEY, LABEL, AS_OF} & {c.column for c in shifted.columns}
    assert (shifted.rows, shifted.reference_rows, shifted.sampled) == (400, 400, False)


def test_the_share_is_evidentlys_own(lake_of_months: Lake, tmp_path: Path) -> None:
    found = drift.compare(lake_of_months, APRIL, [JANUARY, FEBRUARY, MARCH], 0.02, tmp_path)
    report = msgspec.json.decode((tmp_path / "2024-04.json").read_bytes())
    count = next(m["value"] for m in report["metrics"] if m["metric_name"].startswith("DriftedColumnsCount"))
    assert count == {"count": len(found.drifted), "share": pytest.approx(found.drift_share)}
    assert found.drifted
    assert found.reference == ("2024-01", "2024-02", "2024-03") and found.reference_rows == 1200


@pytest.mark.usefixtures("quiet", "shifted")
def test_pages_are_small_and_share_evidentlys_script(pages: Path) -> None:
    [library] = pages.glob("*.js")
    assert library.name.startswith(f"evidently-{version('evidently')}-")
    assert "drawDashboard" in library.read_text()
    for name in ("2024-03.html", "2024-04.html"):
        assert (pages / name).stat().st_size <= 300_000
        assert f'"{library.name}"' in (pages / name).read_text()


def test_a_page_draws_what_evidently_found_and_nothing_else_runs(quiet: drift.Drift, pages: Path) -> None:
    page = Page((pages / "2024-03.html").read_text())
    data, loader = page.scripts
    dashboard, graphs = page.data
    assert '"column_name": "monthly_fee"' in json.dumps(dashboard)
    assert {graph["type"] for graph in graphs.values()} == {"big_graph"}
    drawn = re.findall(r'"title": "DATA DISTRIBUTION", "id": "([^"]+)"', json.dumps(dashboard))
    assert len(drawn) == len(quiet.columns) and set(drawn) <= graphs.keys()
    assert page.runs(loader) and not page.runs(data)
    assert "default-src 'none'" in page.policy and "unsafe" not in page.policy.partition("style-src")[0]
    assert page.active == []


def test_each_column_is_judged_and_drawn_once(
    lake_of_months: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evidently.legacy.calculations import data_drift
    from evidently.legacy.metrics.data_drift import data_drift_table
    from evidently.metrics import column_statistics

    drawings = Mock(side_effect=data_drift_table.plot_distr_with_perc_button)
    verdicts = Mock(side_effect=data_drift.get_one_column_drift)
    for module in (data_drift_table, column_statistics):
        monkeypatch.setattr(module, "plot_distr_with_perc_button", drawings)
    for module in (data_drift, column_statistics):
        monkeypatch.setattr(module, "get_one_column_drift", verdicts)
    found = drift.compare(lake_of_months, FEBRUARY, [JANUARY], 0.02, tmp_path)
    assert drawings.call_count == verdicts.call_count == len(found.columns)


def test_a_page_is_what_evidently_draws_in_its_own_time(
    lake_of_months: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = drift.compare(lake_of_months, APRIL, [JANUARY, MARCH], 0.02, tmp_path / "quick")
    monkeypatch.setattr(drift, "each_column_once", nullcontext)
    monkeypatch.setattr(drift, "unstyled", nullcontext)
    monkeypatch.setattr(page, "_styled", lambda graph: graph)
    assert drift.compare(lake_of_months, APRIL, [JANUARY, MARCH], 0.02, tmp_path / "slow") == quick
    [made, whole] = (
        _numbered(json.dumps(Page((tmp_path / name / "2024-04.html").read_text()).data)) for name in ("quick", "slow")
    )
    assert made == whole
    assert (tmp_path / "quick/2024-04.json").read_bytes() == (tmp_path / "slow/2024-04.json").read_bytes()


def _numbered(data: str) -> str:
    """A page's data with its random ids in the order in which they come."""
    ids: dict[str, str] = {}
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lambda id: ids.setdefault(id[0], str(len(ids))), data)


def test_a_page_shows_categories_that_mean_nothing(lake: Lake, tmp_path: Path) -> None:
    put_features(lake, JANUARY)
    put_features(
        lake, FEBRUARY, contract_type=(["</script><script>alert(1)</script>", "<a href=x>", "A" * 5000] * 134)[:400]
    )
    drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)
    page = Page((tmp_path / "2024-02.html").read_text())
    assert len(page.scripts) == 2
    drawn = json.dumps(page.data)
    assert "<script" not in drawn and "<a" not in drawn and "A" * 100 not in drawn
    assert r"\\x3c/script\\x3e\\x3cscript\\x3ealert(1)" in drawn


def test_what_cannot_drift_does_not_count_and_it_is_said_why(lake: Lake, tmp_path: Path) -> None:
    by_rounding_alone = 1 + np.arange(400) * 1e-12
    same: dict[str, Any] = {"add_on_backup": None, "skips_7d": 7.0, "fee_to_past_fee": by_rounding_alone}
    put_features(lake, JANUARY, **same, watch_hours_30d_change_1m=None, add_ons=1.0)
    put_features(lake, FEBRUARY, **same, add_on_support=None, add_ons=2.0)
    found = drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)
    assert (
        found.left_out.items()
        >= {
            "add_on_backup": "no known values in the reference",
            "watch_hours_30d_change_1m": "no known values in the reference",
            "add_on_support": "no known values in this month",
            "skips_7d": "constant",
            "fee_to_past_fee": "constant",
        }.items()
    )
    assert "add_ons" in found.drifted  # constant in each, but not the same
    assert len(found.columns) + len(found.left_out) == len(SCHEMA)


def test_ratios_to_two_months_wait_for_two_months(quiet: drift.Drift, shifted: drift.Drift) -> None:
    """The first month has none before it and the second only one, so its ratios spread wider."""
    assert quiet.left_out.keys() == {f"{column}_ratio_2m" for column in HISTORY}
    assert not shifted.left_out


def test_nothing_to_compare_is_no_drift(lake: Lake, tmp_path: Path) -> None:
    nothing: dict[str, Any] = {feature.name: None for feature in SCHEMA}
    put_features(lake, JANUARY, **nothing)
    put_features(lake, FEBRUARY)
    found = drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)
    assert (found.drift_share, found.columns, len(found.left_out)) == (0.0, (), len(SCHEMA))
    assert not list(tmp_path.glob("*.html"))


def test_above_the_bound_a_sample_is_compared_and_said_so(lake: Lake, tmp_path: Path) -> None:
    put_features(lake, JANUARY)
    put_features(lake, FEBRUARY)
    found = drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path, most=200)
    assert found.sampled and (found.customers, found.reference_customers) == (400, 400)
    assert 150 < found.rows < 250 and found.rows == found.reference_rows


def test_a_report_is_read_as_it_was_written(lake: Lake, shifted: drift.Drift) -> None:
    assert lake.document(DRIFT_REPORT, APRIL, drift.Drift) is None
    lake.write_document(DRIFT_REPORT, APRIL, shifted)
    assert lake.document(DRIFT_REPORT, APRIL, drift.Drift) == shifted


def test_a_month_that_is_not_closed_is_named(lake: Lake, tmp_path: Path) -> None:
    put_features(lake, JANUARY)
    with pytest.raises(MissingTableError, match="features of 2024-02 is not there"):
        drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)


@pytest.mark.usefixtures("quiet")
def test_evidently_calls_nobody() -> None:
    from evidently.telemetry import event_logger

    assert not event_logger.is_enabled()
