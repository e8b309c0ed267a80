"""A feature and its value in a few words, and several reasons on a line."""

from __future__ import annotations

import pytest

from churn_platform.bundle import Feature, Value
from churn_platform.company import past
from churn_platform.reasons.telling import Reason, in_short
from churn_platform.reasons.words import phrase, sentence


def words(name: str, value: Value, *categories: str) -> str:
    return phrase(Feature(name, "category" if categories else "number", "Whatever it means.", True, categories), value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("contract_type", "Month-to-month", "month-to-month contract"),
        ("contract_type", None, "unknown contract"),
        ("internet_type", "DSL", "DSL internet"),
        ("net_service", "Fiber optic", "net service: Fiber optic"),
        ("account_is_type", "B", "account is type: B"),
        ("is_type", "B", "is type: B"),
        ("has_dependents", True, "dependents"),
        ("has_dependents", False, "no dependents"),
        ("IsActiveMember", False, "not active member"),
        ("IsActiveMember", True, "active member"),
        ("failed_payments_90d", 3.0, "3 failed payments (90 days)"),
        ("failed_payments_90d", 1.0, "1 failed payment (90 days)"),
        ("failed_payments_90d", 0.0, "no failed payments (90 days)"),
        ("watch_hours_30d", 30.197, "watch hours (30 days): 30.2"),
        ("watch_hours_30d", 30.0, "30 watch hours (30 days)"),
        ("months_active", 4.0, "months active: 4"),
        ("months_active", None, "unknown months active"),
        ("monthly_fee", 70.35, "monthly fee: 70.3"),
        ("TotalSpend", 12345.6, "total spend: 12,346"),
        ("class", -2.0, "class: -2"),
        ("_", 2.0, "_: 2"),
        ("Größe", 2.5, "größe: 2.5"),
        ("x", float("inf"), "x: inf"),
    ],
)
def test_a_value_is_told_in_a_few_words(name: str, value: Value, told: str) -> None:
    assert words(name, value) == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("status", 1.0, "status: 1"),
        ("bonus", 1.0, "bonus: 1"),
        ("bonus", 3.0, "bonus: 3"),
        ("bus_rides", 1.0, "1 bus ride"),
        ("bus_rides", 2.0, "2 bus rides"),
        ("previous_plan_price", 1.0, "previous plan price: 1"),
        ("previous_plan_price", 9.99, "previous plan price: 9.99"),
        ("analysis", 2.0, "analysis: 2"),
        ("gas", 1.0, "gas: 1"),
        ("is_premium", 0.0, "is premium: 0"),
        ("has_kids", 0.0, "has kids: 0"),
        ("points", -2.0, "points: -2"),
        ("number_of_calls", 3.0, "number of calls: 3"),
        ("movies", 1.0, "movies: 1"),
        ("movies", 2.0, "2 movies"),
        ("boxes", 1.0, "boxes: 1"),
        ("invoices", 1.0, "1 invoice"),
        ("calls", 0.5, "calls: 0.5"),
    ],
)
def test_only_things_that_can_be_counted_are(name: str, value: float, told: str) -> None:
    assert words(name, value) == told


@pytest.mark.parametrize(
    ("name", "value", "categories", "told"),
    [
        ("paperless_billing", "True", ("False", "True"), "paperless billing"),
        ("net_service", "No", ("No", "Yes", "Unknown"), "no net service"),
        ("net_service", "Unknown", ("No", "Yes", "Unknown"), "net service: Unknown"),
        ("net_service", "No", ("DSL", "Fiber optic", "No"), "net service: No"),
        ("country", "No", ("De", "No", "Se"), "country: No"),
        ("add_on", "None", ("Basic", "None"), "add on: None"),
    ],
)
def test_yes_and_no_are_answers_only_where_nothing_else_is(
    name: str, value: str, categories: tuple[str, ...], told: str
) -> None:
    assert words(name, value, *categories) == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (past.change("watch_hours_30d", 1), -2.726, "watch hours (30 days): down 2.73 since last month"),
        (past.change("watch_hours_30d", 2), 5.0, "watch hours (30 days): up 5 in 2 months"),
        (past.change("fee", 1), 0.0, "fee: unchanged since last month"),
        (past.change("fee", 1), None, "unknown change of fee"),
        (past.ratio("fee", 2), 1.25, "fee: 1.25 times the 2 months before"),
        (past.ratio("fee", 1), 1.0, "fee: unchanged against last month"),
        (past.change("fee", 1), "text", "fee change 1m: text"),
    ],
)
def test_a_columns_past_is_told_as_what_it_is(name: str, value: Value, told: str) -> None:
    assert words(name, value) == told


def test_a_value_is_cut_and_made_harmless() -> None:
    assert words("plan_type", "=cmd()") == "plan type: =cmd()"
    assert words("city", "Ro\x1b[2Jme") == "city: Ro\\x1b[2Jme"
    assert len(words("city", "x" * 1000)) < 150
    assert len(sentence(Feature("city", "category", "Where.", True), "x" * 1000, 1.0)) < 200


def test_a_sentence_has_the_meaning_and_the_direction() -> None:
    paperless = Feature("paperless", "category", "Whether the bill is sent by mail.", False, ("False", "True"))
    assert sentence(paperless, "False", -0.1) == "Whether the bill is sent by mail: no. This lowers the risk."
    other = Feature("answer", "category", "What was said.", False, ("False", "Perhaps", "True"))
    assert sentence(other, "True", 0.1) == "What was said: True. This raises the risk."
    assert sentence(paperless, "True", 0.1) == "Whether the bill is sent by mail: yes. This raises the risk."
    fee = Feature("fee", "number", "The fee.", True)
    assert sentence(fee, None, 0.1) == "The fee: unknown. This raises the risk."
    assert sentence(fee, 29.85, 0.1) == "The fee: 29.85. This raises the risk."


def test_reasons_on_a_line_say_which_way_they_go() -> None:
    up, up_too, down = (Reason("x", None, part, word, "") for part, word in ((2.0, "a"), (1.0, "b"), (-1.5, "c")))
    assert in_short([up, down, up_too]) == "Raises the risk: a; b. Lowers it: c."
    assert in_short([up]) == "Raises the risk: a."
    assert in_short([down]) == "Lowers the risk: c."
    assert in_short([]) == ""
