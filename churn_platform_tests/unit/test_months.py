"""Months: keys, arithmetic and drop folders agree with the calendar."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_platform.months import Month, MonthError

MONTHS = st.builds(Month, st.integers(1900, 2200), st.integers(1, 12))
FIRST = Month(2024, 1)


@given(MONTHS)
def test_a_key_is_read_as_it_is_written(month: Month) -> None:
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize("key", ["", "2024-1", "2024-13", "2024-00", "2024-01-01", "24-01", "2024/01", " 2024-01"])
def test_anything_else_is_no_month(key: str) -> None:
    with pytest.raises(MonthError, match="write it as YYYY-MM"):
        Month.parse(key)


@given(MONTHS, st.integers(-500, 500))
def test_arithmetic_goes_there_and_back(month: Month, count: int) -> None:
    later = month + count
    assert later - count == month
    assert later.since(month) == count
    assert (later > month) == (count > 0)


@given(MONTHS)
def test_as_of_is_the_last_day(month: Month) -> None:
    assert Month.of(month.as_of) == month
    assert Month.of(month.as_of + timedelta(days=1)) == month + 1


def test_leap_years() -> None:
    assert Month(2024, 2).as_of == date(2024, 2, 29)
    assert Month(2023, 2).as_of == date(2023, 2, 28)


@pytest.mark.parametrize(
    ("folder", "month"),
    [
        ("month_000", Month(2024, 1)),
        ("month_013", Month(2025, 2)),
        ("month_1000", Month(2107, 5)),
        ("2024-07", Month(2024, 7)),
        ("month_00", None),
        ("month_0x1", None),
        ("2024-13", None),
        ("archive", None),
        (".month_000.ab12", None),
    ],
)
def test_drop_folders(folder: str, month: Month | None) -> None:
    assert Month.of_folder(folder, FIRST) == month
