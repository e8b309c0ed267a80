"""Drift of features and of the target: what counts, against what, and from where on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from churn_platform.contracts import KEY, LABEL, LABELS
from churn_platform.lake import Lake, MissingTableError
from churn_platform.monitoring import drift, target
from churn_platform.months import Month
from churn_platform.tables.features import AS_OF, HISTORY, SCHEMA
from churn_platform.tables.names import DRIFT_REPORT, FEATURES, TARGET_DRIFT, landed

JANUARY, FEBRUARY, MARCH, APRIL = (Month(2024, number) for number in (1, 2, 3, 4))


def put_features(lake: Lake, month: Month, rows: int = 400, seed: int = 0, **columns: object) -> None:
    """A month of features that are the same but for chance in every month; `columns` replace some of them."""
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


def put_labels(lake: Lake, month: Month, churned: int, customers: int) -> None:
    import ibis

    frame = pd.DataFrame({KEY: [f"{n:06d}" for n in range(customers)], LABEL: [n < churned for n in range(customers)]})
    lake.write(landed(LABELS.name), month, ibis.memtable(frame).order_by(KEY))


@pytest.mark.parametrize(
    ("month", "trained_on", "expected"),
    [
        (MARCH, [JANUARY, FEBRUARY], [JANUARY, FEBRUARY]),
        (MARCH, [FEBRUARY, JANUARY], [JANUARY, FEBRUARY]),
        (MARCH, [], [FEBRUARY]),
        (FEBRUARY, [JANUARY, FEBRUARY, MARCH], [JANUARY]),  # never with itself, never with later months
        (MARCH, [MARCH], [FEBRUARY]),
        (MARCH, [Month(2023, 12)], [FEBRUARY]),  # whose features are gone
        (JANUARY, [FEBRUARY], []),
        (JANUARY, [], []),
    ],
)
def test_the_reference_is_what_the_champion_learned_from_or_the_month_before(
    month: Month, trained_on: list[Month], expected: list[Month]
) -> None:
    known = (JANUARY, FEBRUARY, MARCH)
    assert drift.reference_months(month, trained_on, known) == tuple(expected)


def test_quiet_columns_do_not_drift_and_shifted_ones_do(lake: Lake, tmp_path: Path) -> None:
    for month in (JANUARY, FEBRUARY, MARCH):
        put_features(lake, month)
    rng = np.random.default_rng(5)
    put_features(
        lake,
        APRIL,
        monthly_fee=rng.normal(14, 2, 400),
        contract_type="Two year",
        has_family=True,
    )
    quiet = drift.compare(lake, MARCH, [FEBRUARY], 0.02, tmp_path)
    assert quiet.drift_share == 0 and quiet.drifted == ()
    found = drift.compare(lake, APRIL, [MARCH], 0.02, tmp_path)
    assert set(found.drifted) == {"monthly_fee", "contract_type", "has_family"}
    assert found.drift_share == pytest.approx(3 / len(found.columns))
    assert [c.score for c in found.columns] == sorted((c.score for c in found.columns), reverse=True)
    assert not {KEY, LABEL, AS_OF} & {c.column for c in found.columns}
    assert (found.rows, found.reference_rows, found.sampled) == (400, 400, False)


def test_the_share_is_evidentlys_own(lake: Lake, tmp_path: Path) -> None:
    for month in (JANUARY, FEBRUARY, MARCH):
        put_features(lake, month)
    put_features(lake, APRIL, monthly_fee=np.random.default_rng(5).normal(14, 2, 400))
    found = drift.compare(lake, APRIL, [JANUARY, FEBRUARY, MARCH], 0.02, tmp_path)
    report = msgspec.json.decode((tmp_path / "2024-04.json").read_bytes())
    count = next(m["value"] for m in report["metrics"] if m["metric_name"].startswith("DriftedColumnsCount"))
    assert count == {"count": len(found.drifted), "share": pytest.approx(found.drift_share)}
    assert found.reference == ("2024-01", "2024-02", "2024-03") and found.reference_rows == 1200


def test_the_page_needs_no_network(lake: Lake, tmp_path: Path) -> None:
    for month in (JANUARY, FEBRUARY):
        put_features(lake, month)
    drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)
    page = (tmp_path / "2024-02.html").read_text()
    assert "monthly_fee" in page
    assert not any(f'{tag}="http' in page for tag in ("<script src", "<link href", "<img src"))


def test_what_cannot_drift_does_not_count_and_it_is_said_why(lake: Lake, tmp_path: Path) -> None:
    put_features(lake, JANUARY, add_on_backup=None, watch_hours_30d_change_1m=None, skips_7d=7.0, add_ons=1.0)
    put_features(lake, FEBRUARY, add_on_backup=None, add_on_support=None, skips_7d=7.0, add_ons=2.0)
    found = drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)
    assert (
        found.left_out.items()
        >= {
            "add_on_backup": "no known values in the reference",
            "watch_hours_30d_change_1m": "no known values in the reference",
            "add_on_support": "no known values in this month",
            "skips_7d": "constant",
        }.items()
    )
    assert "add_ons" in found.drifted  # constant in each, but not the same
    assert len(found.columns) + len(found.left_out) == len(SCHEMA)


def test_ratios_to_two_months_wait_for_two_months(lake: Lake, tmp_path: Path) -> None:
    """The first month has none before it and the second one alone, whose ratios spread wider."""
    for month in (JANUARY, FEBRUARY, MARCH, APRIL):
        put_features(lake, month)
    ratios = {f"{column}_ratio_2m" for column in HISTORY}
    assert drift.compare(lake, MARCH, [FEBRUARY], 0.02, tmp_path).left_out.keys() == ratios
    assert not drift.compare(lake, APRIL, [MARCH], 0.02, tmp_path).left_out


def test_values_that_differ_by_rounding_alone_are_constant(lake: Lake, tmp_path: Path) -> None:
    noise = 1 + np.arange(400) * 1e-12
    put_features(lake, JANUARY, fee_to_past_fee=noise)
    put_features(lake, FEBRUARY, fee_to_past_fee=noise)
    assert drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path).left_out["fee_to_past_fee"] == "constant"


def test_nothing_to_compare_is_no_drift(lake: Lake, tmp_path: Path) -> None:
    nothing: dict[str, Any] = {feature.name: None for feature in SCHEMA}
    put_features(lake, JANUARY, **nothing)
    put_features(lake, FEBRUARY)
    found = drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)
    assert (found.drift_share, found.columns, len(found.left_out)) == (0.0, (), len(SCHEMA))
    assert not list(tmp_path.glob("*.html"))


def test_a_threshold_that_chance_seldom_reaches() -> None:
    assert drift.column_threshold(7043, 7043) == 0.1
    assert drift.column_threshold(50, 50) == pytest.approx(4 * math.sqrt(2 / 50))


def test_a_sample_takes_the_same_customers_of_every_month_and_holdout_customers_too(lake: Lake) -> None:
    import ibis

    keys = [f"{number:04d}-ABCDE" for number in range(8000)]
    many, shuffled = (ibis.memtable({KEY: values}) for values in (keys, keys[::-1]))
    chosen = set(lake.engine.execute(drift.sample(many, 8000, 2000))[KEY])
    assert chosen == set(lake.engine.execute(drift.sample(shuffled, 8000, 2000))[KEY])
    assert len(chosen) == pytest.approx(2000, rel=0.1)
    from churn_platform.tables.features import is_holdout

    sampled = ibis.memtable({KEY: sorted(chosen)})
    held_out = lake.engine.execute(sampled.filter(is_holdout(sampled[KEY])).count())
    assert held_out / len(chosen) == pytest.approx(0.25, abs=0.05)
    assert drift.sample(many, 8000, 8000) is many


def test_above_the_bound_a_sample_is_compared_and_said_so(lake: Lake, tmp_path: Path) -> None:
    put_features(lake, JANUARY)
    put_features(lake, FEBRUARY)
    found = drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path, most=200)
    assert found.sampled and (found.customers, found.reference_customers) == (400, 400)
    assert 150 < found.rows < 250 and found.rows == found.reference_rows


def test_a_report_is_read_as_it_was_written(lake: Lake, tmp_path: Path) -> None:
    put_features(lake, JANUARY)
    put_features(lake, FEBRUARY)
    found = drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)
    assert lake.document(DRIFT_REPORT, FEBRUARY, drift.Drift) is None
    lake.write_document(DRIFT_REPORT, FEBRUARY, found)
    assert lake.document(DRIFT_REPORT, FEBRUARY, drift.Drift) == found


def test_a_month_that_is_not_closed_is_named(lake: Lake, tmp_path: Path) -> None:
    put_features(lake, JANUARY)
    with pytest.raises(MissingTableError, match="features of 2024-02 is not there"):
        drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)


@pytest.mark.parametrize(
    ("churned", "customers", "drifted"),
    [
        (210, 1000, False),
        (260, 1000, True),
        (150, 1000, True),
        (30, 100, False),  # a large change that chance explains
        (202_000, 1_000_000, False),  # a sure change that does not matter
    ],
)
def test_the_target_drifts_by_sure_changes_that_matter(lake: Lake, churned: int, customers: int, drifted: bool) -> None:
    put_labels(lake, JANUARY, 200, 1000)
    put_labels(lake, FEBRUARY, 200, 1000)
    put_labels(lake, MARCH, churned, customers)
    found = target.compare(lake, MARCH, [JANUARY, FEBRUARY])
    assert found.drifted is drifted
    assert (found.churn_share, found.reference_churn_share) == (churned / customers, 0.2)
    assert (found.customers, found.reference_customers) == (customers, 2000)
    lake.write_document(TARGET_DRIFT, MARCH, found)
    assert lake.document(TARGET_DRIFT, MARCH, target.TargetDrift) == found


def test_the_z_test_is_that_of_the_chi_squared_test_without_correction() -> None:
    from scipy.stats import chi2_contingency

    expected = chi2_contingency([[30, 70], [45, 75]], correction=False).pvalue
    assert target.two_proportions(30, 100, 45, 120) == pytest.approx(expected)
    assert target.two_proportions(0, 10, 0, 20) == 1.0


def test_evidently_calls_nobody(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    put_features(lake, JANUARY)
    put_features(lake, FEBRUARY)
    drift.compare(lake, FEBRUARY, [JANUARY], 0.02, tmp_path)
    from evidently.telemetry import event_logger

    assert not event_logger.is_enabled()
