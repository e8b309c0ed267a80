"""Who has left, by the months after."""

from __future__ import annotations

import re
from pathlib import Path

import ibis
import pytest

from churn_platform.company.declaration import DeclarationError
from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables import leaving
from churn_platform.tables.names import FEATURES, SEEN, landed
from churn_platform_tests import foreign

JANUARY, FEBRUARY, MARCH = (Month(2024, number) for number in range(1, 4))


def lake_of(folder: Path, after_months: int) -> Lake:
    declaration = foreign.CLUB.replace("after_months = 1", f"after_months = {after_months}")
    return Lake(folder, Contract(parse(declaration, "company.toml")))


def close(lake: Lake, month: Month, *keys: str, broken: tuple[str, ...] = ()) -> None:
    table = ibis.memtable({"Member No": sorted(keys)})
    lake.write(landed("members"), month, table)
    lake.write(FEATURES, month, table)
    if broken:
        lake.write(SEEN, month, ibis.memtable({"Member No": sorted((*keys, *broken))}))


def left(lake: Lake, month: Month) -> list[str]:
    content = leaving.content(lake, month)
    assert content is not None
    leaving.take_in(lake, month, content)
    rows = lake.frame(landed("labels"), month)
    assert list(rows.columns) == ["Member No", "Left"]
    return list(rows["Member No"][rows["Left"]])


def test_who_returns_within_the_gap_has_not_left(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, 2)
    close(lake, JANUARY, "1", "2", "3")
    close(lake, FEBRUARY, "1")
    assert leaving.content(lake, JANUARY) is None  # the gap is not over
    close(lake, MARCH, "1", "3")
    assert left(lake, JANUARY) == ["2"]
    assert leaving.content(lake, FEBRUARY) is None


def test_who_has_a_broken_row_has_not_left(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, 1)
    close(lake, JANUARY, "1", "2", "3")
    close(lake, FEBRUARY, "1", broken=("2",))
    assert left(lake, JANUARY) == ["3"]


def test_another_month_after_is_another_content(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, 1)
    close(lake, JANUARY, "1", "2")
    close(lake, FEBRUARY, "1")
    before = leaving.content(lake, JANUARY)
    close(lake, FEBRUARY, "1", "2")
    assert leaving.content(lake, JANUARY) != before
    assert left(lake, JANUARY) == []


@pytest.mark.parametrize(
    "beside", ["horizon_days = 30", 'table = "members"', 'involuntary = { column = "City", values = ["x"] }']
)
def test_nobody_delivers_labels_beside_absence(beside: str) -> None:
    with pytest.raises(DeclarationError, match="with `leaves` nobody delivers labels"):
        parse(foreign.CLUB.replace("leaves = {", f"{beside}\nleaves = {{"), "company.toml")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("Distance =", "Left =", "give each another name"),
        ('"boolean", until', '"boolean", role = "label", until', "name the label in [label], without `leaves`"),
    ],
)
def test_no_column_is_taken_for_the_label(before: str, after: str, told: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(told)):
        parse(foreign.CLUB.replace(before, after), "company.toml")
