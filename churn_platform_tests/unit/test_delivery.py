"""What leaves the platform: rows for the online store, deciles, the CSV, and whose scores they are."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_platform.lake import Lake, MissingTableError
from churn_platform.months import Month
from churn_platform.online import store
from churn_platform.tables import delivery
from churn_platform.tables.features import AS_OF
from churn_platform.tables.names import CHURN_SCORES, FEATURES
from churn_platform_tests.streamflow import KEY, SCHEMA

JANUARY, FEBRUARY = Month(2024, 1), Month(2024, 2)
TYPES = {"number": "float64", "boolean": "boolean", "category": "string"}


def put_features(lake: Lake, month: Month, **columns: Sequence[object]) -> None:
    """A month of customers about whom only these columns are known."""
    import ibis

    schema = {KEY: "string", AS_OF: "date"} | {feature.name: TYPES[feature.kind] for feature in SCHEMA}
    rows = len(columns[KEY])
    frame = pd.DataFrame({name: columns.get(name, [None] * rows) for name in schema} | {AS_OF: month.as_of})
    lake.write(FEATURES, month, ibis.memtable(frame, schema=schema).order_by(KEY))


def put_scores(lake: Lake, month: Month, version: int = 1) -> None:
    import ibis

    rows = {KEY: ["0002-BBBBB", "0001-AAAAA"], "probability": [0.5, 0.25], "model_version": version, "reasons": "a, b"}
    lake.write(CHURN_SCORES, month, ibis.memtable(pd.DataFrame(rows)).order_by(KEY))


def test_online_rows_are_plain_values_in_key_order_and_unknown_is_none(lake: Lake) -> None:
    put_features(
        lake,
        JANUARY,
        user_id=["0002-BBBBB", "0001-AAAAA"],
        monthly_fee=[float("inf"), 20.5],
        total_paid=[float("nan"), 3.0],
        has_family=[None, True],
        contract_type=["One year", None],
    )
    (first, _), (second, _) = rows = list(delivery.online_rows(lake, JANUARY))
    assert (first, second) == ("0001-AAAAA", "0002-BBBBB")
    names = delivery.online_features(lake, JANUARY)
    assert names == {feature.name: feature.kind for feature in SCHEMA}
    known, others = (dict(zip(names, values, strict=True)) for _, values in rows)
    assert known["has_family"] is True and type(known["monthly_fee"]) is float
    picked = ("monthly_fee", "total_paid", "has_family", "contract_type", "add_ons")
    assert [known[name] for name in picked] == [20.5, 3.0, True, None, None]
    assert [others[name] for name in picked] == [None, None, None, "One year", None]


def test_online_rows_come_in_batches(lake: Lake) -> None:
    keys = [f"{number:04d}-AAAAA" for number in range(5)]
    put_features(lake, JANUARY, user_id=keys, monthly_fee=[1.0, 2.0, 3.0, 4.0, 5.0])
    rows = delivery.online_rows(lake, JANUARY, at_once=2)
    assert next(rows)[0] == keys[0]
    fee = [*delivery.online_features(lake, JANUARY)].index("monthly_fee")
    assert [(key, row[fee]) for key, row in rows] == list(zip(keys[1:], [2.0, 3.0, 4.0, 5.0], strict=True))


def test_online_rows_are_what_the_store_holds(lake: Lake, tmp_path: Path) -> None:
    import sqlite3

    put_features(lake, JANUARY, user_id=["0001-AAAAA"], monthly_fee=[20.5])
    names, rows = delivery.online_features(lake, JANUARY), delivery.online_rows(lake, JANUARY)
    store.publish(f"sqlite:///{tmp_path / 'store.db'}", JANUARY, names, rows)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        ((stored,),) = connection.execute("SELECT features FROM online_customers").fetchall()
    assert tuple(msgspec.msgpack.decode(stored)) == next(delivery.online_rows(lake, JANUARY))[1]


def test_a_month_that_is_not_closed_is_named(lake: Lake) -> None:
    with pytest.raises(MissingTableError, match="features of 2024-01 is not there"):
        next(delivery.online_rows(lake, JANUARY))


@given(st.integers(0, 60), st.integers(0, 5))
def test_deciles_are_alike_and_the_first_is_the_riskiest(customers: int, seed: int) -> None:
    riskiest = np.random.default_rng(seed).permutation(customers)
    found = delivery.deciles(riskiest)
    sizes = np.bincount(found, minlength=11)[1:]
    assert len(found) == customers == sizes.sum()
    assert sizes.max() - sizes.min() <= 1
    assert list(found[riskiest]) == sorted(found)


def test_the_csv_holds_the_scores_in_key_order(lake: Lake, tmp_path: Path) -> None:
    put_scores(lake, JANUARY)
    delivery.write_csv(lake, JANUARY, tmp_path / "exports" / "scores.csv")
    with (tmp_path / "exports" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row[KEY] for row in rows] == ["0001-AAAAA", "0002-BBBBB"]
    assert rows[0] == {KEY: "0001-AAAAA", "probability": "0.25", "model_version": "1", "reasons": "a, b"}
    assert [path.name for path in (tmp_path / "exports").iterdir()] == ["scores.csv"]


def test_scores_become_history_when_a_later_month_is_closed(lake: Lake) -> None:
    put_features(lake, JANUARY, user_id=["0001-AAAAA"])
    assert delivery.served_by(lake, JANUARY) is None and not delivery.is_history(lake, JANUARY)
    put_scores(lake, JANUARY, version=7)
    assert delivery.served_by(lake, JANUARY) == 7 and not delivery.is_history(lake, JANUARY)
    put_features(lake, FEBRUARY, user_id=["0001-AAAAA"])
    assert delivery.is_history(lake, JANUARY) and not delivery.is_history(lake, FEBRUARY)
