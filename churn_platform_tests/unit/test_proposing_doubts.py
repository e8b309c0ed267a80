"""Proposing: numbers and days that may be read in two ways are told, and none becomes another number in silence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn_platform.company.declaration import DeclaredTable, Kind, Role
from churn_platform.company.reading import parse
from churn_platform.proposing.proposal import propose
from churn_platform.proposing.tolerances import Tolerances

TOLERATED = Tolerances(broken=0.01, absent=0.05)
ROWS = 200
CHANCE = np.random.default_rng(3)
WHOLE = CHANCE.integers(1, 20_000, ROWS)
LARGE = WHOLE + 1000
AMOUNTS = np.round(CHANCE.uniform(1, 5000, ROWS), 2)
PLACES = [f"{amount:.3f}" for amount in CHANCE.uniform(1, 90, ROWS)]


def written(values: Sequence[float] | np.ndarray, thousands: str, decimal: str = "") -> list[str]:
    """Numbers as people write them, with two places where there is a sign for them."""
    signs = str.maketrans({",": thousands, ".": decimal})
    return [(f"{value:,.2f}" if decimal else f"{value:,}").translate(signs) for value in values]


def told(folder: Path, delimiter: str, **columns: Sequence[str]) -> tuple[DeclaredTable, dict[str, str]]:
    """The table that is proposed for these columns beside a plan, and what is said of each."""
    plans = ["a", "b"] * (ROWS // 2)
    people = pd.DataFrame({"id": [f"c{n}" for n in range(ROWS)], **columns, "plan": plans})
    people.to_csv(folder / "people.csv", index=False, sep=delimiter)
    text = propose([folder / "people.csv"], TOLERATED)
    lines = (line.partition(" = ") for line in text.splitlines())
    comments = {name: said.rpartition("  # ")[2] for name, _, said in lines if name in columns}
    return parse(text, "company.toml").tables["people"], comments


def rarely(values: Sequence[str], one: str) -> list[str]:
    return [one, *values[1:]]


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize(
    ("values", "sign"),
    [
        (written(WHOLE, "."), "point"),
        (rarely(written(WHOLE % 999 + 1, "."), "1.234.567"), "point"),
        (rarely([str(n) for n in WHOLE % 999 + 1], "12.000"), "point"),
        (written(WHOLE, ","), "comma"),
        (rarely(written(AMOUNTS % 999, ",", "."), "1,104.77"), "comma"),
        (written(AMOUNTS, ".", ","), "point"),
        (["1,250", "3,500"] * (ROWS // 2), "comma"),
    ],
    ids=["whole", "one million", "one thousand", "whole, commas", "one amount", "amounts", "few"],
)
def test_numbers_with_thousands_set_apart_are_ignored(
    tmp_path: Path, delimiter: str, values: Sequence[str], sign: str
) -> None:
    table, said = told(tmp_path, delimiter, sold=values)
    assert table.columns["sold"].role is Role.IGNORED
    assert f"thousands set apart by a {sign}" in said["sold"] or "amounts with signs in them" in said["sold"]
    assert table.columns["plan"].role is Role.FEATURE


def test_a_point_in_a_file_with_semicolons_sets_thousands_apart_unless_others_show_fractions(tmp_path: Path) -> None:
    table, said = told(tmp_path, ";", sold=written(LARGE, "."))
    assert (table.columns["sold"].role, table.decimal) == (Role.IGNORED, ".")
    assert re.fullmatch(
        r"ignored: [0-9.]+ may have thousands set apart by a point: no value tells, but files with semicolons often do;"
        " if it is a fraction, declare a number",
        said["sold"],
    )
    _, said = told(tmp_path, ";", sold=written(WHOLE, "."))  # 980 beside 12.000
    assert said["sold"].startswith("ignored: thousands set apart by a point, as in ")
    table, said = told(tmp_path, ";", size=PLACES, sold=written(AMOUNTS % 90, "", "."))
    assert [table.columns[name].kind for name in ("size", "sold")] == [Kind.NUMBER, Kind.NUMBER]
    assert "may have thousands set apart by a point: no value tells" in said["size"]
    assert "thousands" not in said["sold"]


def test_thousands_do_not_outvote_the_decimal_comma(tmp_path: Path) -> None:
    sold = {f"sold{n}": written(WHOLE + n, ".") for n in range(3)}
    table, _ = told(tmp_path, ",", fee=written(AMOUNTS % 90, "", ","), **sold)
    assert (table.decimal, table.columns["fee"].kind) == (",", Kind.NUMBER)
    assert {table.columns[name].role for name in sold} == {Role.IGNORED}


@pytest.mark.parametrize("sign", [".", ","])
def test_three_places_in_every_value_may_be_thousands(tmp_path: Path, sign: str) -> None:
    others = written(AMOUNTS % 90, "", sign)
    table, said = told(tmp_path, ",", size=[value.replace(".", sign) for value in PLACES], fee=others)
    assert (table.columns["size"].kind, table.decimal) == (Kind.NUMBER, sign)
    assert "may have thousands set apart by a" in said["size"]


@pytest.mark.parametrize(
    "values",
    [
        [f"{amount:g}" for amount in np.round(CHANCE.uniform(0, 90, ROWS), 3)],
        [f"{amount:.3f}" for amount in CHANCE.uniform(0, 1, ROWS)],
        [str(n) for n in WHOLE],
        [f"{n}.0" for n in WHOLE],
    ],
    ids=["shortest", "below one", "whole", "as pandas has them"],
)
def test_other_numbers_raise_no_doubt(tmp_path: Path, values: Sequence[str]) -> None:
    table, said = told(tmp_path, ",", size=values)
    assert table.columns["size"].kind in (Kind.NUMBER, Kind.INTEGER)
    assert "thousands" not in said["size"]


DAYS = [f"{n % 12 + 1:02d}/{n % 11 + 1:02d}/2020" for n in range(ROWS)]
DOUBT = "day or month first? No value tells: read as %d"


@pytest.mark.parametrize(("sign", "form"), [("/", "{}"), ("-", "{}"), ("/", "{} 10:30")])
def test_days_that_may_be_months_are_told(tmp_path: Path, sign: str, form: str) -> None:
    _, said = told(tmp_path, ",", joined=[form.format(day.replace("/", sign)) for day in DAYS])
    assert DOUBT in said["joined"]


@pytest.mark.parametrize(
    ("days", "form"),
    [
        (rarely(DAYS, "13/01/2020"), "%d/%m/%Y"),
        (rarely(DAYS, "01/13/2020"), "%m/%d/%Y"),
        ([day.replace("/", ".") for day in DAYS], "%d.%m.%Y"),
    ],
)
def test_one_value_tells_day_from_month(tmp_path: Path, days: Sequence[str], form: str) -> None:
    table, said = told(tmp_path, ",", joined=days)
    assert table.date_format == form
    assert "day or month" not in said["joined"]


def test_another_column_of_the_file_tells_too(tmp_path: Path) -> None:
    late = [f"{n % 12 + 1:02d}/{n % 28 + 1:02d}/2020" for n in range(ROWS)]
    table, said = told(tmp_path, ",", joined=DAYS, called=late)
    assert table.date_format == "%m/%d/%Y"
    assert "day or month" not in said["joined"]
