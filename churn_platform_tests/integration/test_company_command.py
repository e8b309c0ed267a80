"""`churn company`: a declaration is checked, shown and helped to be written."""

from __future__ import annotations

import json
from pathlib import Path

from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform


def test_check_tells_what_follows_for_months_and_champion(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    result = platform.churn("company", "check")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "StreamFlow: the declaration is sound: 6 tables, 26 columns",
        "the closed months and the champion have the declared features",
    ]


def test_a_company_without_months_is_checked_and_shown(tmp_path: Path) -> None:
    company = tmp_path / "company.toml"
    land = "Land = { kind"
    assert land in foreign.BANK
    company.write_text(foreign.BANK.replace(land, 'Land = { was = ["Country"], since = "2024-02", kind'))
    platform = Platform(homes.settings_of(tmp_path, company=company))
    result = platform.churn("company", "check")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1:] == ["no month is closed yet: nothing follows from it so far"]
    shown = platform.churn("company", "show").output.splitlines()
    assert shown[0].split() == ["table", "column", "kind", "role", "values"]
    assert shown[1].split() == ["clients", "CustomerId", "integer", "key"]
    assert next(line for line in shown if " Land " in line).endswith("since 2024-02; was Country")
    assert [line.split()[:2] for line in shown[-3:-1]] == [["exits", "CustomerId"], ["exits", "Exited"]]
    assert shown[-1].split() == ["features", "rich", "boolean", "derived", "Balance", ">", "1000"]


def test_check_looks_at_the_headers_of_drops_that_are_not_closed(tmp_path: Path) -> None:
    company = tmp_path / "company.toml"
    company.write_text(foreign.BANK)
    platform = Platform(homes.settings_of(tmp_path, company=company))
    clients = foreign.bank(tmp_path / "drops" / "2024-01") / "clients.csv"
    assert platform.churn("company", "check").exit_code == 0
    clients.write_bytes(clients.read_bytes().replace(b"Land;Balance", "Länder;Balance".encode("cp1252"), 1))
    (clients.parent / "exits.parquet").write_bytes(b"")
    result = platform.churn("company", "check")
    assert result.exit_code == 1
    changed, unread = result.output.splitlines()[1:3]
    assert changed == (
        "2024-01 does not fit the declaration: clients.csv: table clients lacks column Land and has unknown column "
        'Länder: declare since = "2024-01" for a column that is new, until = "2023-12" for one that has ended, was = '
        '["Land"] for one that has another name now, or remove one that no earlier month had'
    )
    assert unread.startswith("2024-01 does not fit the declaration: exits.parquet: table labels cannot be read: ")


def test_a_wrong_declaration_is_one_sentence(tmp_path: Path) -> None:
    company = tmp_path / "company.toml"
    company.write_text(foreign.BANK.replace("Balance > 1000", "Balanc > 1000"))
    result = Platform(homes.settings_of(tmp_path, company=company)).churn("company", "check")
    assert result.exit_code == 1
    assert result.output == "Error: features.derived.rich: there is no column Balanc: did you mean Balance?\n"


def test_the_schema_is_json(tmp_path: Path) -> None:
    result = Platform(homes.settings_of(tmp_path)).churn("company", "schema")
    assert json.loads(result.output)["$ref"] == "#/$defs/Declaration"
