"""The contract: the six tables as the company delivers them, and declared so that its readers can rely on it."""

from __future__ import annotations

import re

import pytest

from churn_platform.company.declaration import Kind, Role
from churn_platform.contracts import Column, Table
from churn_platform_tests.streamflow import BY_NAME, KEY, LABEL, LABELS, STATE_TABLES, TABLES

DELIVERED = {
    "users": "user_id signup_date user_gender user_is_senior has_family has_dependents",
    "subscriptions": "user_id months_active plan_stream_tv plan_stream_movies contract_type paperless_billing "
    "monthly_fee total_paid net_service add_on_security add_on_backup add_on_device_protect add_on_support",
    "usage_agg_30d": "user_id watch_hours_30d avg_session_mins_7d unique_devices_30d skips_7d rebuffer_events_7d",
    "payments_agg_90d": "user_id failed_payments_90d",
    "support_agg_90d": "user_id support_tickets_90d ticket_avg_resolution_hrs_90d",
    "labels": "user_id churn_label",
}
COLUMNS = [pytest.param(t, c, id=f"{t.name}.{c.name}") for t in TABLES for c in t.columns]


def test_the_tables_are_the_companys() -> None:
    assert {table.name: " ".join(column.name for column in table.columns) for table in TABLES} == DELIVERED
    assert list(BY_NAME.values()) == list(TABLES)
    assert list(BY_NAME) == [table.name for table in TABLES]
    assert [table.name for table in TABLES if not table.required] == ["labels"]


def test_what_may_be_absent_or_blank() -> None:
    columns = [column for table in TABLES for column in table.columns]
    assert [c.name for c in columns if c.optional] == [
        "add_on_security", "add_on_backup", "add_on_device_protect", "add_on_support"
    ]  # fmt: skip
    assert {c.name for c in columns if c.nullable and not c.optional} == {"plan_stream_tv", "plan_stream_movies"}


def test_roles() -> None:
    by_role = {role: [c.name for t in TABLES for c in t.with_role(role)] for role in Role}
    assert by_role[Role.KEY] == [KEY] * len(TABLES)
    assert by_role[Role.SEGMENT] == ["user_gender", "user_is_senior"]
    assert by_role[Role.LABEL] == [LABEL]
    assert [c.name for c in LABELS.columns] == [KEY, LABEL]


def test_no_two_tables_deliver_the_same_column() -> None:
    names = [column.name for table in STATE_TABLES for column in table.columns if column.name != KEY]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_told_in_words(table: Table) -> None:
    assert table.meaning.endswith(".")
    assert table[KEY].role is Role.KEY
    assert len(table.columns) == len({column.name for column in table.columns})


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_says_what_it_holds(table: Table, column: Column) -> None:
    assert column.meaning.endswith(".")
    assert "\n" not in column.meaning
    assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)  # parsing puts names into SQL
    assert bool(column.allowed) == (column.kind is Kind.CATEGORY)
    bounded = column.minimum is not None and column.maximum is not None
    assert bounded == (column.kind in (Kind.INTEGER, Kind.NUMBER))
    if column.role is Role.KEY:
        assert re.fullmatch(column.pattern or "", "7590-VHVEG")
        assert not re.fullmatch(column.pattern or "", "7590-VHVE")
