"""Rules: queries find the broken values that Great Expectations finds, in every table."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from churn_platform.company.declaration import LONGEST_KEY, Kind, Role
from churn_platform.contracts import Column, Contract, Table, TableFile, declared
from churn_platform.intake import expectations
from churn_platform.intake.expectations import evaluate_suite, most_rows
from churn_platform.intake.landing import Judged, judge_state
from churn_platform.intake.parsing import ROW, Parsed, parse
from churn_platform.intake.rules import DUPLICATE, Broken, broken, first_of_equals, rules_of
from churn_platform.lake import Lake
from churn_platform_tests import homes
from churn_platform_tests.foreign import BANK
from churn_platform_tests.pages import Page
from churn_platform_tests.streamflow import STATE_TABLES, STREAMFLOW, TABLES, USERS

pytestmark = pytest.mark.filterwarnings("ignore:This pattern .* has match groups")

AS_OF = date(2024, 1, 31)
LONG = ("\U00010480" * (LONGEST_KEY - 3) + "-12", "\U00010480" * (LONGEST_KEY - 2) + "-12")
"""A key that is as long as may be, and one that is longer, of letters that are several bytes each."""

COLUMNS = (
    Column("Key No", Kind.TEXT, "The key.", Role.KEY, pattern=r"(?!X)\w+-\d{2}"),
    Column("plan", Kind.CATEGORY, "Its values have signs of SQL.", allowed=("a", "it's", "ß", "b,c")),
    Column("open", Kind.CATEGORY, "Any value.", nullable=True),
    Column("code", Kind.TEXT, "May be blank.", Role.IGNORED, nullable=True, pattern=r"(?i)([a-z])\1|x.y|^1$"),
    Column("hours", Kind.NUMBER, "Bounded on both sides.", minimum=0.1, maximum=720),
    Column("least", Kind.INTEGER, "Bounded below.", minimum=-3, nullable=True),
    Column("most", Kind.NUMBER, "Bounded above.", maximum=1e300),
    Column("count", Kind.INTEGER, "Bounded by nothing."),
    Column("flag", Kind.BOOLEAN, "True or false."),
    Column("since", Kind.DATE, "Bounded on both sides.", earliest=date(1990, 1, 1)),
    Column("last", Kind.DATE, "Not after the month.", nullable=True),
    Column("new", Kind.NUMBER, "Not delivered.", optional=True, minimum=0, maximum=1),
)
ODD = Table("odd", "Every kind of rule.", COLUMNS, file=TableFile("odd", tuple(column.name for column in COLUMNS)))

TEXTS = {
    Kind.TEXT: ("aa", "AA", "ab", "x.y", "x\ny", "1", "1\n", "²", "É", "éé", " aa", 'a"a', "'", "a;b"),
    Kind.CATEGORY: ("a", "A", "it's", "ß", "ss", "b,c", "b", " a", "a\n", "<b>", "NULL", "true"),
    Kind.NUMBER: (
        "0.1",
        "0.09999999999999999",
        "720",
        "720.0000000000001",
        "-0",
        "nan",
        "inf",
        "1e301",
        "many",
        "1e400",
    ),
    Kind.INTEGER: ("-3", "-4", "9007199254740992", "9007199254740993", "-9007199254740992", "1e30", "3.5", "3.0", "no"),
    Kind.BOOLEAN: ("true", "0", "1.0", "perhaps"),
    Kind.DATE: ("1990-01-01", "1989-12-31", "2024-01-31", "2024-02-01", "0000-01-01", "0001-01-01", "9999-12-31", "no"),
}
"""Texts that may stand in a column of a kind, most of them at the edge of what it may hold."""


def odd_file(path: Path, seed: int) -> Path:
    """A CSV of 300 rows: a third of the keys repeated, some of those broken too, some of the rows wholly the same."""
    chance = random.Random(seed)
    keys = ["", "", "X1-23", "ab-12", "ab-12\n", "ab-1²", "ab-١٢", "é_9-00", "Ab-12", "-12", "ab-123", *LONG]
    rows: list[list[str]] = []
    for _ in range(300):
        key = chance.choice(keys) if chance.random() < 0.15 else f"k{chance.randrange(400)}-{chance.randrange(10, 12)}"
        values = [chance.choice(("", *TEXTS[column.kind])) for column in COLUMNS[1:-1]]
        rows.append(chance.choice(rows) if rows and chance.random() < 0.1 else [key, *values])
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[column.name for column in COLUMNS[:-1]], *rows])
    return path


def by_queries(lake: Lake, parsed: Parsed, table: Table) -> tuple[Broken, ...]:
    return broken(lake.engine, parsed.typed, table, AS_OF)


def by_great_expectations(parsed: Parsed, table: Table) -> tuple[Broken, ...]:
    return evaluate_suite(table, parsed.typed.to_pandas(), ROW, 0.01, AS_OF).broken


@pytest.mark.parametrize("seed", range(6))
def test_both_find_the_same_in_a_table_of_edges(seed: int, lake: Lake, tmp_path: Path) -> None:
    parsed = parse(lake.engine, odd_file(tmp_path / "odd.csv", seed), ODD)
    found = by_queries(lake, parsed, ODD)
    assert found == by_great_expectations(parsed, ODD)
    told = {(value.column, value.rule) for value in found}
    assert {(rule.column, rule.words) for rule in rules_of(ODD, AS_OF)} - told == {("new", "is outside 0 to 1")}
    too_long = {value.row for value in found if value.rule == f"has more than {LONGEST_KEY} characters"}
    rows = parsed.typed.to_pandas()
    assert {*rows.loc[rows[ROW].isin(too_long), "Key No"]} == {LONG[1]}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_both_find_the_same_in_a_drop(table: Table, lake: Lake, drop: Path) -> None:
    chance, path = random.Random(table.name), drop / f"{table.name}.csv"
    rows = homes.rows_of(path)
    for column, meant in enumerate(table.columns):
        for row in chance.sample(rows[1:], 9):
            row[column] = chance.choice(("", *TEXTS[meant.kind], chance.choice(rows[1:])[column]))
    homes.write_rows(path, [*rows, *rows[10:20]])
    parsed = parse(lake.engine, path, table)
    found = by_queries(lake, parsed, table)
    assert found == by_great_expectations(parsed, table)
    assert {DUPLICATE, "is blank"} <= {value.rule for value in found}


def bank(folder: Path) -> Contract:
    path = folder / "bank.toml"
    path.write_text(BANK)
    return declared(path)


def test_both_find_the_same_in_another_company(lake: Lake, tmp_path: Path) -> None:
    (clients, *_) = bank(tmp_path).states
    path = tmp_path / "clients.csv"
    lines = [
        "CustomerId;Surname;Land;Balance;Active;Since",
        "15634602;Müller;DE;1.000,5;ja;31.01.2024",
        "15634602.0;Öz;;0,5;nein;01.02.2024",
        "12345678901234567890123;B;AT;-3;ja;31.12.1989",
        "12345678901234567890124;B;AT;-3;vielleicht;01.01.0001",
        "x;B;AT;;;",
        ";B;AT;1;ja;31.12.9999",
    ]
    path.write_bytes("\n".join(lines).encode("cp1252"))
    parsed = parse(lake.engine, path, clients)
    found = by_queries(lake, parsed, clients)
    assert found == by_great_expectations(parsed, clients)
    assert [(value.row, value.column) for value in found if value.rule == DUPLICATE] == [
        (0, "CustomerId"),
        (1, "CustomerId"),
    ]
    assert {value.column for value in found} == {"CustomerId", "Balance", "Active", "Since"}


@pytest.mark.parametrize("pattern", ["(?i)k[0-9]+-1[01]", "(?x) k \\d+ - 1 [01]", "k.*|Ab-12", "a(b)?-12"])
def test_both_understand_a_pattern(pattern: str, lake: Lake, tmp_path: Path) -> None:
    key, *others = COLUMNS
    table = replace(ODD, columns=(replace(key, pattern=pattern), *others))
    parsed = parse(lake.engine, odd_file(tmp_path / "odd.csv", 1), table)
    wanted = [text for text in parsed.typed.to_pandas()[key.name].dropna() if not re.fullmatch(pattern, text)]
    found = [value for value in by_queries(lake, parsed, table) if value.rule == f"does not match {pattern}"]
    assert len(found) == len(wanted) > 0
    assert found == [value for value in by_great_expectations(parsed, table) if value in found]


def test_of_equal_rows_the_first_is_found(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "payments.csv"
    lines = ["user_id,failed_payments_90d", "b,1", "a,", "b,1", "a,", "c,1", "c,2", "c,1", "d,3"]
    path.write_text("\n".join(lines))
    parsed = parse(lake.engine, path, next(table for table in TABLES if table.name == "payments_agg_90d"))
    assert first_of_equals(lake.engine, parsed.typed, "user_id", range(7)) == {0, 1}


# A sample


def broken_users(drop: Path) -> Path:
    """A table of 66 users: four are unheard of, three keys are repeated, three blank."""
    path = drop / "users.csv"
    for line in range(2, 6):
        homes.put(path, line, "user_gender", f"unsaid {line}")
    homes.edit(path, lambda rows: [*rows, *rows[20:23], *(["", *row[1:]] for row in rows[30:33])])
    return path


def landed(lake: Lake, drop: Path) -> Sequence[Judged]:
    return judge_state(lake.engine, drop, STREAMFLOW, 1.0, AS_OF)


def test_a_large_table_is_judged_whole_and_shown_in_part(
    lake: Lake, drop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_users(drop)
    whole = landed(lake, drop)
    monkeypatch.setattr(expectations, "MOST", 60)
    part = landed(lake, drop)
    assert [judged.violations for judged in part] == [judged.violations for judged in whole]
    assert [judged.fault for judged in part] == [judged.fault for judged in whole]
    assert [judged.judgement.sample == "" for judged in part] == [table is not USERS for table in STATE_TABLES]

    assert (part[0].judgement.judged, part[0].judgement.rows) == (60, 66)
    for number, judged in enumerate((part[0], whole[0])):
        judged.judgement.write_page("users", tmp_path / f"{number}.html")
    shown, complete = (Page((tmp_path / f"{number}.html").read_text()).text for number in (0, 1))
    assert "The page shows a sample: 60 of 66 rows, chosen by a hash of their keys. All 66 rows were judged" in shown
    assert "sample" not in complete


def test_both_find_the_same_in_a_sample(lake: Lake, drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations, "MOST", 40)
    parsed = parse(lake.engine, broken_users(drop), USERS)
    frame = most_rows(parsed.typed, parsed.readable, ROW, "user_id")
    assert len(frame) == 40 and frame[ROW].is_monotonic_increasing
    assert frame.equals(most_rows(parsed.typed, parsed.readable, ROW, "user_id"))

    times = parsed.typed.to_pandas()["user_id"].value_counts()
    in_part = {key for key, count in frame["user_id"].value_counts().items() if count < times[key]}
    assert len(in_part) <= 1  # the last one: rows of one key are judged together
    found = evaluate_suite(USERS, frame, ROW, 0.01, AS_OF, parsed.readable).broken
    everything = by_queries(lake, parsed, USERS)
    of = dict(zip(frame[ROW], frame["user_id"], strict=True))
    assert found == tuple(
        value for value in everything if value.row in of and not (value.rule == DUPLICATE and of[value.row] in in_part)
    )
    assert 0 < len(found) < len(everything)


def test_the_order_of_a_file_does_not_choose_its_sample(
    lake: Lake, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectations, "MOST", 30)
    samples = []
    for _ in range(2):
        parsed = parse(lake.engine, drop / "users.csv", USERS)
        samples.append(set(most_rows(parsed.typed, parsed.readable, ROW, "user_id")["user_id"]))
        homes.edit(drop / "users.csv", lambda rows: [rows[0], *reversed(rows[1:])])
    first, second = samples
    assert first == second and len(first) == 30


def test_as_many_rows_as_may_be_are_no_sample(lake: Lake, drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = parse(lake.engine, drop / "users.csv", USERS)
    for most, wanted in ((59, 59), (60, 60), (61, 60)):
        monkeypatch.setattr(expectations, "MOST", most)
        assert len(most_rows(parsed.typed, parsed.readable, ROW, "user_id")) == wanted


def test_an_earliest_day_after_the_month_leaves_no_date(lake: Lake, drop: Path) -> None:
    columns = tuple(replace(c, earliest=date(2025, 1, 1)) if c.kind is Kind.DATE else c for c in USERS.columns)
    table = replace(USERS, columns=columns)
    parsed = parse(lake.engine, drop / "users.csv", table)
    found = by_queries(lake, parsed, table)
    assert [value.rule for value in found] == ["is outside 2025-01-01 to 2024-01-31"] * 60
    assert found == by_great_expectations(parsed, table)
