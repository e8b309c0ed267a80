"""Two tables that call a column alike: an ignored one stands for nothing."""

from __future__ import annotations

import ibis

from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform.months import Month
from churn_platform.tables.features import feature_table, snapshot

MONTH = Month(2024, 1)
DECLARATION = """
[company]
name = "Two"
[customer]
key = "id"
[tables.people]
meaning = "Who they are."
customers = true
[tables.people.columns]
Balance = { kind = "number", role = "ignored", meaning = "As it was at signup." }
Age = { kind = "integer", meaning = "Years." }
[tables.accounts]
meaning = "What they have."
[tables.accounts.columns]
Balance = { kind = "number", meaning = "What is on the account." }
"""


def test_an_ignored_column_does_not_stand_in_for_another_tables() -> None:
    contract = Contract(parse(DECLARATION, "company.toml"))
    people = ibis.memtable({"id": ["a", "b"], "Balance": [1.0, 2.0], "Age": [30, 40]})
    accounts = ibis.memtable({"id": ["a", "b"], "Balance": [100.0, 200.0]})
    snapshots = {
        table.snapshots: [snapshot(table, MONTH, rows)]
        for table, rows in zip(contract.states, (people, accounts), strict=True)
    }
    found = ibis.duckdb.connect().to_pandas(feature_table(contract, MONTH, snapshots))
    assert found["Balance"].tolist() == [100.0, 200.0]
    assert found["Age"].tolist() == [30, 40]
