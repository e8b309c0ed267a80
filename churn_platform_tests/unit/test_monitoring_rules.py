"""What counts as drift, compared with what and from which threshold; and whether churn itself drifted."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from churn_platform.lake import Lake
from churn_platform.monitoring import drift, target
from churn_platform.months import Month
from churn_platform.tables.features import is_holdout, sample
from churn_platform.tables.names import TARGET_DRIFT, landed
from churn_platform_tests.streamflow import KEY, LABEL, LABELS

JANUARY, FEBRUARY, MARCH = (Month(2024, number) for number in (1, 2, 3))


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


def test_a_threshold_that_chance_seldom_reaches() -> None:
    assert drift.column_threshold(7043, 7043) == 0.1
    assert drift.column_threshold(50, 50) == pytest.approx(4 * math.sqrt(2 / 50))


def test_a_sample_takes_the_same_customers_of_every_month_and_holdout_customers_too(lake: Lake) -> None:
    import ibis

    keys = [f"{number:04d}-ABCDE" for number in range(8000)]
    many, shuffled = (ibis.memtable({KEY: values}) for values in (keys, keys[::-1]))
    chosen = set(lake.engine.execute(sample(many, KEY, 8000, 2000))[KEY])
    assert chosen == set(lake.engine.execute(sample(shuffled, KEY, 8000, 2000))[KEY])
    assert len(chosen) == pytest.approx(2000, rel=0.1)
    sampled = ibis.memtable({KEY: sorted(chosen)})
    held_out = lake.engine.execute(sampled.filter(is_holdout(sampled[KEY])).count())
    assert held_out / len(chosen) == pytest.approx(0.25, abs=0.05)
    assert sample(many, KEY, 8000, 8000) is many


@pytest.mark.parametrize(
    ("churned", "customers", "drifted"),
    [
        (210, 1000, False),
        (260, 1000, True),
        (150, 1000, True),
        (30, 100, False),  # a large change that chance explains
        (202_000, 1_000_000, False),  # a sure change, but too small to matter
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
