"""Proposed declarations: for files that nobody has declared, and good enough to close their month and learn from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn_platform.company.declaration import Declaration, Kind, Missing, Role
from churn_platform.company.reading import parse
from churn_platform.proposing.proposal import propose
from churn_platform.proposing.tolerances import Tolerances
from churn_platform.tables.names import CHURN_SCORES
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform

JANUARY = homes.MONTHS[0]
TOLERATED = Tolerances(broken=0.01, absent=0.05)


def proposed(drop: Path) -> str:
    return propose(sorted(drop.iterdir()), TOLERATED)


def read(text: str) -> Declaration:
    return parse(text, "company.toml")


def learned_from(platform: Platform) -> None:
    """Close the month, learn from it, and have the champion score it, by the proposal and nothing else."""
    company = platform.settings.company
    assert company is not None
    company.write_text(proposed(platform.settings.drops / "2024-01"))
    for command in ("close", "retrain", "close"):
        result = platform.churn(command, "2024-01")
        assert result.exit_code == 0, result.output
    assert platform.home.registry.champion() is not None


def platform_of(folder: Path) -> Platform:
    return Platform(homes.settings_of(folder, company=folder / "company.toml", min_training_customers=50))


def test_one_wide_table_closes_and_is_learned_from(tmp_path: Path) -> None:
    platform = platform_of(tmp_path)
    foreign.telco(platform.settings.drops / "2024-01")
    learned_from(platform)
    scores = platform.home.lake.frame(CHURN_SCORES, JANUARY)
    assert len(scores) == 600
    assert {"probability", "value_at_risk"} <= set(scores)


def test_integer_keys_decimal_commas_and_labels_of_their_own_close_and_are_learned_from(tmp_path: Path) -> None:
    platform = platform_of(tmp_path)
    foreign.bank(platform.settings.drops / "2024-01")
    learned_from(platform)
    assert len(platform.home.lake.frame(CHURN_SCORES, JANUARY)) == 600


def test_the_shipped_company_is_proposed_much_as_it_is_declared(tmp_path: Path) -> None:
    drop = homes.deliver(tmp_path, customers=homes.CUSTOMERS)
    said = read(proposed(drop))
    assert (said.customer.key, said.customer.kind) == ("user_id", "text")
    assert said.label.place == ("labels", "churn_label")
    assert said.money.fee == "monthly_fee"
    assert [name for name, table in said.tables.items() if table.customers] == ["users"]
    users, subscriptions = said.tables["users"].columns, said.tables["subscriptions"].columns
    assert (users["signup_date"].kind, users["signup_date"].role) == (Kind.DATE, Role.FEATURE)
    assert users["user_gender"].role is Role.SEGMENT
    assert subscriptions["contract_type"].values == ("Month-to-month", "One year", "Two year")
    assert subscriptions["plan_stream_tv"].nullable
    assert said.tables["usage_agg_30d"].columns["skips_7d"].kind is Kind.INTEGER


def test_the_command_prints_a_declaration_alone(tmp_path: Path) -> None:
    drop = foreign.bank(tmp_path / "2024-01")
    result = platform_of(tmp_path).churn("company", "propose", *map(str, sorted(drop.iterdir())))
    assert result.exit_code == 0, result.output
    said = read(result.stdout)
    assert (said.customer.key, said.customer.kind) == ("CustomerId", "integer")
    clients = said.tables["clients"]
    assert (clients.delimiter, clients.decimal, clients.encoding) == (";", ",", "cp1252")
    assert (clients.date_format, clients.true_values, clients.false_values) == ("%d.%m.%Y", ("ja",), ("nein",))


def test_the_command_keeps_to_the_company_s_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans, calls = tmp_path / "plans.csv", tmp_path / "calls.csv"
    plans.write_text("id,size\n" + "".join(f"c{n},{'odd' if n < 5 else n}.5\n" for n in range(100)))
    calls.write_text("id,calls\n" + "".join(f"c{n},{n % 7}\n" for n in range(80)))

    def said() -> tuple[Kind, Missing]:
        result = platform_of(tmp_path).churn("company", "propose", str(plans), str(calls))
        assert result.exit_code == 0, result.output
        tables = read(result.stdout).tables
        return tables["plans"].columns["size"].kind, tables["calls"].missing

    assert said() == (Kind.TEXT, Missing.ZERO)
    monkeypatch.setenv("CHURN_QUARANTINE_TOLERANCE", "0.05")
    monkeypatch.setenv("CHURN_ABSENCE_TOLERANCE", "0.2")
    assert said() == (Kind.NUMBER, Missing.UNKNOWN)


@pytest.mark.parametrize(("arguments", "told"), [((), "Missing argument"), (("/nowhere.csv",), "/nowhere.csv")])
def test_what_cannot_be_proposed_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    result = platform_of(tmp_path).churn("company", "propose", *arguments)
    assert result.exit_code != 0
    assert told in result.output
    assert "Traceback" not in result.output
