"""A small club: a month that was closed by its declaration, or by one that is changed a little."""

from __future__ import annotations

from pathlib import Path

import ibis

from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform.intake import deliveries
from churn_platform.intake.meaning import meaning
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables import origins
from churn_platform.tables.features import schema
from churn_platform.tables.kinds import FEATURE_TYPES
from churn_platform.tables.names import FEATURES, landed

MONTH = Month(2024, 3)
FORMULA = "Visits / nullif(Fee, 0)"
CLUB = """
[company]
name = "Club"
[customer]
key = "id"
[tables.members]
meaning = "Members."
customers = true
[tables.members.columns]
Fee = { kind = "number", meaning = "The fee." }
[tables.visits]
meaning = "Who came."
missing = "zero"
[tables.visits.columns]
Visits = { kind = "integer", was = ["Entries"], meaning = "Visits." }
Minutes = { kind = "integer", role = "basis", meaning = "How long." }
[features.history]
columns = ["Visits"]
[features.derived]
each = { sql = "Visits / nullif(Fee, 0)", meaning = "For each visit." }
"""


def contract(*changes: tuple[str, str]) -> Contract:
    """The club's declaration with each first text replaced by the second."""
    text = CLUB
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return Contract(parse(text, "company.toml"))


def closed(folder: Path, said: Contract, month: Month = MONTH, first: Month | None = None) -> Lake:
    """A month's features as they are made by this declaration, and its labels."""
    lake = Lake(folder, said)
    types = {feature.name: FEATURE_TYPES[feature.kind] for feature in schema(said)}
    rows = {"id": ["a", "b"], "as_of": [month.as_of] * 2, **{name: [1.0, None] for name in types}}
    first = first or month - 2
    built_from = [(name, first + n) for name in said.snapshots for n in range(month.since(first) + 1)]
    lake.write(FEATURES, month, ibis.memtable(rows, schema={"id": "string", "as_of": "date", **types}), built_from)
    for table in said.states:
        values = {column.name: [1.0, None] for column in table.columns[1:]}
        lake.write(landed(table.name), month, ibis.memtable({"id": ["a", "b"], **values}))
    labels = {"id": ["a", "b"], said.label: [True, False]}
    lake.write(landed("labels"), month, ibis.memtable(labels))
    origins.record(lake, month)
    return lake


def taken_in(lake: Lake) -> None:
    """The record of what the month's files were taken to mean."""
    said = lake.contract
    for record, tables in ((deliveries.STATE, said.states), (deliveries.LATER, (said.labels,))):
        deliveries.take(lake, MONTH, record, "content", [table.name for table in tables], [], meaning(said, tables))
