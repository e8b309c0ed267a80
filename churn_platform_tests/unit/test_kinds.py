"""Kinds: a column that has changed its kind is told, whatever its role, and what a version cannot take is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ibis
import pytest

from churn_platform.bundle import Feature, FeatureKind, misfits
from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables import delivery, origins, scoring
from churn_platform.tables.declared import of_months
from churn_platform.tables.features import ChangedColumnError, as_declared, schema
from churn_platform.tables.kinds import FEATURE_TYPES, TYPES, kind_of
from churn_platform.tables.names import FEATURES, landed

MONTH = Month(2024, 3)
CLUB = """
[company]
name = "Club"
[customer]
key = "id"
[label]
table = "gone"
column = "Gone"
involuntary = { column = "Why", values = ["moved"] }
[tables.members]
meaning = "Members."
customers = true
[tables.members.columns]
Plan = { kind = "category", role = "segment", meaning = "The plan." }
Fee = { kind = "number", was = ["Price"], meaning = "The fee." }
Visits = { kind = "integer", meaning = "Visits." }
Minutes = { kind = "integer", role = "basis", meaning = "How long." }
Note = { kind = "text", role = "ignored", meaning = "A note." }
[tables.gone]
meaning = "Who left."
[tables.gone.columns]
Gone = { kind = "boolean", role = "label", meaning = "Left." }
Why = { kind = "category", role = "ignored", values = ["moved", "unpaid"], meaning = "Why." }
"""


def contract(before: str = "", after: str = "") -> Contract:
    assert before in CLUB
    return Contract(parse(CLUB.replace(before, after) if before else CLUB, "company.toml"))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A month as it is declared. Read only."""
    lake = Lake(tmp_path_factory.mktemp("kinds"), contract())
    for table in lake.contract.tables:
        types = {column.name: TYPES[column.kind] for column in table.columns}
        rows = ibis.memtable({name: ["a"] if name == "id" else [None] for name in types}, schema=types)
        lake.write(landed(table.name), MONTH, rows)
        if table.snapshots:
            lake.write(table.snapshots, MONTH, rows)
    features = {"id": "string", "as_of": "date"} | {f.name: FEATURE_TYPES[f.kind] for f in schema(lake.contract)}
    rows = ibis.memtable({name: ["a"] if name == "id" else [None] for name in features}, schema=features)
    lake.write(FEATURES, MONTH, rows)
    origins.record(lake, MONTH)
    return lake


@pytest.mark.parametrize(
    ("before", "after", "column"),
    [
        ('Fee = { kind = "number", was = ["Price"]', 'Fee = { kind = "integer"', "Fee"),
        ('Fee = { kind = "number", was = ["Price"]', 'Cost = { kind = "integer", was = ["Fee"]', "Cost"),
        ('Visits = { kind = "integer"', 'Visits = { kind = "category"', "Visits"),
        ('Plan = { kind = "category"', 'Plan = { kind = "boolean"', "Plan"),
        ('Minutes = { kind = "integer"', 'Minutes = { kind = "boolean"', "Minutes"),
        ('Note = { kind = "text"', 'Note = { kind = "number"', "Note"),
    ],
)
def test_a_closed_month_tells_of_another_kind_whatever_the_role(
    closed: Lake, before: str, after: str, column: str
) -> None:
    found = list(of_months(Lake(closed.root, contract(before, after))))
    told = f"2024-03 has {column} of another kind than is declared now: give the column another name, or close it again"
    assert [(one.sentence, one.pressing) for one in found if one.pressing] == [(f"{told} (churn close 2024-03)", True)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ('Visits = { kind = "integer"', 'Visits = { kind = "number"'),
        ('Note = { kind = "text"', 'Note = { kind = "category"'),
    ],
)
def test_what_becomes_the_declared_kind_is_not_told(closed: Lake, before: str, after: str) -> None:
    assert [one for one in of_months(Lake(closed.root, contract(before, after))) if one.pressing] == []


def test_a_kind_that_is_stored_like_another_is_told_as_either(closed: Lake) -> None:
    said = contract('Plan = { kind = "category"', 'Plan = { kind = "boolean"')
    with pytest.raises(ChangedColumnError, match="Plan was text or category when an earlier month was closed"):
        as_declared(closed.read("members_snapshots", MONTH), said.customers)


def test_labels_of_another_kind_are_told(closed: Lake, tmp_path: Path) -> None:
    lake = Lake(tmp_path, closed.contract)
    for name in (FEATURES, "members_snapshots", landed("members")):
        lake.write(name, MONTH, closed.read(name, MONTH))
    types = {"id": "string", "Gone": "boolean", "Why": "int64"}
    lake.write(landed("labels"), MONTH, ibis.memtable({"id": ["a"], "Gone": [True], "Why": [1]}, schema=types))
    (told,) = (one.sentence for one in of_months(lake) if one.pressing)
    assert told.startswith("2024-03 has Why of another kind than is declared now: give the column another name")


def version(**kinds: FeatureKind) -> Any:
    """The bundle of a version that knows these features; it may be without Visits."""
    known = (Feature(name, kind, "", nullable=False, required=name != "Visits") for name, kind in kinds.items())
    return SimpleNamespace(schema=tuple(known))


def test_what_keeps_a_version_from_scoring() -> None:
    known = version(Plan="category", Fee="number", Visits="number").schema
    assert misfits(known, {"Plan": "category", "Fee": "number", "More": "boolean"}) == ((), ())
    assert misfits(known, {"Plan": "number", "Visits": "category"}) == (("Fee",), ("Plan", "Visits"))


def test_a_month_that_the_champion_cannot_take_is_one_sentence(closed: Lake) -> None:
    found = delivery.online_features(closed, MONTH)
    assert found == {"Fee": "number", "Price": "number", "Visits": "number"}
    scoring.refuse_unfit(MONTH, version(Price="number", Visits="number"), found)
    with pytest.raises(scoring.UnfitFeaturesError) as refused:
        scoring.refuse_unfit(MONTH, version(Price="category", Joined="number", Visits="number"), found)
    assert str(refused.value) == (
        "the champion needs Joined, which 2024-03 does not have as a feature: declare it as one, or retrain and promote"
        " a version without it; the champion knows Price as another kind than 2024-03 has: give the column another"
        " name, or retrain for 2024-03 and promote that version (churn company check)"
    )
    with pytest.raises(scoring.UnfitFeaturesError, match="knows Visits as another kind"):
        scoring.scored(closed, MONTH, version(Visits="category"))


@pytest.mark.parametrize("kind", FEATURE_TYPES)
def test_a_type_s_kind(kind: FeatureKind) -> None:
    assert kind_of(ibis.dtype(FEATURE_TYPES[kind])) == kind
