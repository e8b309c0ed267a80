"""The synthetic company: its drops keep the contract, its months build on each other, its shocks do what they say."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import stat
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_platform.company.declaration import DeclaredColumn, Kind
from churn_platform.contracts import Column, Contract, Table
from churn_platform.modelling.metrics import auc
from churn_platform.months import Month
from churn_platform.shown import counted
from churn_platform.simulation import drops as simulation
from churn_platform.simulation.company import ADD_ONS
from churn_platform.simulation.drops import (
    SimulatedMonth,
    SimulationError,
    next_month,
    simulate,
    user_ids,
    write_drop,
)
from churn_platform.simulation.hazard import AFTER, QUIET, Shock, ShockError, ShockKind
from churn_platform_tests.streamflow import BY_NAME, STREAMFLOW, TABLES

SEEDS = Path(__file__).parents[2] / "data" / "seeds"
SHOCK_AT = 6
CUSTOMERS = 3000


@pytest.fixture(scope="module")
def quiet() -> list[SimulatedMonth]:
    return list(simulate(24, CUSTOMERS, seed=1))


@pytest.fixture(scope="module")
def shocked() -> dict[ShockKind, list[SimulatedMonth]]:
    at = simulation.FIRST + SHOCK_AT
    return {kind: list(simulate(SHOCK_AT + 4, CUSTOMERS, seed=1, shocks=[Shock(at, kind)])) for kind in ShockKind}


def columns(month: SimulatedMonth) -> dict[str, np.ndarray]:
    return {name: values for table in month.tables.values() for name, values in table.items()}


def by_customer(month: SimulatedMonth, column: str) -> dict[str, Any]:
    values = columns(month)
    return dict(zip(values["user_id"].tolist(), values[column].tolist(), strict=True))


def drop_bytes(drop: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in drop.iterdir()}


def population_stability(before: np.ndarray, after: np.ndarray) -> float:
    """The population stability index over the deciles of `before`."""
    edges = np.unique(np.quantile(before, np.linspace(0.1, 0.9, 9)))
    shares = [
        np.bincount(np.searchsorted(edges, values), minlength=edges.size + 1) / values.size + 1e-4
        for values in (before, after)
    ]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


# The drops and the contract


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_values_keep_the_contract(quiet: list[SimulatedMonth], table: Table) -> None:
    for month in (quiet[0], quiet[-1]):
        values = month.tables[table.name]
        assert list(values) == [column.name for column in table.columns]
        for column in table.columns:
            assert_allowed(column, values[column.name])


def assert_allowed(column: Column, values: np.ndarray) -> None:
    kinds = {Kind.BOOLEAN: "b", Kind.INTEGER: "i", Kind.NUMBER: "f", Kind.DATE: "M"}
    assert values.dtype.kind == kinds.get(column.kind, "U"), column.name
    assert column.nullable or not np.ma.is_masked(values), column.name
    if column.allowed:
        assert set(values.tolist()) == set(column.allowed)
    if column.pattern is not None:
        assert all(re.fullmatch(column.pattern, value) for value in values.tolist())
    if column.minimum is not None and column.maximum is not None:
        assert column.minimum <= values.min() and values.max() <= column.maximum, column.name
    assert np.unique(np.ma.compressed(values)).size > 1, f"{column.name} is constant"


def test_a_new_column_of_the_contract_needs_synthetic_values(monkeypatch: pytest.MonkeyPatch) -> None:
    said = STREAMFLOW.declaration
    users = said.tables["users"]
    shoes = DeclaredColumn(kind=Kind.INTEGER, meaning="Size of shoes.")
    wider = msgspec.structs.replace(users, columns={**users.columns, "shoe_size": shoes})
    company = Contract(msgspec.structs.replace(said, tables={**said.tables, "users": wider}))
    monkeypatch.setattr(simulation, "_CONTRACT", company)
    with pytest.raises(ValueError, match=r"users\.shoe_size"):
        next(simulate(1, 50))


def test_without_internet_plans_and_add_ons_are_unknown(quiet: list[SimulatedMonth]) -> None:
    values = columns(quiet[5])
    offline = values["net_service"] == "No"
    assert 0.19 < offline.mean() < 0.25
    for name in ("plan_stream_tv", "plan_stream_movies", *ADD_ONS):
        assert (np.ma.getmaskarray(values[name]) == offline).all()


def test_contracts_are_mixed_as_in_real_drops(quiet: list[SimulatedMonth]) -> None:
    contracts = columns(quiet[20])["contract_type"]
    shares = [(contracts == name).mean() for name in ("Month-to-month", "One year", "Two year")]
    np.testing.assert_allclose(shares, (0.55, 0.21, 0.24), atol=0.04)


# Determinism


def test_a_month_depends_on_the_seed_and_nothing_later(tmp_path: Path) -> None:
    later = Shock(Month(2024, 4), ShockKind.PRICE_RISE)
    companies = {
        "short": list(simulate(2, 200, seed=5)),
        "long": list(simulate(4, 200, seed=5)),
        "shocked later": list(simulate(4, 200, seed=5, shocks=[later])),
        "other": list(simulate(2, 200, seed=6)),
    }
    second = {name: drop_bytes(write_drop(months[1], tmp_path / name)) for name, months in companies.items()}
    assert second["short"] == second["long"] == second["shocked later"]
    assert all(second["short"][f"{table.name}.csv"] != second["other"][f"{table.name}.csv"] for table in TABLES)


def test_the_seeds_are_what_the_simulation_gives(tmp_path: Path) -> None:
    for month in simulate(2):
        drop = write_drop(month, tmp_path)
        assert drop_bytes(drop) == drop_bytes(SEEDS / drop.name), f"{drop.name} is stale: generate data/seeds again"
    assert sorted(path.name for path in SEEDS.iterdir()) == ["month_000", "month_001"]


@settings(max_examples=10, deadline=None)
@given(customers=st.integers(1, 30), seed=st.integers(0, 2**64), kind=st.sampled_from(ShockKind))
def test_tiny_companies_live(customers: int, seed: int, kind: ShockKind) -> None:
    months = list(simulate(3, customers, seed, [Shock(Month(2024, 2), kind)]))
    assert months[0].churn_probability.size == customers
    assert all(json.dumps(month.summary(), allow_nan=False) for month in months)


@pytest.mark.parametrize(("months", "customers"), [(-1, 100), (0, 100), (1, 0)])
def test_impossible_companies_are_refused(months: int, customers: int) -> None:
    with pytest.raises(SimulationError, match=f"{counted(months, 'month')} of {counted(customers, 'customer')}: ask"):
        list(simulate(months, customers))


# From month to month


def test_the_population_stays_near_its_size(quiet: list[SimulatedMonth]) -> None:
    sizes = np.array([columns(month)["user_id"].size for month in quiet])
    assert sizes[0] == CUSTOMERS
    assert np.unique(sizes).size > 10
    assert (abs(sizes / CUSTOMERS - 1) < 0.05).all()


def test_churners_leave_the_others_stay_and_nobody_comes_back(quiet: list[SimulatedMonth]) -> None:
    gone: set[str] = set()
    for month, following in pairwise(quiet):
        churns = by_customer(month, "churn_label")
        gone |= {user for user, churned in churns.items() if churned}
        there = set(by_customer(following, "user_id"))
        assert not gone & there
        assert {user for user, churned in churns.items() if not churned} <= there


def test_tenure_and_payments_accumulate(quiet: list[SimulatedMonth]) -> None:
    for month, following in pairwise(quiet[:4]):
        tenure, paid = by_customer(month, "months_active"), by_customer(month, "total_paid")
        fee, paid_later = by_customer(following, "monthly_fee"), by_customer(following, "total_paid")
        signed_up = by_customer(following, "signup_date")
        for user, months in by_customer(following, "months_active").items():
            assert months == tenure.get(user, 0) + 1
            assert paid_later[user] == pytest.approx(paid.get(user, 0) + fee[user])
            assert Month.of(signed_up[user]) == following.month - (months - 1)


def test_counts_of_90_days_are_three_months_rolling(quiet: list[SimulatedMonth]) -> None:
    for column in ("failed_payments_90d", "support_tickets_90d"):
        values = [by_customer(month, column) for month in quiet[:4]]
        stayers = set.intersection(*map(set, values))
        near, far = (np.corrcoef([[values[i][user] for user in stayers] for i in (0, k)])[0, 1] for k in (1, 3))
        assert near == pytest.approx(2 / 3, abs=0.12)
        assert far == pytest.approx(0, abs=0.12)


def test_a_customer_watches_much_as_last_month(quiet: list[SimulatedMonth]) -> None:
    before, after = (by_customer(month, "watch_hours_30d") for month in quiet[:2])
    both = before.keys() & after.keys()
    assert 0.6 < np.corrcoef([[hours[user] for user in both] for hours in (before, after)])[0, 1] < 0.97


def test_quiet_months_stay_alike(quiet: list[SimulatedMonth]) -> None:
    before, after = columns(quiet[3]), columns(quiet[20])
    for name, values in before.items():
        if values.dtype.kind in "ifb":
            known = [np.ma.compressed(month[name]).astype(float) for month in (before, after)]
            assert population_stability(*known) < 0.03, name


# The hazard


def test_labels_follow_the_true_hazard(quiet: list[SimulatedMonth]) -> None:
    churned = np.concatenate([columns(month)["churn_label"] for month in quiet])
    probability = np.concatenate([month.churn_probability for month in quiet])
    for fifth in np.array_split(np.argsort(probability), 5):
        assert churned[fifth].mean() == pytest.approx(probability[fifth].mean(), abs=0.015)


def test_quiet_months_are_as_hard_as_real_ones(quiet: list[SimulatedMonth]) -> None:
    best = [month.best_auc for month in quiet if month.best_auc is not None]
    assert len(best) == len(quiet)
    assert 0.80 < np.mean(best) < 0.86 and max(best) - min(best) < 0.06
    assert all(0.15 < columns(month)["churn_label"].mean() < 0.27 for month in quiet)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    positive, negative = ([score for score, label in rows if label is wanted] for wanted in (True, False))
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    expected = pytest.approx(sum(pairs) / len(pairs)) if pairs else None
    assert auc(np.array([score for score, _ in rows]), np.array([label for _, label in rows])) == expected


# Shocks


def test_shocks_are_parsed() -> None:
    july, rise = Month(2024, 7), ShockKind.PRICE_RISE
    assert Shock.parse("2024-07:price_rise") == Shock.parse("price_rise", july) == Shock(july, rise)
    assert Shock.parse("2024-07:price_rise", july + 1) == Shock(july, rise)
    assert all(changes.keys() <= QUIET.keys() for changes in AFTER.values()) and AFTER.keys() == set(ShockKind)


@pytest.mark.parametrize("text", ["", "2024-07", "2024-07:", "2024-13:price_rise", "2024-07:war", "price_rise"])
def test_a_malformed_shock_names_the_kinds(text: str) -> None:
    with pytest.raises(ShockError, match="price_rise, service_outage, new_plan, covariate_only"):
        Shock.parse(text)


@pytest.mark.parametrize("kind", [kind for kind in ShockKind if kind is not ShockKind.COVARIATE_ONLY])
def test_a_shock_makes_yesterdays_ranking_worse(
    quiet: list[SimulatedMonth], shocked: dict[ShockKind, list[SimulatedMonth]], kind: ShockKind
) -> None:
    known, after = quiet[SHOCK_AT], shocked[kind][SHOCK_AT]
    assert (columns(known)["user_id"] == columns(after)["user_id"]).all()
    yesterdays = auc(known.churn_probability, columns(after)["churn_label"])
    assert yesterdays is not None and after.best_auc is not None
    assert yesterdays < after.best_auc - 0.06
    assert after.best_auc > 0.75  # there is something new to learn


def test_a_covariate_shock_changes_what_is_seen_and_nobodys_risk(
    quiet: list[SimulatedMonth], shocked: dict[ShockKind, list[SimulatedMonth]]
) -> None:
    for known, after in zip(quiet, shocked[ShockKind.COVARIATE_ONLY], strict=False):
        assert (known.churn_probability == after.churn_probability).all()
        assert (columns(known)["churn_label"] == columns(after)["churn_label"]).all()
        moved = {name for name in columns(known) if not np.ma.allequal(columns(known)[name], columns(after)[name])}
        metered = {"watch_hours_30d", "avg_session_mins_7d", "unique_devices_30d"}
        assert moved == (metered if after.index >= SHOCK_AT else set())


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        (ShockKind.PRICE_RISE, "monthly_fee"),
        (ShockKind.SERVICE_OUTAGE, "rebuffer_events_7d"),
        (ShockKind.SERVICE_OUTAGE, "support_tickets_90d"),
        (ShockKind.NEW_PLAN, "plan_stream_tv"),
        (ShockKind.NEW_PLAN, "plan_stream_movies"),
        (ShockKind.COVARIATE_ONLY, "watch_hours_30d"),
    ],
)
def test_a_shock_lasts_in_what_is_seen(
    quiet: list[SimulatedMonth], shocked: dict[ShockKind, list[SimulatedMonth]], kind: ShockKind, column: str
) -> None:
    usual = np.ma.mean(columns(quiet[SHOCK_AT - 1])[column])
    assert np.ma.mean(columns(shocked[kind][SHOCK_AT - 1])[column]) == usual
    for month in shocked[kind][SHOCK_AT:]:
        assert np.ma.mean(columns(month)[column]) > 1.08 * usual


def test_of_two_shocks_the_later_ones_hazard_holds(shocked: dict[ShockKind, list[SimulatedMonth]]) -> None:
    rise, outage = Shock(Month(2024, 7), ShockKind.PRICE_RISE), Shock(Month(2024, 8), ShockKind.SERVICE_OUTAGE)
    both = list(simulate(8, CUSTOMERS, seed=1, shocks=[outage, rise]))
    assert (both[6].churn_probability == shocked[ShockKind.PRICE_RISE][6].churn_probability).all()
    assert columns(both[7])["rebuffer_events_7d"].mean() > 1.5 * columns(both[6])["rebuffer_events_7d"].mean()


# Writing drops


def test_a_drop_reads_back_as_it_was_simulated(tmp_path: Path) -> None:
    month = next(simulate(1, 300))
    drop = write_drop(month, tmp_path / "drops")
    assert drop == tmp_path / "drops" / "month_000"
    assert [path.name for path in drop.parent.iterdir()] == ["month_000"]
    assert {path.stem for path in drop.iterdir()} == BY_NAME.keys()
    for name, values in month.tables.items():
        text = (drop / f"{name}.csv").read_bytes()
        assert b"\r" not in text and text.endswith(b"\n") and not text.endswith(b"\n\n")
        header, *rows = csv.reader(text.decode().splitlines())
        assert header == list(values)
        expected = zip(*(column.tolist() for column in values.values()), strict=True)
        assert rows == [["" if value is None else str(value) for value in row] for row in expected]
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)


@pytest.mark.parametrize("folder", ["month_000", "2024-01"])
def test_a_month_is_delivered_once(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises(SimulationError, match=f"{folder} already holds a drop of 2024-01: remove it"):
        write_drop(next(simulate(1, 20)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [folder]


def test_of_two_writers_one_wins(tmp_path: Path) -> None:
    month = next(simulate(1, 20))

    class Overtaken(dict[str, Any]):
        """Tables that another writer delivers while they are being written."""

        def items(self) -> Any:
            yield from super().items()
            write_drop(month, tmp_path)

    overtaken = dataclasses.replace(month, tables=Overtaken(month.tables))
    with pytest.raises(SimulationError, match="month_000 already holds a drop"):
        write_drop(overtaken, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["month_000"]


def test_a_failed_drop_leaves_nothing(tmp_path: Path) -> None:
    month = next(simulate(1, 20))
    uneven = dict(month.tables["labels"], churn_label=month.tables["labels"]["churn_label"][1:])
    broken = SimulatedMonth(month.month, 0, {**month.tables, "labels": uneven}, month.churn_probability)
    with pytest.raises(ValueError, match="shorter"):
        write_drop(broken, tmp_path)
    assert not list(tmp_path.iterdir())


def test_others_may_read_a_drop(tmp_path: Path) -> None:
    (tmp_path / "probe").mkdir()
    usual = stat.S_IMODE((tmp_path / "probe").stat().st_mode)
    assert stat.S_IMODE(write_drop(next(simulate(1, 20)), tmp_path).stat().st_mode) == usual


@pytest.mark.parametrize(
    ("folders", "month"),
    [([], Month(2023, 5)), (["month_000", "2023-09"], Month(2023, 10)), (["2022-12"], Month(2023, 5))],
)
def test_the_next_month_follows_the_newest_drop(tmp_path: Path, folders: list[str], month: Month) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir()
    assert next_month(tmp_path, Month(2023, 5)) == month


def test_user_ids_are_all_different_and_in_no_order() -> None:
    serials = np.arange(200_000)
    ids = user_ids(serials, seed=0)
    assert np.unique(ids).size == serials.size
    assert 0.3 < (ids[1:] > ids[:-1]).mean() < 0.7
    assert not np.isin(ids[:1000], user_ids(serials[:1000], seed=1)).any()
