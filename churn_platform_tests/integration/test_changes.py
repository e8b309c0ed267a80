"""What has changed since last month, in the scores and for one customer; and why it is not known."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import ibis
import msgspec
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from churn_platform.bundle import Bundle, Feature
from churn_platform.champion.earlier import change_of, last_months
from churn_platform.cli import main
from churn_platform.definitions import build_defs
from churn_platform.home import Home
from churn_platform.lake import picked
from churn_platform.months import Month
from churn_platform.tables import changes, delivery, scoring
from churn_platform.tables.names import CHURN_SCORES, FEATURES
from churn_platform_tests.conftest import Platform

JANUARY, FEBRUARY, MARCH = (Month(2024, number) for number in (1, 2, 3))
TOTAL, CUSTOMER, MODEL = changes.COLUMNS
EXPLAINED = 50


@pytest.fixture
def home(trained: Platform, tmp_path: Path) -> Home:
    """A home of which version 1 has scored January and February, and version 2 will score March."""
    home = trained.copy(tmp_path).home
    for month in (JANUARY, FEBRUARY):
        delivery.score(home.lake, month, bundle(home, 1), 1, EXPLAINED)
    return home


def bundle(home: Home, number: int) -> Bundle:
    return home.registry.bundle(home.registry.version(number))


def log_odds(probabilities: Any) -> Any:
    return np.log(probabilities / (1 - probabilities))


def test_the_riskiest_customers_scores_say_what_has_changed(home: Home) -> None:
    new = bundle(home, 2)
    before = last_months(home.lake, home.registry, MARCH, 2, new)
    assert isinstance(before, Bundle)
    delivery.score(home.lake, MARCH, new, 2, EXPLAINED, before)
    scores = home.lake.frame(CHURN_SCORES, MARCH).set_index("user_id")
    earlier = home.lake.frame(CHURN_SCORES, FEBRUARY).set_index("user_id")
    explained = scores[scores["reasons"].notna()]
    assert len(explained) == EXPLAINED
    assert explained["probability"].min() >= scores["probability"][scores["reasons"].isna()].max()
    assert scores[scores["reasons"].isna()][[*changes.COLUMNS]].isna().all(axis=None)

    both = explained[explained.index.isin(earlier.index)]
    new_ones = explained[~explained.index.isin(earlier.index)]
    assert len(both) > 10 < len(new_ones)
    assert both[[*changes.COLUMNS]].notna().all(axis=None)
    assert new_ones[[*changes.COLUMNS]].isna().all(axis=None)
    expected = log_odds(both["probability"]) - log_odds(earlier["probability"][both.index])
    assert both[TOTAL].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-3)  # probabilities are rounded
    assert (both[CUSTOMER] + both[MODEL]).to_numpy() == pytest.approx(both[TOTAL].to_numpy(), abs=1e-9)
    assert both[CUSTOMER].abs().max() > 0.01 < both[MODEL].abs().max()


def test_with_the_same_version_only_the_customer_has_changed(home: Home) -> None:
    old = bundle(home, 1)
    assert last_months(home.lake, home.registry, FEBRUARY, 1, old) is old
    delivery.score(home.lake, FEBRUARY, old, 1, EXPLAINED, old)
    scores = home.lake.frame(CHURN_SCORES, FEBRUARY)
    assert (scores[MODEL].dropna() == 0).all()
    assert scores[CUSTOMER].abs().max() > 0.01


def test_the_asset_says_why_nothing_is_known(home: Home) -> None:
    def score() -> dict[str, Any]:
        job = build_defs(home.settings).resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.ephemeral() as instance:
            selected = [dg.AssetKey(CHURN_SCORES)]
            done = job.execute_in_process(instance=instance, partition_key=str(MARCH), asset_selection=selected)
        (made,) = done.get_asset_materialization_events()
        return {name: value.value for name, value in made.materialization.metadata.items()}

    assert "no_change_since_last_month" not in score()
    assert home.lake.frame(CHURN_SCORES, MARCH)[TOTAL].notna().any()
    home.lake.path(CHURN_SCORES, FEBRUARY).unlink()
    assert score()["no_change_since_last_month"] == "2024-02 has no scores"
    assert home.lake.frame(CHURN_SCORES, MARCH)[TOTAL].isna().all()


def restate(home: Home, month: Month) -> None:
    """Close the month again with other values."""
    rows = home.lake.frame(FEATURES, month)
    rows["monthly_fee"] += 1
    home.lake.write(FEATURES, month, ibis.memtable(rows).order_by("user_id"))


def test_a_month_that_was_restated_after_its_scores_is_nothing_to_compare_with(home: Home) -> None:
    new = bundle(home, 2)
    restate(home, FEBRUARY)
    why = "the features of 2024-02 have changed since it was scored, and scores that were served are kept"
    assert last_months(home.lake, home.registry, MARCH, 2, new) == why
    assert change_of(home.lake, home.registry, MARCH, 2, "nobody") == why
    delivery.score(home.lake, FEBRUARY, bundle(home, 1), 1, EXPLAINED)
    assert isinstance(last_months(home.lake, home.registry, MARCH, 2, new), Bundle)
    document = home.lake.path(CHURN_SCORES, FEBRUARY, ".json")
    document.write_bytes(b"{")
    assert str(last_months(home.lake, home.registry, MARCH, 2, new)).startswith(f"{document} cannot be read: ")
    document.unlink()
    unknown = "it is not known from which features 2024-02 was scored"
    assert last_months(home.lake, home.registry, MARCH, 2, new) == unknown


def test_each_month_is_read_once_and_only_the_customers_rows(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[Path, int]] = []

    def picking(path: Path, columns: list[str], key: str, values: Collection[str]) -> pa.Table:
        found = picked(path, columns, key, values)
        read.append((path, len(found)))
        return found

    monkeypatch.setattr(scoring, "picked", picking)
    monkeypatch.setattr(scoring, "batches", None)
    customer = home.lake.frame(FEATURES, MARCH)["user_id"].iloc[-1]
    changes.since_last_month(home.lake, MARCH, bundle(home, 1), bundle(home, 2), [customer, "nobody"])
    assert [path for path, _ in read] == [home.lake.path(FEATURES, month) for month in (FEBRUARY, MARCH)]
    assert max(rows for _, rows in read) == 1


def test_it_is_said_why_a_change_is_not_known(home: Home) -> None:
    old, new = bundle(home, 1), bundle(home, 2)
    lacking = bundle(home, 2)
    lacking.schema = (*lacking.schema, Feature("Gone", "number", "It is gone.", False))
    assert changes.obstacle(home.lake, MARCH, (old, new)) is None
    assert changes.obstacle(home.lake, MARCH, (old, lacking)) == (
        "the version trained for 2024-02 cannot score 2024-03: their features differ"
    )
    assert changes.obstacle(home.lake, MARCH + 1, (old, new)) == "2024-04 is not closed"
    assert changes.obstacle(home.lake, JANUARY, (old, new)) == "2023-12 is not closed"
    delivery.score(home.lake, FEBRUARY, old, 99, 0)
    why = last_months(home.lake, home.registry, MARCH, 2, new)
    assert isinstance(why, str)
    assert why.startswith("version 99, which scored 2024-02, cannot be fetched: ")
    assert change_of(home.lake, home.registry, MARCH, 98, "nobody").startswith(  # type: ignore[union-attr]
        "version 98 cannot be fetched: "
    )


def test_one_customers_change_is_that_of_the_scores(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    new, old = bundle(home, 2), bundle(home, 1)
    delivery.score(home.lake, MARCH, new, 2, EXPLAINED, old)
    scores = home.lake.frame(CHURN_SCORES, MARCH).dropna(subset=[TOTAL])
    customer = scores["user_id"].iloc[0]
    expected = dict(scores.iloc[0][[*changes.COLUMNS]])
    assert change_of(home.lake, home.registry, MARCH, 2, customer) == pytest.approx(expected, abs=2e-6)
    unknown = "the customer was not active in both 2024-02 and 2024-03"
    assert change_of(home.lake, home.registry, MARCH, 2, "nobody") == unknown
    known = set(home.lake.frame(FEATURES, FEBRUARY)["user_id"])
    joined = next(user for user in home.lake.frame(FEATURES, MARCH)["user_id"] if user not in known)
    assert change_of(home.lake, home.registry, MARCH, 2, joined) == unknown

    asked: list[str] = []

    def answer(url: str, **_: Any) -> httpx.Response:
        asked.append(url)
        return httpx.Response(200, json={"user_id": customer, "as_of": "2024-03-31", "model_version": 2})

    monkeypatch.setattr(httpx, "post", answer)
    environment = {"CHURN_HOME": str(home.settings.home), "CHURN_DROPS": str(home.settings.drops)}
    done = CliRunner().invoke(main, ["predict", customer, "--reasons"], env=environment)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["since_last_month"] == pytest.approx(expected, abs=2e-6)
    assert told["no_change_since_last_month"] is None
    assert CliRunner().invoke(main, ["predict", customer], env=environment).exit_code == 0
    assert [url.rpartition("/")[2] for url in asked] == ["explain", "predict"]

    restate(home, FEBRUARY)
    known, why = asked_again(customer, environment)
    assert known is None
    assert why.startswith("the features of 2024-02 have changed since it was scored")
    damaged = home.lake.path(FEATURES, MARCH)
    for cut in (damaged.read_bytes()[:-50], b"PAR1" + b"?" * 5000):
        delivery.score(home.lake, FEBRUARY, old, 1, 0)
        damaged.write_bytes(cut)
        known, why = asked_again(customer, environment)
        assert known is None
        assert why.startswith(f"{damaged} is damaged: ")


def asked_again(customer: str, environment: dict[str, str]) -> tuple[Any, str]:
    done = CliRunner().invoke(main, ["predict", customer, "--reasons"], env=environment)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["model_version"] == 2  # what serving has answered
    return told["since_last_month"], told["no_change_since_last_month"]


@pytest.mark.parametrize("body", [{}, {"as_of": "soon", "model_version": 2}, [], {"as_of": 7}])
def test_an_answer_that_is_no_explanation_is_not_servings(
    body: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx, "post", lambda *_, **__: httpx.Response(200, content=msgspec.json.encode(body)))
    done = CliRunner().invoke(main, ["predict", "somebody", "--reasons"], env={"CHURN_HOME": str(tmp_path)})
    assert done.exit_code == 1
    assert "is not serving" in done.output
