"""Proposing: what columns are taken for, by their values and names."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from churn_platform.company.declaration import Declaration, DeclaredColumn, Kind, Missing, Role
from churn_platform.company.reading import parse
from churn_platform.contracts import Column, TableFile
from churn_platform.intake.casting import cast_of
from churn_platform.proposing.habits import FALSE, TRUE, UNDECLARED
from churn_platform.proposing.proposal import propose
from churn_platform.proposing.tolerances import Tolerances

TOLERATED = Tolerances(broken=0.01, absent=0.05)
ROWS = 400
CHANCE = np.random.default_rng(5)
KEYS = [f"C-{n:04d}" for n in CHANCE.permutation(ROWS)]
GONE = CHANCE.random(ROWS) < 0.3


def declared(folder: Path, files: dict[str, pd.DataFrame], **asked: str) -> tuple[Declaration, str]:
    """What is proposed for CSV files of these names."""
    for name, frame in files.items():
        frame.to_csv(folder / name, index=False)
    text = propose([folder / name for name in files], TOLERATED, **asked)
    return parse(text, "company.toml"), text


def frame(**columns: object) -> pd.DataFrame:
    """A table of customers, with a feature beside these columns."""
    return pd.DataFrame({"customer_id": KEYS, **columns, "other": AMOUNTS, "churned": np.where(GONE, "yes", "no")})


def column(folder: Path, values: object, name: str = "thing") -> DeclaredColumn:
    said, _ = declared(folder, {"people.csv": frame(**{name: values})})
    return said.tables["people"].columns[name]


def comment(text: str, name: str) -> str:
    """What is said of a column."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} = ")]
    return line.partition("  # ")[2]


PLANS = CHANCE.choice(["Basic", "Plus"], ROWS)
AMOUNTS = np.round(CHANCE.uniform(1, 90, ROWS), 2)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (PLANS, Kind.CATEGORY),
        (AMOUNTS, Kind.NUMBER),
        (CHANCE.integers(0, 50, ROWS), Kind.INTEGER),
        (CHANCE.choice(["Yes", "No"], ROWS), Kind.BOOLEAN),
        (CHANCE.choice(["ja", "nein"], ROWS), Kind.BOOLEAN),
        (CHANCE.choice([0, 1], ROWS), Kind.BOOLEAN),
        (CHANCE.choice(["2024-01-05", "2023-05-06", "2022-02-07"], ROWS), Kind.DATE),
        (CHANCE.choice(["05.01.2024", "06.05.2023", "27.02.2022"], ROWS), Kind.DATE),
        (CHANCE.choice(["Yes", "No", "No internet service"], ROWS, p=[0.45, 0.46, 0.09]), Kind.CATEGORY),
        (pd.array([n if n else None for n in CHANCE.integers(0, 50, ROWS)], "Float64"), Kind.INTEGER),
    ],
)
def test_kinds(tmp_path: Path, values: object, kind: Kind) -> None:
    found = column(tmp_path, values)
    assert (found.kind, found.role) == (kind, Role.FEATURE)


def test_few_ones_among_zeros_may_be_a_count(tmp_path: Path) -> None:
    seldom = (np.arange(ROWS) % 20 == 0).astype(int)
    assert column(tmp_path, seldom, "complaints").kind is Kind.INTEGER
    assert column(tmp_path, seldom, "has_complained").kind is Kind.BOOLEAN


def test_bounds_are_wide_and_never_below_zero_where_nothing_is(tmp_path: Path) -> None:
    found = column(tmp_path, AMOUNTS)
    assert (found.minimum, found.maximum) == (0, 1000)
    below = column(tmp_path, AMOUNTS - 50)
    assert (below.minimum, below.maximum) == (-1000, 1000)
    assert column(tmp_path, ["2021-03-04", "2022-05-06"] * (ROWS // 2)).earliest == date(2011, 1, 1)


def test_a_category_lists_its_values_where_each_is_seen_often(tmp_path: Path) -> None:
    assert column(tmp_path, PLANS).values == ("Basic", "Plus")
    rare = PLANS.astype(object).copy()
    rare[0] = "Team"
    assert column(tmp_path, rare).values == ()
    many = CHANCE.choice([f"P{n:02d}" for n in range(20)], ROWS)
    assert column(tmp_path, many).values == ()
    assert column(tmp_path, many).kind is Kind.CATEGORY


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("note", [f"Some text {n}" for n in range(ROWS)], "an id or free text: 400 of 400 different"),
        ("Surname", [f"Name{n % 150}" for n in range(ROWS)], "free text: 150 different"),
        ("RowNumber", range(1, ROWS + 1), "an id: 400 of 400 different"),
        ("phone", 5_550_000 + 7 * np.arange(ROWS), "an id: 400 of 400 different"),
        ("extract", ["2024-01-31"] * ROWS, "2024-01-31 in every row"),
        ("nothing", [""] * ROWS, "blank in every row"),
        ("price", [f"${amount:,.2f}" for amount in AMOUNTS * 100], "amounts with signs"),
        ("contract_end", ["2999-12-31", "2998-12-31"] * (ROWS // 2), "400 days lie after the month"),
        ("cancel_reason", np.where(GONE, "price", ""), "price in every row that has it"),
        ("reason", np.where(GONE, CHANCE.choice(["price", "moved"], ROWS), ""), "filled only for"),
        ("last_bill", np.where(GONE, 0, AMOUNTS), "alone it tells who left: AUC"),
        ("status", np.where(GONE, "ended", PLANS), "alone it tells who left: AUC"),
        ("churn_score", GONE + CHANCE.normal(0, 0.6, ROWS), "alone it tells who left: AUC"),
        ("Month", PLANS, "its name is one of the platform's own"),
        ("x" * 62 + "é", PLANS, "has more than 63 bytes"),
    ],
)
def test_what_is_no_feature_is_ignored_with_the_reason(tmp_path: Path, name: str, values: object, told: str) -> None:
    said, text = declared(tmp_path, {"people.csv": frame(**{name: values})})
    found = said.tables["people"].columns[name]
    assert found.role is Role.IGNORED
    assert found.nullable
    assert told in text


def test_a_column_of_medium_strength_stays(tmp_path: Path) -> None:
    found = column(tmp_path, GONE + CHANCE.normal(0, 0.8, ROWS))
    assert found.role is Role.FEATURE


def test_rows_that_are_repeated_leave_an_id_an_id(tmp_path: Path) -> None:
    people = frame(RowNumber=range(1, ROWS + 1))
    said, _ = declared(tmp_path, {"people.csv": pd.concat([people, people.iloc[:2]])})
    assert said.tables["people"].columns["RowNumber"].role is Role.IGNORED


def test_columns_may_be_called_as_anything_in_between(tmp_path: Path) -> None:
    names = ("value", "n", "key", "half", "score", "seen", "target", "sheet", "labelled", "k", "v", "neither", "whole")
    people = frame(**dict.fromkeys(names, AMOUNTS)).rename(columns={"churned": "gone"})
    more = pd.DataFrame({"customer_id": KEYS, "n": AMOUNTS})
    said, _ = declared(tmp_path, {"people.csv": people, "seen.csv": more})
    assert {said.tables["people"].columns[name].kind for name in names} == {Kind.NUMBER}
    assert said.label.place == ("people", "gone")


def test_incomes_are_no_ids(tmp_path: Path) -> None:
    assert column(tmp_path, CHANCE.permutation(np.arange(20_000, 130_000))[:ROWS]).role is Role.FEATURE


def test_what_stands_for_nothing_is_a_null_value(tmp_path: Path) -> None:
    values = [" " if n % 9 == 0 else "n/a" if n % 10 == 0 else f"{n}.5" for n in range(ROWS)]
    said, text = declared(tmp_path, {"people.csv": frame(total=values, plan=PLANS)})
    table = said.tables["people"]
    assert table.null_values == (" ", "n/a")
    assert (table.columns["total"].kind, table.columns["total"].nullable) == (Kind.NUMBER, True)
    assert not table.columns["plan"].nullable
    assert "80 blank" in comment(text, "total")


def test_the_fee_is_found_by_its_name(tmp_path: Path) -> None:
    said, _ = declared(tmp_path, {"people.csv": frame(MonthlyCharges=AMOUNTS, TotalCharges=AMOUNTS * 9)})
    assert said.money.fee == "MonthlyCharges"
    said, _ = declared(tmp_path, {"people.csv": frame(total_paid=AMOUNTS)})
    assert said.money.fee is None


def test_the_label_may_be_named_or_missing(tmp_path: Path) -> None:
    people = frame(plan=PLANS).rename(columns={"churned": "target"})
    said, text = declared(tmp_path, {"people.csv": people})
    assert "[label]:" in text
    assert "\n[label]\n" not in text
    assert said.tables["people"].columns["target"].role is Role.FEATURE
    said, _ = declared(tmp_path, {"people.csv": people}, label="people.target")
    assert said.label.place == ("people", "target")
    assert said.tables["people"].columns["target"].role is Role.LABEL


def test_words_of_their_own_say_who_left(tmp_path: Path) -> None:
    people = frame(active=CHANCE.choice(["Yes", "No"], ROWS)).drop(columns="churned")
    people["Attrition_Flag"] = np.where(GONE, "Attrited Customer", "Existing Customer")
    said, _ = declared(tmp_path, {"people.csv": people})
    table = said.tables["people"]
    assert table.true_values == ("Attrited Customer", "Yes")
    assert table.false_values == ("Existing Customer", "No")
    assert said.label.column == "Attrition_Flag"


def test_intake_understands_the_words_that_no_declaration_has_to_name() -> None:
    """And no other one, so that a declaration names those."""
    understood = cast_of(Column("word", Kind.BOOLEAN, ""), TableFile("", ()), parquet=False).sql
    for word in sorted(TRUE | FALSE):
        expected = word in TRUE if word in UNDECLARED else None
        for written in (word, word.upper(), word.capitalize()):
            assert duckdb.execute(f"SELECT {understood} FROM (SELECT ? AS word)", [written]).fetchall() == [(expected,)]
    assert UNDECLARED <= TRUE | FALSE


def test_a_name_stands_for_one_column_in_all_tables(tmp_path: Path) -> None:
    people, more = (
        frame(plan=PLANS, size=AMOUNTS),
        pd.DataFrame({"customer_id": KEYS, "Plan": PLANS, "size": 1 - AMOUNTS}),
    )
    said, text = declared(tmp_path, {"people.csv": people, "more.csv": more})
    assert {said.tables["more"].columns[name].role for name in ("Plan", "size")} == {Role.IGNORED}
    assert comment(text, "Plan").endswith(
        "people.csv has a column plan too, with the same values: one name, one column"
    )
    assert text.count("with other values") == 1
    assert said.tables["people"].columns["plan"].role is Role.FEATURE


DAYS = ["2021-03-04", "2022-05-06"] * (ROWS // 2)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            {"joined": DAYS, "Days_since_joined": AMOUNTS},
            {},
            "the days since joined of people.csv are a feature of this name",
        ),
        ({"days_since_joined": AMOUNTS, "joined": DAYS}, {}, "the days since it would be called days_since_joined"),
        ({"joined": DAYS}, {"days_since_joined": AMOUNTS}, "the days since joined of people.csv are a feature"),
        ({"days_since_joined": AMOUNTS}, {"joined": DAYS}, "as a column of people.csv is: rename one to use both"),
    ],
)
def test_the_days_since_a_date_are_a_name_too(
    tmp_path: Path, first: dict[str, object], second: dict[str, object], told: str
) -> None:
    more = pd.DataFrame({"customer_id": KEYS, "calls": AMOUNTS, **second})
    said, text = declared(tmp_path, {"people.csv": frame(plan=PLANS, **first), "more.csv": more})
    columns = said.tables["people"].columns | said.tables["more"].columns
    assert [columns[name].role for name in (*first, *second)] == [Role.FEATURE, Role.IGNORED]
    assert told in text


def test_the_name_of_the_label_stands_for_nothing_else(tmp_path: Path) -> None:
    people = frame(plan=PLANS)
    people["churned"] = CHANCE.choice(["yes", "no"], ROWS)
    labels = pd.DataFrame({"customer_id": KEYS, "Churned": np.where(GONE, "yes", "no")})
    said, text = declared(tmp_path, {"people.csv": people, "labels.csv": labels})
    assert said.label.place == ("labels", "Churned")
    assert said.tables["people"].columns["churned"].role is Role.IGNORED
    assert "labels.csv has a column Churned too, with other values" in text


@pytest.mark.parametrize("values", [("f", "m"), ("w", "m", "d"), ("0", "1")])
def test_groups_are_compared_by_the_customers_table_alone(tmp_path: Path, values: tuple[str, ...]) -> None:
    gender = CHANCE.choice(values, ROWS)
    more = pd.DataFrame({"customer_id": KEYS, "calls": AMOUNTS, "sex": gender})
    said, text = declared(tmp_path, {"people.csv": frame(plan=PLANS, gender=gender), "more.csv": more})
    assert said.tables["people"].columns["gender"].role is Role.SEGMENT
    found = said.tables["more"].columns["sex"]
    assert (found.role, found.nullable, found.values) == (Role.IGNORED, True, ())
    assert comment(text, "sex") == "ignored: only the customers' table has groups to compare"


def test_the_table_with_all_customers_says_who_is_active(tmp_path: Path) -> None:
    calls = pd.DataFrame({"customer_id": KEYS[:100], "calls": CHANCE.integers(1, 9, 100)})
    labels = pd.DataFrame({"customer_id": KEYS, "left": GONE.astype(int), "reason": "x"})
    plans = pd.DataFrame({"customer_id": KEYS, "plan": PLANS})
    said, _ = declared(tmp_path, {"calls.csv": calls, "gone.csv": labels, "plans.csv": plans})
    assert [name for name, table in said.tables.items() if table.customers] == ["plans"]
    assert said.tables["calls"].missing is Missing.ZERO
    assert said.tables["gone"].columns["reason"].role is Role.IGNORED
    assert list(said.tables) == ["plans", "calls", "gone"]


SOME_BROKEN = [f"odd {n}" if n < 12 else amount for n, amount in enumerate(AMOUNTS)]


@pytest.mark.parametrize(
    ("broken", "values", "kind"),
    [
        (0.03, SOME_BROKEN, Kind.NUMBER),
        (0.029, SOME_BROKEN, Kind.TEXT),
        (0.0, AMOUNTS, Kind.NUMBER),
        (0.0, ["odd", *AMOUNTS[1:]], Kind.TEXT),
        (1.0, PLANS, Kind.CATEGORY),
        (1.0, [f"odd {n}" if n % 3 else amount for n, amount in enumerate(AMOUNTS)], Kind.TEXT),
    ],
)
def test_a_kind_bears_as_many_broken_values_as_intake_does(
    tmp_path: Path, broken: float, values: object, kind: Kind
) -> None:
    frame(thing=values).to_csv(tmp_path / "people.csv", index=False)
    said = parse(propose([tmp_path / "people.csv"], Tolerances(broken, 0.05)), "company.toml")
    assert said.tables["people"].columns["thing"].kind is kind


@pytest.mark.parametrize(("absent", "missing"), [(0.1, Missing.UNKNOWN), (0.099, Missing.ZERO)])
def test_a_table_may_lack_as_many_customers_as_a_month_may(tmp_path: Path, absent: float, missing: Missing) -> None:
    frame(plan=PLANS, size=AMOUNTS).to_csv(tmp_path / "people.csv", index=False)
    calls = pd.DataFrame({"customer_id": KEYS[: ROWS * 9 // 10], "calls": AMOUNTS[: ROWS * 9 // 10]})
    calls.to_csv(tmp_path / "calls.csv", index=False)
    text = propose([tmp_path / "people.csv", tmp_path / "calls.csv"], Tolerances(0.01, absent))
    assert parse(text, "company.toml").tables["calls"].missing is missing
    assert ("taken as having done nothing" in text) == (missing is Missing.ZERO)
