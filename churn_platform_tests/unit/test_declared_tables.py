"""What tables of a declaration may be called, and since when they may be there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from churn_platform.company.declaration import DeclarationError
from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform.intake.drops import files_of
from churn_platform.months import Month
from churn_platform_tests import foreign

CALLS = '[tables.calls]\nmeaning = "Who called in the month."\n'
LABEL = 'column = "Exited"\n'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('snapshots = "customers_snapshots"', "more than one has the snapshots customers_snapshots: customers, calls"),
        ('was = ["labels"]', "tables.calls: labels is what the platform calls a table of its own"),
        ('was = ["early_labels"]', "tables.calls: early_labels is what the platform calls a table of its own"),
        ('was = ["customers"]\nfile = "x"', "more than one was called customers: customers, calls"),
        ('key = "Calls"', "tables.calls: its key Calls is a column of it, too"),
        ('since = "2024-03"\nuntil = "2024-02"', "tables.calls: its `since` is after its `until`"),
    ],
)
def test_names_and_times_that_collide(said: str, told: str) -> None:
    with pytest.raises(DeclarationError, match=re.escape(told)):
        parse(foreign.TELCO + foreign.CALLS.replace(CALLS, f"{CALLS}{said}\n"), "company.toml")


def test_a_table_may_have_its_first_name_again(tmp_path: Path) -> None:
    again = foreign.CALLS.replace(CALLS, f'{CALLS}was = ["calls", "phone"]\n')
    table = Contract(parse(foreign.TELCO + again, "company.toml")).states[1]
    assert (table.name, table.snapshots) == ("calls", "calls_snapshots")
    for name in ("calls.csv", "phone.csv"):
        (file := tmp_path / name).touch()
        assert files_of(tmp_path, table) == [file]
        file.unlink()


@pytest.mark.parametrize("table", ["clients", "exits"])
def test_customers_and_labels_are_there_in_every_month(table: str) -> None:
    dated = foreign.BANK.replace(f"[tables.{table}]\n", f'[tables.{table}]\nsince = "2024-02"\n')
    with pytest.raises(DeclarationError, match=f"tables.{table}: cannot have `since` or `until`"):
        parse(dated, "company.toml")


def test_a_tables_time_is_its_columns_time() -> None:
    dated = foreign.CALLS.replace(CALLS, f'{CALLS}since = "2024-02"\nuntil = "2024-05"\n')
    dated = dated.replace("minimum = 0", 'since = "2024-03", until = "2024-09", minimum = 0')
    table = Contract(parse(foreign.TELCO + dated, "company.toml")).states[1]
    assert (str(table["Calls"].since), str(table["Calls"].until)) == ("2024-03", "2024-05")
    assert [table.at(Month(2024, month)).required for month in (1, 2, 5, 6)] == [False, True, True, False]
    assert [table.zero_in(Month(2024, month)) for month in (2, 3, 6)] == [(), ("Calls",), ()]


@pytest.mark.parametrize(
    ("values", "told"),
    [('"unpaid"', ""), ('"non-payment"', "label.involuntary: exits lists no value non-payment of Why")],
)
def test_involuntary_values_are_those_that_the_column_lists(values: str, told: str) -> None:
    why = 'Why = { kind = "category", role = "ignored", nullable = true, values = ["unpaid", "moved"], meaning = "x" }'
    text = foreign.BANK.replace(LABEL, f'{LABEL}involuntary = {{ column = "Why", values = [{values}] }}\n')
    text = text.replace("[features.derived]", f"{why}\n[features.derived]")
    if not told:
        assert parse(text, "company.toml").label.columns == ("Exited", "Why")
        return
    with pytest.raises(DeclarationError, match=told):
        parse(text, "company.toml")
