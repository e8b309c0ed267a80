"""Shifts: tests that find a small change of many customers, and leave out what age alone explains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_platform.lake import Lake
from churn_platform.monitoring import shifts
from churn_platform.months import Month
from churn_platform.tables.features import AS_OF
from churn_platform.tables.names import FEATURES
from churn_platform_tests.streamflow import KEY, SCHEMA

JANUARY, FEBRUARY, MARCH = (Month(2024, number) for number in (1, 2, 3))
CUSTOMERS = 2000


@pytest.fixture
def people() -> dict[str, Any]:
    """What the same customers are like in each month."""
    rng = np.random.default_rng(7)
    values: dict[str, Any] = {KEY: [f"{number:04d}-ABCDE" for number in range(CUSTOMERS)]}
    for feature in SCHEMA:
        if feature.kind == "category":
            values[feature.name] = rng.choice(feature.categories, CUSTOMERS)
        elif feature.kind == "boolean":
            values[feature.name] = rng.random(CUSTOMERS) < 0.5
        else:
            values[feature.name] = rng.normal(10, 2, CUSTOMERS)
    return values


def close(lake: Lake, month: Month, people: dict[str, Any], **columns: object) -> None:
    import ibis

    kinds = {"category": "string", "boolean": "boolean", "number": "float64"}
    schema = {KEY: "string", AS_OF: "date"} | {feature.name: kinds[feature.kind] for feature in SCHEMA}
    frame = pd.DataFrame(people | {AS_OF: month.as_of} | columns)
    lake.write(FEATURES, month, ibis.memtable(frame[[*schema]], schema=schema).order_by(KEY))


def shifted(lake: Lake, month: Month, most: int = shifts.MOST_ROWS) -> set[str]:
    return {found.column for found in shifts.compare(lake, month, most) if found.shifted}


def test_a_change_that_is_too_small_for_a_distance_is_found(lake: Lake, people: dict[str, Any]) -> None:
    close(lake, JANUARY, people)
    close(lake, FEBRUARY, people)
    some = np.arange(CUSTOMERS) % 8 == 0
    close(
        lake,
        MARCH,
        people,
        contract_type=np.where(some, "Two year", people["contract_type"]),
        watch_hours_30d=people["watch_hours_30d"] + 0.4,
        add_on_backup=[None if new else old for new, old in zip(some, people["add_on_backup"], strict=True)],
        skips_7d=np.where(some, np.nan, people["skips_7d"]),
        rebuffer_events_7d=people["rebuffer_events_7d"] + 0.01,
    )
    assert shifted(lake, MARCH) == {"contract_type", "watch_hours_30d", "add_on_backup", "skips_7d"}
    first = shifts.compare(lake, MARCH)[0]
    assert first.p_value < 1e-6 and first.shifted
    assert shifted(lake, MARCH, most=50) == set()  # so few customers cannot tell


def test_the_same_customers_have_not_shifted(lake: Lake, people: dict[str, Any]) -> None:
    for month in (JANUARY, FEBRUARY):
        close(lake, month, people)
    found = shifts.compare(lake, FEBRUARY)
    assert {shift.p_value for shift in found} == {1.0}
    assert not {"watch_hours_30d_change_1m", "watch_hours_30d_ratio_2m"} & {shift.column for shift in found}
    assert {"ks", "chi2"} == {shift.test for shift in found}


def test_what_rises_with_time_for_everybody_is_no_shift(lake: Lake, people: dict[str, Any]) -> None:
    months = np.random.default_rng(8).permutation(CUSTOMERS) % 12
    for ago, month in enumerate((JANUARY, FEBRUARY)):
        close(lake, month, people, months_active=months + float(ago))
    close(lake, MARCH, people, months_active=months + 2.0, monthly_fee=people["monthly_fee"] + 1)
    assert shifted(lake, FEBRUARY) == set()
    assert shifted(lake, MARCH) == {"monthly_fee"}  # it rises for everybody too, but has not done so before


def test_a_price_rise_in_the_second_month_is_no_ageing(lake: Lake, people: dict[str, Any]) -> None:
    close(lake, JANUARY, people)
    close(lake, FEBRUARY, people, monthly_fee=people["monthly_fee"] * 1.1)
    assert shifted(lake, FEBRUARY) == {"monthly_fee"}


def test_values_of_which_each_is_rare_count_as_one(lake: Lake, people: dict[str, Any]) -> None:
    close(lake, JANUARY, people, contract_type=[f"a{number}" for number in range(CUSTOMERS)])
    close(lake, FEBRUARY, people, contract_type=[f"b{number}" for number in range(CUSTOMERS)])
    assert "contract_type" not in shifted(lake, FEBRUARY)
