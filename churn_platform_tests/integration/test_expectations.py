"""Expectations: the suite says what the contract says, and its page needs no internet."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from churn_platform.company.declaration import Kind
from churn_platform.contracts import Table
from churn_platform.intake import expectations
from churn_platform.intake.expectations import evaluate_suite
from churn_platform.intake.parsing import ROW, parse
from churn_platform.intake.rules import DUPLICATE, Broken
from churn_platform.lake import Lake
from churn_platform_tests import homes
from churn_platform_tests.hostile_values import HOSTILE, dangers
from churn_platform_tests.pages import Page
from churn_platform_tests.streamflow import STREAMFLOW, SUBSCRIPTIONS, TABLES, USAGE, USERS

AS_OF = homes.MONTHS[0].as_of


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """A drop's tables, typed."""
    folder = tmp_path_factory.mktemp("expectations")
    drop, engine = homes.deliver(folder), Lake(folder, STREAMFLOW).engine
    return {t.name: parse(engine, drop / f"{t.name}.csv", t).typed.to_pandas() for t in TABLES}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_sound_rows_break_nothing(table: Table, frames: dict[str, pd.DataFrame]) -> None:
    judgement = evaluate_suite(table, frames[table.name], ROW, 0.01, AS_OF)
    assert judgement.broken == ()
    assert judgement.result.success
    asked = [(o.expectation_config.type, o.expectation_config.kwargs["column"]) for o in judgement.result.results]
    assert judgement.expectations == len(asked) == len(set(asked))
    for column in table.columns:
        of_column = {kind for kind, name in asked if name == column.name}
        assert ("expect_column_values_to_not_be_null" in of_column) == (not column.nullable and not column.optional)
        assert ("expect_column_values_to_be_in_set" in of_column) == bool(column.allowed)
        assert ("expect_column_values_to_match_regex" in of_column) == bool(column.pattern)
        assert ("expect_column_values_to_be_between" in of_column) == (
            column.kind in (Kind.INTEGER, Kind.NUMBER, Kind.DATE)
        )
        assert ("expect_column_values_to_be_unique" in of_column) == (column.name == "user_id")


@pytest.mark.parametrize(
    ("table", "column", "value", "rule"),
    [
        (USERS, "user_id", "7590-vhveg", "does not match [0-9]{4}-[A-Z]{5}"),
        (USERS, "user_id", "7590-VHVEG\n", "does not match [0-9]{4}-[A-Z]{5}"),
        (USERS, "user_id", "x7590-VHVEG", "does not match [0-9]{4}-[A-Z]{5}"),
        (USERS, "user_id", None, "is blank"),
        (USERS, "user_gender", "female", "is not one of Female, Male"),
        (USERS, "user_gender", None, "is blank"),
        (SUBSCRIPTIONS, "contract_type", "", "is not one of Month-to-month, One year, Two year"),
        (SUBSCRIPTIONS, "monthly_fee", -0.01, "is outside 0 to 10000"),
        (SUBSCRIPTIONS, "monthly_fee", 10_000.01, "is outside 0 to 10000"),
        (USAGE, "watch_hours_30d", 720.5, "is outside 0 to 720"),
        (USAGE, "skips_7d", -1, "is outside 0 to 100000"),
        (USERS, "signup_date", pd.Timestamp("2024-02-01"), "is outside 2000-01-01 to 2024-01-31"),
        (USERS, "signup_date", pd.Timestamp("1999-12-31"), "is outside 2000-01-01 to 2024-01-31"),
    ],
)
def test_each_rule(table: Table, column: str, value: Any, rule: str, frames: dict[str, pd.DataFrame]) -> None:
    frame = frames[table.name].copy()
    frame.loc[7, column] = value
    judgement = evaluate_suite(table, frame, ROW, 0.01, AS_OF)
    assert judgement.broken == (Broken(7, column, rule),)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (SUBSCRIPTIONS, "monthly_fee", 0),
        (SUBSCRIPTIONS, "monthly_fee", 10_000),
        (USAGE, "watch_hours_30d", 720),
        (USERS, "signup_date", pd.Timestamp("2024-01-31")),
        (USERS, "signup_date", pd.Timestamp("2000-01-01")),
        (SUBSCRIPTIONS, "plan_stream_tv", None),
        (SUBSCRIPTIONS, "add_on_security", None),
    ],
)
def test_bounds_are_included_and_unknown_may_be(
    table: Table, column: str, value: Any, frames: dict[str, pd.DataFrame]
) -> None:
    frame = frames[table.name].copy()
    frame.loc[7, column] = value
    assert evaluate_suite(table, frame, ROW, 0.01, AS_OF).broken == ()


def test_every_row_of_a_repeated_key_is_named(frames: dict[str, pd.DataFrame]) -> None:
    frame = frames["users"].copy()
    for row in (3, 8):
        frame.loc[row, "user_id"] = frame["user_id"][5]
    assert evaluate_suite(USERS, frame, ROW, 0.01, AS_OF).broken == tuple(
        Broken(row, "user_id", DUPLICATE) for row in (3, 5, 8)
    )


@pytest.mark.parametrize(("broken", "holds"), [(2, True), (3, True), (4, False)])
def test_the_verdict_bears_what_the_tolerance_allows(broken: int, holds: bool, frames: dict[str, pd.DataFrame]) -> None:
    frame = frames["users"].copy()
    assert len(frame) == 60
    frame.loc[: broken - 1, "user_gender"] = "unsaid"
    judgement = evaluate_suite(USERS, frame, ROW, 0.05, AS_OF)
    assert judgement.result.success is holds
    assert len(judgement.broken) == broken  # all of them, not just some


def test_the_verdict_is_great_expectations_own(
    frames: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = frames["subscriptions"].copy()
    frame.loc[:4, "contract_type"] = frame.loc[3:9, "monthly_fee"] = None
    frame.loc[8:9, "user_id"] = "nobody"
    quick = evaluate_suite(SUBSCRIPTIONS, frame, ROW, 0.01, AS_OF)
    monkeypatch.setattr(expectations, "each_configuration_once", nullcontext)
    slow = evaluate_suite(SUBSCRIPTIONS, frame, ROW, 0.01, AS_OF)
    assert quick.broken == slow.broken != ()
    assert quick.result.results == slow.result.results


def test_a_table_without_rows_can_be_judged(frames: dict[str, pd.DataFrame]) -> None:
    assert evaluate_suite(USERS, frames["users"].head(0), ROW, 0.01, AS_OF).broken == ()


def test_what_cannot_be_evaluated_is_no_verdict(frames: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(RuntimeError, match=r"users: expect_column_values_to_not_be_null failed: .*user_gender"):
        evaluate_suite(USERS, frames["users"].drop(columns="user_gender"), ROW, 0.01, AS_OF)


def test_the_page_reads_the_same_on_a_closed_network(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    frame = frames["users"].copy()
    frame.loc[:4, "user_gender"] = "unsaid"
    path = tmp_path / "deep" / "users.html"
    evaluate_suite(USERS, frame, ROW, 0.01, AS_OF).write_page("users of 2024-01", path)
    page = path.read_text()
    assert "<h1>users of 2024-01</h1>" in page
    assert "unsaid" in page
    assert "user_gender" in page
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    fetched = re.findall(r"<(?:link|script|img|iframe)\b[^>]*(?:href|src)\s*=\s*[\"']?([^\"'> ]+)", page)
    fetched += re.findall(r"(?:@import|url\()\s*[\"']?([^\"')]+)", page)
    assert [place for place in fetched if not place.startswith("data:")] == []
    assert "<script" not in page


def test_the_page_of_sound_rows_is_the_same_without_names(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    pages = []
    for row in (ROW, None):
        judgement = evaluate_suite(USERS, frames["users"], row, 0.01, AS_OF)
        assert judgement.result.success
        judgement.write_page("users", tmp_path / "users.html")
        by_chance = r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{8}T\d+\.\d+Z"  # Great Expectations' ids, and the time
        pages.append(re.sub(by_chance, "", (tmp_path / "users.html").read_text()))
    assert pages[0] == pages[1]


def test_a_page_does_nothing_that_a_drop_delivers(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    frame = frames["users"].copy()
    for row, value in enumerate(HOSTILE):
        frame.loc[row, "user_gender"] = frame.loc[row + len(HOSTILE), "user_id"] = value
    path = tmp_path / "users.html"
    evaluate_suite(USERS, frame, ROW, 0.01, AS_OF).write_page("users", path)
    page = Page(path.read_text())
    assert page.scripts == page.active == []
    assert dangers(page.text) == []
    assert r"\x3cscript\x3ealert(1)\x3c/script\x3e" in page.text
    assert "base-uri 'none'; form-action 'none'" in page.policy and "script-src" not in page.policy


def test_a_column_of_nothing_is_judged(frames: dict[str, pd.DataFrame]) -> None:
    frame = frames["subscriptions"].copy()
    for column in ("months_active", "monthly_fee", "contract_type"):
        frame[column] = pd.Series([None] * len(frame), dtype=frame[column].dtype if column == "monthly_fee" else object)
    broken = evaluate_suite(SUBSCRIPTIONS, frame, ROW, 0.01, AS_OF).broken
    assert {(b.column, b.rule) for b in broken} == {
        (c, "is blank") for c in ("months_active", "monthly_fee", "contract_type")
    }
    assert len(broken) == 3 * len(frame)
