"""Companies that are not StreamFlow: a declaration is all that they need, from their own files to scores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from churn_platform.bundle import Bundle
from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform.intake.landing import judge_state
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.online.store import open_reader
from churn_platform.tables.names import CHURN_SCORES, FEATURES, landed
from churn_platform.tables.training_set import matured
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform, done

JANUARY, FEBRUARY = homes.MONTHS[:2]


def platform_of(folder: Path, declaration: str) -> Platform:
    company = folder / "company.toml"
    company.write_text(declaration)
    return Platform(homes.settings_of(folder, company=company, min_training_customers=50))


def bundle_of(platform: Platform) -> Bundle:
    champion = platform.home.registry.champion()
    assert champion is not None
    return platform.home.registry.bundle(champion)


def learned_from(folder: Path, declaration: str, deliver: Callable[[Path], Path]) -> Platform:
    """A platform with one month closed, learned from, and scored by its champion."""
    platform = platform_of(folder, declaration)
    deliver(platform.settings.drops / "2024-01")
    for command in ("close", "retrain", "close"):
        done(platform, command, "2024-01")
    return platform


@pytest.fixture(scope="module")
def telco(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Read only."""
    return learned_from(tmp_path_factory.mktemp("telco"), foreign.TELCO, foreign.telco)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Read only."""
    return learned_from(tmp_path_factory.mktemp("bank"), foreign.BANK, foreign.bank)


def test_a_label_may_stand_beside_what_describes_the_customers(telco: Platform) -> None:
    lake = telco.home.lake
    users, labels = lake.frame(landed("customers"), JANUARY), lake.frame(landed("labels"), JANUARY)
    assert "Churn" not in users
    assert list(labels) == ["customerID", "Churn"]
    assert len(labels) == len(users) == 600
    assert "Churn" not in lake.frame(FEATURES, JANUARY)


def test_what_stands_for_nothing_is_unknown(telco: Platform) -> None:
    totals = telco.home.lake.frame(FEATURES, JANUARY)["TotalCharges"]
    assert totals.isna().sum() == 12
    assert totals.dtype == "float64"


def test_categories_without_listed_values_are_learned(telco: Platform) -> None:
    schema = {feature.name: feature for feature in bundle_of(telco).schema}
    assert sorted(schema["Contract"].categories) == ["Month-to-month", "One year", "Two year"]
    assert schema["Contract"].open
    rows = [{"Contract": name, "Monthly Charges": 50.0} for name in ("Month-to-month", "Two year", "Weekly", None)]
    monthly, biennial, weekly, unknown = bundle_of(telco).score_features(rows)
    assert monthly > biennial
    assert weekly == unknown


def test_scores_say_what_is_at_stake_only_where_a_fee_is_declared(telco: Platform, bank: Platform) -> None:
    scores = telco.home.lake.frame(CHURN_SCORES, JANUARY)
    pd.testing.assert_series_equal(
        scores["value_at_risk"], (scores["probability"] * scores["Monthly Charges"]).round(2), check_names=False
    )
    without = bank.home.lake.frame(CHURN_SCORES, JANUARY)
    told = ["reasons", "risk_change", "risk_change_customer", "risk_change_model", "model_version"]
    assert list(without) == ["CustomerId", "as_of", "probability", "decile", *told]


def test_whole_keys_are_one_text_whatever_type_a_file_has(bank: Platform) -> None:
    lake = bank.home.lake
    clients, labels = lake.frame(landed("clients"), JANUARY), lake.frame(landed("labels"), JANUARY)
    assert clients["CustomerId"].tolist() == labels["CustomerId"].tolist()
    assert clients["CustomerId"].iloc[0] == "15634602"


def test_a_file_is_read_as_it_is_declared_to_be_written(bank: Platform) -> None:
    clients = bank.home.lake.frame(landed("clients"), JANUARY)
    assert set(clients["Surname"]) == {"Meier; Söhne"}
    assert set(clients["Land"].dropna()) == {"Österreich", "Schweiz"}
    assert 0 <= clients["Balance"].min() < clients["Balance"].max() <= 5000
    assert (clients["Balance"] % 1 != 0).any()
    assert set(clients["Active"]) == {True, False}
    assert date(1990, 1, 1) <= clients["Since"].min().date() <= clients["Since"].max().date() < date(2024, 1, 1)


def test_dates_are_features_as_days_and_formulas_may_be_true_or_false(bank: Platform) -> None:
    lake = bank.home.lake
    features, clients = lake.frame(FEATURES, JANUARY), lake.frame(landed("clients"), JANUARY)
    days = (pd.Timestamp(JANUARY.as_of) - pd.to_datetime(clients["Since"])).dt.days
    assert features["days_since_Since"].tolist() == days.tolist()
    assert features["rich"].tolist() == (clients["Balance"] > 1000).tolist()
    kinds = {feature.name: feature.kind for feature in bundle_of(bank).schema}
    assert (kinds["rich"], kinds["days_since_Since"]) == ("boolean", "number")


def test_a_table_may_call_the_key_otherwise(tmp_path: Path) -> None:
    said = foreign.CALLS.replace('missing = "zero"', 'missing = "zero"\nkey = "caller id"')
    drop, contract = foreign.calls(foreign.telco(tmp_path / "drop", 60)), Contract(parse(foreign.TELCO + said, "x"))
    file = drop / "calls.csv"
    file.write_text(file.read_text().replace("customerID", "caller id"))
    judged = judge_state(Lake(tmp_path / "lake", contract).engine, drop, contract, 0.01, JANUARY.as_of)
    assert [(found.table.name, found.fault, found.total) for found in judged] == [
        ("customers", None, 60),
        ("calls", None, 30),
    ]
    assert judged[1].kept.columns == ("customerID", "Calls")


def test_two_tables_may_call_two_columns_alike(tmp_path: Path) -> None:
    said = foreign.CALLS.replace("Calls = {", 'Months = { header = "TotalCharges",')
    drop, contract = foreign.calls(foreign.telco(tmp_path / "drop", 60)), Contract(parse(foreign.TELCO + said, "x"))
    file = drop / "calls.csv"
    file.write_text(file.read_text().replace("Calls", "TotalCharges"))
    judged = judge_state(Lake(tmp_path / "lake", contract).engine, drop, contract, 0.01, JANUARY.as_of)
    assert [found.fault for found in judged] == [None, None]
    assert "TotalCharges" in judged[0].kept.columns
    assert judged[1].kept.columns == ("customerID", "Months")


@pytest.mark.parametrize("header", ['header = "Calls"', 'header_was = ["Rings", "Calls"]'])
def test_a_column_may_have_another_kind_from_a_month_on_under_its_name(tmp_path: Path, header: str) -> None:
    """Each month has the one that is declared for it, and the other is unknown there."""
    new = f'How = {{ kind = "category", since = "2024-02", {header}, meaning = "How often." }}\nCalls = {{'
    said = foreign.CALLS.replace("Calls = {", f'{new} until = "2024-01",')
    contract = Contract(parse(foreign.TELCO + said, "x"))
    for month, kind in ((JANUARY, "integer"), (FEBRUARY, "category")):
        drop = foreign.calls(foreign.telco(tmp_path / str(month), 60))
        file = drop / "calls.csv"
        calls = pd.read_csv(file)
        if month == FEBRUARY:
            calls["Calls"] = "often"
            calls.to_csv(file, index=False)
        _, found = judge_state(Lake(tmp_path / "lake", contract).engine, drop, contract, 0.01, month.as_of)
        rows = found.kept.to_pandas()
        assert found.fault is None
        assert rows["Calls"].notna().all() == (kind == "integer")
        assert rows["How"].tolist() == [None] * len(rows) if kind == "integer" else ["often"] * len(rows)


def test_serving_finds_a_customer_by_the_key(bank: Platform) -> None:
    async def found(*keys: str) -> dict[str, object]:
        reader = open_reader(bank.settings.online_store, 2)
        try:
            await reader.publication()
            return dict(await reader.get_many(keys))
        finally:
            await reader.close()

    assert asyncio.run(found("15634602", "15634602.0")).keys() == {"15634602"}


def test_labels_that_are_blank_at_first_come_with_a_later_file(telco: Platform, tmp_path: Path) -> None:
    platform = telco.copy(tmp_path)
    drop = foreign.telco(platform.settings.drops / "2024-02", labelled=False)
    assert "no labels" in done(platform, "close", "2024-02")
    assert matured(platform.home.lake) == (JANUARY,)
    assert "2024-02: " in done(platform, "close", "2024-02")
    assert status_of(platform, FEBRUARY)
    file = drop / "Telco-Customer-Churn.csv"
    file.write_text(file.read_text().replace("One year", "Two year", 1))
    assert "2024-02: " in (told := done(platform, "status"))
    assert "delivered but not taken in" not in told  # what is corrected has no label
    (drop / "Telco-Customer-Churn.csv").unlink()
    drop.rmdir()
    foreign.telco(drop)
    done(platform, "close", "2024-02")
    assert matured(platform.home.lake) == (JANUARY, FEBRUARY)


def status_of(platform: Platform, month: Month) -> bool:
    """Whether the command line shows the month."""
    return str(month) in done(platform, "status")
