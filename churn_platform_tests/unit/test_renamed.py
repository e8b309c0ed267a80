"""Features whose columns were renamed: by whichever of their names a month or a version knows them."""

from __future__ import annotations

from pathlib import Path

import ibis
import pytest

from churn_platform.bundle import Value
from churn_platform.company import past
from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables.declared import of_months, of_version
from churn_platform.tables.delivery import online_features, online_rows
from churn_platform.tables.features import schema
from churn_platform.tables.names import FEATURES, landed
from serving.scoring import as_learned, by_present_names, field_problems

MONTH = Month(2024, 1)
BEFORE = """
[company]
name = "Gym"
[customer]
key = "id"
[tables.members]
meaning = "The members."
customers = true
[tables.members.columns]
Visits = { kind = "integer", meaning = "Visits." }
Joined = { kind = "date", meaning = "The first day." }
[features.history]
columns = ["Visits"]
"""
AFTER = (
    BEFORE.replace('Visits = { kind = "integer",', 'Entries = { kind = "integer", was = ["Visits", "Comings"],')
    .replace('Joined = { kind = "date",', 'Start = { kind = "date", was = ["Joined"],')
    .replace('columns = ["Visits"]', 'columns = ["Entries"]')
)
OLD, NEW = (Contract(parse(text, "company.toml")) for text in (BEFORE, AFTER))


@pytest.fixture
def closed(tmp_path: Path) -> Lake:
    """A month's features as they were made before the columns were renamed, read by the present declaration."""
    names = [feature.name for feature in schema(OLD)]
    rows = {"id": ["a", "b"], "as_of": [MONTH.as_of] * 2, **{name: [1.0, None] for name in names}}
    lake = Lake(tmp_path, OLD)
    for name in (landed("members"), FEATURES):
        lake.write(name, MONTH, ibis.memtable(rows))
    return Lake(tmp_path, NEW)


def test_every_feature_of_a_renamed_column_has_a_former_name() -> None:
    assert NEW.former == {
        "Visits": "Entries",
        "Comings": "Entries",
        "Visits_change_1m": "Entries_change_1m",
        "Comings_change_1m": "Entries_change_1m",
        "Visits_ratio_2m": "Entries_ratio_2m",
        "Comings_ratio_2m": "Entries_ratio_2m",
        "days_since_Joined": "days_since_Start",
    }


@pytest.mark.parametrize(
    ("feature", "known", "called"),
    [
        ("Entries", ["Entries", "Visits"], "Entries"),
        ("Entries", ["Visits"], "Visits"),
        ("Visits", ["Entries"], "Entries"),
        ("Visits", ["Comings"], "Comings"),
        ("Visits", ["Other"], "Visits"),
        ("Other", ["Entries"], "Other"),
    ],
)
def test_a_feature_is_found_by_any_of_its_names(feature: str, known: list[str], called: str) -> None:
    assert past.called(NEW.former, feature, known) == called


def test_nothing_follows_from_a_rename(closed: Lake) -> None:
    assert [*of_months(closed), *of_version(closed, 1, MONTH, schema(OLD))] == []


def test_serving_finds_a_renamed_feature_by_both_names(closed: Lake) -> None:
    names, rows = online_features(closed, MONTH), dict(online_rows(closed, MONTH))
    known = dict(zip(names, rows["a"], strict=True))
    assert {feature.name for feature in (*schema(OLD), *schema(NEW))} <= known.keys()
    assert set(known.values()) == {1.0}
    assert set(rows["b"]) == {None}


def test_a_what_if_may_call_a_feature_by_any_of_its_names() -> None:
    for learned in (OLD, NEW):
        wanted = "Visits" if learned is OLD else "Entries"
        for given in ("Visits", "Comings", "Entries"):
            assert as_learned(schema(learned), {given: 3.0, "Other": 1.0}, NEW) == {wanted: 3.0, "Other": 1.0}
    twice: dict[str, Value] = {"Visits": 1.0, "Entries": 2.0}
    assert as_learned(schema(NEW), twice, NEW) == twice  # one of them is refused
    problems = field_problems(schema(NEW), twice | {"Entries_change_1": 1.0}, NEW)
    told = {problem.field: problem.message for problem in problems}
    assert told["features.Visits"].startswith("the champion has no such feature: it has Entries, ")
    assert told["features.Entries_change_1"] == (
        "the champion has no such feature: did you mean Entries_change_1m? /model names all"
    )


def test_stored_features_are_shown_by_their_present_names() -> None:
    stored: dict[str, Value] = {"Entries": 3.0, "days_since_Start": 9.0, "Visits": 3.0, "days_since_Joined": 9.0}
    assert by_present_names(stored, NEW) == {"Entries": 3.0, "days_since_Start": 9.0}
    published_before: dict[str, Value] = {"Visits": 3.0}
    assert by_present_names(published_before, NEW) == published_before
