"""The training set: labelled rows of matured months, without holdout customers, or a refusal that says why."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from churn_platform.files import sha256_of
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.simulation.drops import simulate, write_drop
from churn_platform.tables.names import FEATURES, landed
from churn_platform.tables.training_set import (
    REACH,
    NotTrainableError,
    holdout,
    matured,
    months_to_learn_from,
    refuse_too_few,
    sources,
    training_rows,
)
from churn_platform_tests import homes
from churn_platform_tests.streamflow import LABEL, SCHEMA, STREAMFLOW

FIRST, SECOND, THIRD = homes.MONTHS


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three closed months, of which the last has no labels yet."""
    folder = tmp_path_factory.mktemp("training")
    lake = Lake(folder / "lake", STREAMFLOW)
    for month in simulate(3, 120, seed=3):
        homes.land(lake, month.month, write_drop(month, folder / "drops"), labels=month.month != THIRD)
        homes.close(lake, month.month)
    return lake


def held_out(key: str) -> bool:
    return hashlib.sha256(key.encode()).hexdigest()[0] in "0123"


def test_matured_months_are_closed_and_labelled(lake: Lake) -> None:
    assert matured(lake) == (FIRST, SECOND)


def test_the_months_up_to_the_one_asked_for(lake: Lake) -> None:
    assert months_to_learn_from(lake, FIRST) == (FIRST,)
    assert months_to_learn_from(lake, SECOND) == (FIRST, SECOND)


def test_no_more_than_twelve_months(tmp_path: Path) -> None:
    lake = Lake(tmp_path, STREAMFLOW)
    for ago in range(15):
        for name in (FEATURES, landed("labels")):
            path = lake.path(name, FIRST + ago)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert REACH == 12
    assert months_to_learn_from(lake, FIRST + 14) == tuple(FIRST + ago for ago in range(3, 15))


def test_a_month_without_labels_is_refused(lake: Lake) -> None:
    with pytest.raises(
        NotTrainableError, match=r"^2024-03 has no labels yet; the newest month that can be trained for is 2024-02$"
    ):
        months_to_learn_from(lake, THIRD)


def test_a_month_that_is_not_closed_is_refused(lake: Lake, tmp_path: Path) -> None:
    wanted = r"^2024-04 is not closed: close 2024-04 first .*the newest .* is 2024-02$"
    with pytest.raises(NotTrainableError, match=wanted):
        months_to_learn_from(lake, THIRD + 1)
    with pytest.raises(NotTrainableError, match=r"^2024-01 is not closed: .*; no month has matured yet$"):
        months_to_learn_from(Lake(tmp_path / "empty", STREAMFLOW), FIRST)


def test_training_rows(lake: Lake) -> None:
    frame = training_rows(lake, [FIRST, SECOND]).to_pandas()
    assert set(frame.columns) == {"month", "user_id", LABEL, *(feature.name for feature in SCHEMA)}
    places = list(zip(frame["month"], frame["user_id"], strict=True))
    assert places == sorted(set(places))
    for month in (FIRST, SECOND):
        labels = lake.frame(landed("labels"), month).set_index("user_id")[LABEL]
        rows = frame[frame["month"] == str(month)].set_index("user_id")
        assert list(rows.index) == [key for key in labels.index if not held_out(key)]
        assert (rows[LABEL] == labels[rows.index]).all()
        features = lake.frame(FEATURES, month).set_index("user_id")
        assert (rows["watch_hours_30d"] == features.loc[rows.index, "watch_hours_30d"]).all()


def test_the_same_months_give_the_same_bytes(lake: Lake, tmp_path: Path) -> None:
    scratch = Lake(tmp_path, STREAMFLOW)
    first = scratch.write_addressed("rows", training_rows(lake, [FIRST, SECOND]))
    assert scratch.write_addressed("rows", training_rows(lake, [SECOND, FIRST])).sha256 == first.sha256


def test_holdout_customers_are_nobodys_training_rows(lake: Lake) -> None:
    trained_on = set(training_rows(lake, [FIRST, SECOND]).to_pandas()["user_id"])
    for month in (FIRST, SECOND):
        frame = holdout(lake, month)
        keys = frame["user_id"].tolist()
        assert keys == sorted(keys)
        assert not trained_on & set(keys)
        assert len(keys) == len(set(keys)) > 10
        assert {"user_gender", "user_is_senior", LABEL} <= set(frame.columns)
        assert all(map(held_out, keys))
        labelled = lake.frame(landed("labels"), month)["user_id"]
        assert set(keys) == set(filter(held_out, labelled))


def test_sources_name_the_content_of_the_months(lake: Lake) -> None:
    rows = training_rows(lake, [FIRST, SECOND]).to_pandas()
    found = sources(lake, [FIRST, SECOND], rows)
    assert list(found) == ["2024-01", "2024-02"]
    assert sum(source.rows for source in found.values()) == len(rows)
    assert found["2024-02"].features_sha256 == sha256_of(lake.path(FEATURES, SECOND))
    assert found["2024-02"].labels_sha256 == sha256_of(lake.path(landed("labels"), SECOND))


def test_too_few_and_one_class_are_refused_with_the_counts(lake: Lake) -> None:
    rows = training_rows(lake, [FIRST, SECOND]).to_pandas()
    own = rows.loc[rows["month"] == "2024-02", LABEL]
    count, churned = len(own), int(own.sum())
    refuse_too_few(SECOND, own, count)
    with pytest.raises(
        NotTrainableError,
        match=f"^2024-02 has {count} labelled training customers, {churned} of them churned; "
        f"CHURN_MIN_TRAINING_CUSTOMERS asks for at least {count + 1}$",
    ):
        refuse_too_few(SECOND, own, count + 1)
    for label, number in [(True, count), (False, 0)]:
        own[:] = label
        with pytest.raises(NotTrainableError, match=f"{number} of them churned: training needs some who did and some"):
            refuse_too_few(SECOND, own, 2)
    with pytest.raises(NotTrainableError, match="2024-05 has 0 labelled training customers"):
        refuse_too_few(Month(2024, 5), own[:0], 2)
