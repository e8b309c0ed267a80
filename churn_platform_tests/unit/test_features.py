"""Snapshots and features: months are pure functions, and what is not known is null."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from churn_platform.company import past
from churn_platform.company.declaration import Kind, Missing, Role
from churn_platform.contracts import Contract
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.simulation.drops import simulate, write_drop
from churn_platform.tables.features import AS_OF, LAST_SEEN, is_holdout
from churn_platform.tables.names import FEATURES, landed
from churn_platform_tests import homes
from churn_platform_tests.homes import close, land
from churn_platform_tests.streamflow import (
    DERIVED,
    HISTORY,
    SCHEMA,
    SNAPSHOTS,
    STATE_TABLES,
    STREAMFLOW,
    SUBSCRIPTIONS,
    USAGE,
    USERS,
)

FIRST = homes.MONTHS[0]
MONTHS = tuple(FIRST + ago for ago in range(4))


def deliver(folder: Path, months: int = len(MONTHS), customers: int = 80) -> list[Path]:
    return [write_drop(month, folder) for month in simulate(months, customers, 5)]


def built(lake: Lake) -> dict[str, str]:
    """The bytes of everything except landed tables."""
    return {name: digest for name, digest in homes.contents(lake.root).items() if not name.startswith("landed")}


def rows(lake: Lake, name: str, month: Month) -> dict[str, dict[str, Any]]:
    """A table's rows by customer, unknown values as None."""
    frame = lake.frame(name, month).astype(object)
    found = frame.where(frame.notna(), None).to_dict("records")
    return {row["user_id"]: {str(name): value for name, value in row.items()} for row in found}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Four months landed and closed in order. Read only."""
    folder = tmp_path_factory.mktemp("features")
    lake = Lake(folder / "lake", STREAMFLOW)
    for month, drop in zip(MONTHS, deliver(folder / "drops"), strict=True):
        land(lake, month, drop)
        close(lake, month)
    return lake


# Snapshots


def test_names() -> None:
    assert list(SNAPSHOTS) == [
        "users_snapshots",
        "subscriptions_profile_snapshots",
        "usage_agg_30d_snapshots",
        "payments_agg_90d_snapshots",
        "support_agg_90d_snapshots",
    ]
    assert SUBSCRIPTIONS.snapshots == "subscriptions_profile_snapshots"


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_snapshot_is_the_month_over_the_month_before(name: str, company: Lake) -> None:
    table = SNAPSHOTS[name]
    known: dict[str, dict[str, Any]] = {}
    for month in MONTHS:
        delivered = rows(company, landed(table.name), month)
        known |= {key: {**row, LAST_SEEN: str(month)} for key, row in delivered.items()}
        frame = company.frame(name, month)
        assert list(frame.columns) == [*(column.name for column in table.columns), LAST_SEEN, AS_OF]
        assert frame["user_id"].tolist() == sorted(known)
        assert {pd.Timestamp(day).date() for day in frame[AS_OF]} == {month.as_of}
        found = {key: {c: v for c, v in row.items() if c != AS_OF} for key, row in rows(company, name, month).items()}
        assert found == known
    left = {key for key, row in known.items() if row[LAST_SEEN] != str(MONTHS[-1])}
    assert left  # the company loses customers, otherwise this would prove little


def test_the_first_month_is_what_was_delivered(company: Lake) -> None:
    users = company.frame("users_snapshots", FIRST)
    assert len(users) == 80
    assert set(users[LAST_SEEN]) == {str(FIRST)}


@pytest.fixture
def lake(company: Lake, tmp_path: Path) -> Lake:
    """A copy of these months, free to be changed."""
    return Lake(Path(shutil.copytree(company.root, tmp_path / "lake")), STREAMFLOW)


def test_a_corrected_drop_changes_its_month_and_later_ones(lake: Lake, company: Lake, tmp_path: Path) -> None:
    drops = deliver(tmp_path / "drops")
    path = drops[1] / "usage_agg_30d.csv"
    key = homes.rows_of(path)[1][0]
    homes.put(path, 2, "watch_hours_30d", "123.25")
    land(lake, MONTHS[1], drops[1])
    for month in MONTHS[1:]:
        close(lake, month)
    changed = {name for name, digest in built(lake).items() if digest != built(company)[name]}
    assert "usage_agg_30d_snapshots/2024-01.parquet" not in changed
    assert {"usage_agg_30d_snapshots/2024-02.parquet", "features/2024-02.parquet"} <= changed
    assert rows(lake, "usage_agg_30d_snapshots", MONTHS[1])[key]["watch_hours_30d"] == 123.25
    # Later months deliver the customer again, but the feature that looks back sees the correction.
    later = rows(lake, FEATURES, MONTHS[2])
    if key in later:
        change = later[key]["watch_hours_30d"] - 123.25
        assert later[key]["watch_hours_30d_change_1m"] == pytest.approx(change)
    assert not any(name.startswith("payments") for name in changed)


def test_a_correction_of_who_left_reaches_later_snapshots(lake: Lake, tmp_path: Path) -> None:
    drops = deliver(tmp_path / "drops")
    users = rows(lake, "users_snapshots", MONTHS[2])
    gone = next(key for key, row in users.items() if row[LAST_SEEN] == str(FIRST))
    path = drops[0] / "users.csv"
    line = next(n for n, row in enumerate(homes.rows_of(path), start=1) if row[0] == gone)
    homes.put(path, line, "signup_date", "2001-02-03")
    land(lake, FIRST, drops[0])
    for month in MONTHS[:3]:
        homes.take_snapshots(lake, month)
    for month in MONTHS[:3]:
        assert str(rows(lake, "users_snapshots", month)[gone]["signup_date"])[:10] == "2001-02-03"


def test_a_partial_drop_makes_few_active_and_leaves_all_known(lake: Lake, tmp_path: Path) -> None:
    drops = deliver(tmp_path / "drops", months=1)
    some = {row[0] for row in homes.rows_of(drops[0] / "users.csv")[1:11]}
    full = homes.deliver(tmp_path / "again", 1, 80, 5)  # the first month's customers once more, a few of them
    for table in STATE_TABLES:
        homes.edit(full / f"{table.name}.csv", lambda rows: [rows[0], *(row for row in rows[1:] if row[0] in some)])
    land(lake, MONTHS[1], full)
    close(lake, MONTHS[1])
    for name in SNAPSHOTS:
        assert lake.rows(name, MONTHS[1]) == 80
    features = rows(lake, FEATURES, MONTHS[1])
    assert set(features) == some
    assert all(row["watch_hours_30d_change_1m"] == 0 for row in features.values())
    # Customers who were not delivered keep their last known state.
    assert {row[LAST_SEEN] for row in rows(lake, "usage_agg_30d_snapshots", MONTHS[1]).values()} == {
        "2024-01",
        "2024-02",
    }


# Features


def test_the_schema_is_the_tables(company: Lake) -> None:
    for month in MONTHS:
        frame = company.frame(FEATURES, month)
        assert list(frame.columns) == ["user_id", AS_OF, *(feature.name for feature in SCHEMA)]
        assert frame["user_id"].tolist() == sorted(rows(company, landed(USERS.name), month))
        types = {name: str(kind) for name, kind in company.read(FEATURES, month).schema().items()}
        for feature in SCHEMA:
            wanted = {"boolean": {"boolean"}, "category": {"string"}, "number": {"int64", "float64"}}[feature.kind]
            assert types[feature.name] in wanted, feature.name


def test_the_types_are_the_same_in_every_month(company: Lake) -> None:
    first = company.read(FEATURES, FIRST).schema()
    assert all(company.read(FEATURES, month).schema() == first for month in MONTHS)


def test_what_is_a_feature() -> None:
    names = [feature.name for feature in SCHEMA]
    assert len(names) == len(set(names))
    history = [made for made, _ in past.features(STREAMFLOW.declaration.features.history)]
    delivered = [c for t in STATE_TABLES for c in t.columns if c.role is Role.FEATURE and c.kind is not Kind.DATE]
    assert names == [*(c.name for c in delivered), *DERIVED, *history]
    forbidden = {c.name for t in STATE_TABLES for c in t.with_role(Role.SEGMENT, Role.LABEL, Role.KEY)} | {
        "churn_label"
    }
    assert not forbidden & set(names)
    assert {"days_since_signup", "fee_per_tenure_month"} <= set(names)
    assert all(f"{name}_change_1m" in names and f"{name}_ratio_2m" in names for name in HISTORY)
    by_name = {feature.name: feature for feature in SCHEMA}
    assert by_name["contract_type"].categories == ("Month-to-month", "One year", "Two year")
    assert all(feature.meaning.endswith(".") for feature in SCHEMA)


def test_what_may_be_unknown_says_so(company: Lake) -> None:
    required = [feature.name for feature in SCHEMA if not feature.nullable]
    for month in MONTHS:
        assert company.frame(FEATURES, month)[required].notna().all(axis=None)


def test_what_only_the_users_table_delivers_is_always_known() -> None:
    assert {feature.name for feature in SCHEMA if not feature.nullable} == {"has_family", "has_dependents"}
    left_out = {feature.name for feature in SCHEMA if not feature.must_be_given}
    history = [made for made, _ in past.features(STREAMFLOW.declaration.features.history)]
    assert left_out == {f.name for f in SCHEMA if f.name.startswith("add_on")} | {
        "plan_stream_tv", "plan_stream_movies", *history, *DERIVED
    }  # fmt: skip


USAGE_FEATURES = [
    "watch_hours_30d", "avg_session_mins_7d", "unique_devices_30d", "skips_7d", "rebuffer_events_7d",
    "watch_hours_per_dollar", "stalls_per_hour", "skips_per_hour", "watch_hours_30d_change_1m",
    "rebuffer_events_7d_change_1m", "watch_hours_30d_ratio_2m", "rebuffer_events_7d_ratio_2m",
]  # fmt: skip


def without_usage(lake: Lake, drop: Path, month: Month, key: str) -> None:
    """Land and close a month whose usage has no row for this customer, and then the months after it."""
    homes.edit(drop / "usage_agg_30d.csv", lambda rows: [row for row in rows if row[0] != key])
    land(lake, month, drop)
    for later in MONTHS[MONTHS.index(month) :]:
        close(lake, later)


def test_a_customer_without_a_row_is_unknown_in_that_table_and_month(lake: Lake, tmp_path: Path) -> None:
    drops = deliver(tmp_path / "drops")
    always = set.intersection(*({row[0] for row in homes.rows_of(d / "users.csv")[1:]} for d in drops))
    key = min(always)
    before = rows(lake, FEATURES, MONTHS[1])[key]
    without_usage(lake, drops[1], MONTHS[1], key)
    found = rows(lake, FEATURES, MONTHS[1])[key]
    assert [name for name in found if found[name] is None and before[name] is not None] == [
        name for name in found if name in USAGE_FEATURES and before[name] is not None
    ]
    assert {name: value for name, value in found.items() if name not in USAGE_FEATURES} == {
        name: value for name, value in before.items() if name not in USAGE_FEATURES
    }
    # The snapshot still has the last known value, with the month that it is from.
    state = rows(lake, "usage_agg_30d_snapshots", MONTHS[1])[key]
    january = rows(lake, FEATURES, FIRST)[key]["watch_hours_30d"]
    assert (state[LAST_SEEN], state["watch_hours_30d"]) == (str(FIRST), january)
    # A month later there is nothing to compare with, except what was known two months ago.
    later = rows(lake, FEATURES, MONTHS[2])[key]
    assert later["watch_hours_30d_change_1m"] is None
    assert later["watch_hours_30d_ratio_2m"] == pytest.approx(later["watch_hours_30d"] / january)


def test_where_a_missing_row_means_zero_it_is_zero(lake: Lake, tmp_path: Path) -> None:
    said = STREAMFLOW.declaration
    usage = msgspec.structs.replace(said.tables[USAGE.name], missing=Missing.ZERO)
    tables = {**said.tables, USAGE.name: usage}
    lake = Lake(lake.root, Contract(msgspec.structs.replace(said, tables=tables)))
    drops = deliver(tmp_path / "drops")
    key = min(set.intersection(*({row[0] for row in homes.rows_of(d / "users.csv")[1:]} for d in drops)))
    types = lake.read(FEATURES, MONTHS[1]).schema()
    without_usage(lake, drops[1], MONTHS[1], key)
    found, before = rows(lake, FEATURES, MONTHS[1])[key], rows(lake, FEATURES, FIRST)[key]
    assert {found[name] for name in USAGE_FEATURES[:5]} == {0}
    assert found["watch_hours_30d_change_1m"] == -before["watch_hours_30d"]
    assert found["stalls_per_hour"] is None  # no hours to divide by
    later = rows(lake, FEATURES, MONTHS[2])[key]
    assert later["watch_hours_30d_change_1m"] == later["watch_hours_30d"]
    assert lake.read(FEATURES, MONTHS[1]).schema() == types
    # Whoever was no customer yet has not watched zero hours.
    fresh = next(key for key in rows(lake, FEATURES, MONTHS[2]) if key not in rows(lake, FEATURES, MONTHS[1]))
    assert rows(lake, FEATURES, MONTHS[2])[fresh]["watch_hours_30d_change_1m"] is None


def test_without_history_changes_are_unknown(company: Lake) -> None:
    history = [feature.name for feature in SCHEMA if feature.name.endswith(("_change_1m", "_ratio_2m"))]
    assert company.frame(FEATURES, FIRST)[history].isna().all(axis=None)
    before = rows(company, "users_snapshots", MONTHS[1])
    third = rows(company, FEATURES, MONTHS[2])
    fresh = [key for key in third if key not in before]
    assert fresh
    for key in fresh:
        assert all(third[key][name] is None for name in history)
    kept = [key for key in third if key in before]
    assert all(third[key]["monthly_fee_change_1m"] is not None for key in kept)


def test_blank_plan_columns_stay_unknown(company: Lake) -> None:
    for month in MONTHS:
        features, blank = rows(company, FEATURES, month), 0
        for key, row in features.items():
            offline = row["net_service"] == "No"
            blank += offline
            for name in ("plan_stream_tv", "plan_stream_movies", "add_on_security", "add_ons"):
                assert (row[name] is None) == offline, (key, name)
        assert 0 < blank < len(features)


DEFAULTS: dict[str, dict[str, Any]] = {
    "users": {"signup_date": "2023-12-31", "user_gender": "Male", "user_is_senior": False, "has_family": False,
              "has_dependents": True},
    "subscriptions": {"months_active": 4, "plan_stream_tv": True, "plan_stream_movies": False,
                      "contract_type": "One year", "paperless_billing": True, "monthly_fee": 30.0, "total_paid": 100.0,
                      "net_service": "DSL", "add_on_security": True, "add_on_backup": False,
                      "add_on_device_protect": None, "add_on_support": False},
    "usage_agg_30d": {"watch_hours_30d": 15.0, "avg_session_mins_7d": 9.0, "unique_devices_30d": 2, "skips_7d": 6,
                      "rebuffer_events_7d": 3},
    "payments_agg_90d": {"failed_payments_90d": 0},
    "support_agg_90d": {"support_tickets_90d": 1, "ticket_avg_resolution_hrs_90d": 5.0},
}  # fmt: skip
KEY = "0001-AAAAA"


def one_customer(folder: Path, months: Sequence[dict[str, Any] | None]) -> dict[str, Any]:
    """One customer's features in the last of these months; in each, the customer differs from DEFAULTS as given."""
    lake = Lake(folder / "lake", STREAMFLOW)
    for ago, differs in enumerate(months):
        drop = folder / str(ago)
        drop.mkdir(parents=True)
        for table in STATE_TABLES:
            header = [column.name for column in table.columns]
            row = {"user_id": KEY, **DEFAULTS[table.name], **(differs or {})}
            with (drop / f"{table.name}.csv").open("w", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(header)
                if differs is not None:
                    writer.writerow(["" if row[name] is None else row[name] for name in header])
                writer.writerow(
                    [
                        "0009-ZZZZZ",
                        *(("" if DEFAULTS[table.name][n] is None else DEFAULTS[table.name][n]) for n in header[1:]),
                    ]
                )
        land(lake, FIRST + ago, drop)
        homes.take_snapshots(lake, FIRST + ago)
    homes.make_features(lake, FIRST + (len(months) - 1))
    return rows(lake, FEATURES, FIRST + (len(months) - 1))[KEY]


def test_derived_features(tmp_path: Path) -> None:
    found = one_customer(
        tmp_path,
        [
            {"watch_hours_30d": 10.0, "monthly_fee": 20.0, "support_tickets_90d": 0, "failed_payments_90d": 1},
            {"watch_hours_30d": 20.0, "monthly_fee": 20.0, "support_tickets_90d": 0, "failed_payments_90d": 3},
            {},
        ],
    )
    assert found["days_since_signup"] == 91  # from 2023-12-31 to 2024-03-31
    assert found["fee_per_tenure_month"] == 25
    assert found["fee_to_past_fee"] == pytest.approx(1.2)
    assert found["watch_hours_per_dollar"] == 0.5
    assert found["stalls_per_hour"] == pytest.approx(0.2)
    assert found["skips_per_hour"] == pytest.approx(0.4)
    assert found["add_ons"] == pytest.approx(1 / 3)  # one of the three that are known
    assert found["watch_hours_30d_change_1m"] == -5
    assert found["watch_hours_30d_ratio_2m"] == 1
    assert found["monthly_fee_change_1m"] == 10
    assert found["monthly_fee_ratio_2m"] == 1.5
    assert found["failed_payments_90d_ratio_2m"] == 0
    assert found["support_tickets_90d_change_1m"] == 1
    assert found["support_tickets_90d_ratio_2m"] is None  # nothing to compare with


def test_a_zero_divisor_gives_unknown(tmp_path: Path) -> None:
    zero = {"months_active": 0, "total_paid": 0.0, "watch_hours_30d": 0.0, "monthly_fee": 0.0}
    found = one_customer(tmp_path, [zero])
    ratios = ("fee_per_tenure_month", "fee_to_past_fee", "watch_hours_per_dollar", "stalls_per_hour", "skips_per_hour")
    assert {name: found[name] for name in ratios} == dict.fromkeys(ratios)


def test_one_month_of_history_is_compared_with_that_one(tmp_path: Path) -> None:
    found = one_customer(tmp_path, [{"watch_hours_30d": 10.0}, {"watch_hours_30d": 25.0}])
    assert found["watch_hours_30d_change_1m"] == 15
    assert found["watch_hours_30d_ratio_2m"] == 2.5


def test_a_month_that_did_not_deliver_the_customer_is_unknown(tmp_path: Path) -> None:
    found = one_customer(tmp_path, [{"watch_hours_30d": 10.0}, None, {"watch_hours_30d": 25.0}])
    assert found["watch_hours_30d_change_1m"] is None
    assert found["watch_hours_30d_ratio_2m"] == 2.5  # January is known


def test_three_months_ago_is_forgotten(tmp_path: Path) -> None:
    months = [{"watch_hours_30d": 5.0}, {"watch_hours_30d": 10.0}, {"watch_hours_30d": 30.0}, {"watch_hours_30d": 40.0}]
    assert one_customer(tmp_path, months)["watch_hours_30d_ratio_2m"] == 2


@given(st.integers(0, 9999), st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=5, max_size=5))
@hypothesis_settings(max_examples=20)
def test_the_holdout_is_fixed_by_the_id_alone(number: int, letters: str) -> None:
    key = f"{number:04d}-{letters}"
    found = ibis.duckdb.connect().execute(is_holdout(ibis.literal(key)))
    assert bool(found) == (hashlib.sha256(key.encode()).hexdigest()[0] in "0123")


def test_a_quarter_of_the_customers_is_held_out() -> None:
    ids = ibis.memtable({"user_id": [f"{n:04d}-ABCDE" for n in range(10_000)]})
    share = ibis.duckdb.connect().execute(is_holdout(ids.user_id).mean())
    assert share == pytest.approx(0.25, abs=0.02)
