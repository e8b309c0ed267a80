"""Origins: a formula, a column or a table that was changed under its name is known in the months that were closed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import Mock

import dagster as dg
import ibis
import pandas as pd
import pytest

from churn_platform.assets import snapshots
from churn_platform.company.alike import alike
from churn_platform.home import Home
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables import declared, lineage, origins
from churn_platform.tables.declared import of_months, of_version
from churn_platform.tables.features import schema
from churn_platform.tables.names import FEATURES, ORIGINS, TRAINING_ROWS, landed
from churn_platform.tables.training_set import (
    NotTrainableError,
    TrainingSet,
    is_current,
    sources,
    training_rows,
)
from churn_platform_tests.club_months import FORMULA, MONTH, closed, contract
from churn_platform_tests.streamflow import STREAMFLOW

DERIVED = f'[features.derived]\neach = {{ sql = "{FORMULA}", meaning = "For each visit." }}\n'
ZERO = 'missing = "zero"\n'


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ([(FORMULA, "Visits * Fee")], ["each"]),
        ([(FORMULA, "Visits / nullif(Fee, 1)")], ["each"]),
        ([(FORMULA, "Minutes / nullif(Fee, 0)")], ["each"]),
        ([(ZERO, "")], ["Visits", "Minutes"]),
        ([(ZERO, f'{ZERO}until = "2024-02"\n')], ["Visits", "Minutes"]),
        ([("Fee = {", 'Fee = { until = "2024-02",')], ["Fee"]),
        ([("Fee = {", 'Fee = { since = "2024-04",')], ["Fee"]),
        ([("[tables.visits", "[tables.turnstile")], ["Visits", "Minutes"]),
        ([("customers = true\n", ""), (ZERO, f"{ZERO}customers = true\n")], ["its customers"]),
        ([('Fee = { kind = "number"', 'Fee = { kind = "category"'), (DERIVED, "")], ["Fee"]),
    ],
)
def test_what_is_made_otherwise_is_known(tmp_path: Path, changes: list[tuple[str, str]], names: list[str]) -> None:
    closed(tmp_path, contract())
    lake = Lake(tmp_path, contract(*changes))
    assert origins.made_otherwise(lake, MONTH) == names
    (told,) = (found.sentence for found in of_months(lake) if "made otherwise" in found.sentence and found.pressing)
    what = f"2024-03 has {', '.join(names)}, made otherwise than is declared now, so no version is trained on it"
    assert told == f"{what}: close it again (churn close 2024-03)"
    with pytest.raises(NotTrainableError, match=r"made otherwise than is declared now: close 2024-03 again"):
        training_rows(lake, [MONTH])


@pytest.mark.parametrize(("delivered", "names"), [(True, ["Fee", "Minutes"]), (False, [])])
def test_a_column_that_the_month_did_not_deliver_was_unknown_whatever_its_record_says(
    tmp_path: Path, delivered: bool, names: list[str]
) -> None:
    until = [(f"{name} = {{", f'{name} = {{ until = "2024-02",') for name in ("Fee", "Minutes")]
    lake = closed(tmp_path, contract(*until))
    record = lake.document(ORIGINS, MONTH, dict[str, str])
    assert record is not None
    assert origins.made_otherwise(lake, MONTH) == []
    earlier = {name: origin.replace(" unknown", "") for name, origin in record.items()}
    assert earlier != record
    lake.write_document(ORIGINS, MONTH, earlier)
    if not delivered:
        for table in lake.contract.states:
            rows = lake.frame(landed(table.name), MONTH)
            blank = {name: pd.Series([None] * len(rows), dtype="float64") for name in ("Fee", "Minutes")}
            kept = {name: values for name, values in blank.items() if name in rows}
            lake.write(landed(table.name), MONTH, ibis.memtable(rows.assign(**kept)))
    assert origins.made_otherwise(lake, MONTH) == names


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            FORMULA,
            "Visits * Fee",
            "2024-03 and 2024-04 have each, made otherwise than is declared now, so no version is trained on them:"
            " close them again (churn close --all)",
        ),
        (
            'Fee = { kind = "number"',
            'Age = { kind = "integer", meaning = "Years." }\nFee = { kind = "number"',
            "2024-03 and 2024-04 lack Age, so no version is trained on them: close them again (churn close --all)",
        ),
        (
            "[tables.members]",
            '[label]\ntable = "labels"\ncolumn = "churned"\ninvoluntary = { column = "reason", values = ["unpaid"] }\n'
            '[tables.labels]\nmeaning = "Who left."\n[tables.labels.columns]\n'
            'churned = { kind = "boolean", role = "label", meaning = "Left." }\n'
            'reason = { kind = "category", role = "ignored", meaning = "Why." }\n[tables.members]',
            "the labels of 2024-03 and 2024-04 lack reason, so no version is trained on them:"
            " close them again (churn close --all)",
        ),
        (
            "[features.history]",
            '[tables.calls]\nmeaning = "Calls."\n[tables.calls.columns]\n'
            'Calls = { kind = "integer", role = "ignored", meaning = "Calls." }\n[features.history]',
            "2024-03 and 2024-04 were closed without calls: declare `since`, `was` if the table had another name"
            " (all that it had, the first one first), or put its file into the drops and close the months again",
        ),
        (
            'key = "id"',
            'key = "member"',
            "2024-03 and 2024-04 were closed by another key than member: declare the old key, or start with an empty"
            " CHURN_HOME",
        ),
    ],
)
def test_months_of_which_the_same_is_to_be_said_are_in_one_sentence(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    for month in (MONTH, MONTH + 1):
        closed(tmp_path, contract(), month)
    assert [found.sentence for found in of_months(Lake(tmp_path, contract((before, after)))) if found.pressing] == [
        told
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (FORMULA, '( Visits )/NULLIF( \\"Fee\\",0 ) -- each'),
        ('Visits = { kind = "integer"', 'Visits = { kind = "number"'),
        ('Visits = { kind = "integer"', 'Visits = { kind = "integer", since = "2024-01", minimum = 0'),
        ('meaning = "The fee."', 'nullable = true, meaning = "What is paid."'),
        ('"Visits."', '"Visits in the month."'),
    ],
)
def test_what_changes_no_value_is_no_change(tmp_path: Path, before: str, after: str) -> None:
    closed(tmp_path, contract())
    lake = Lake(tmp_path, contract((before, after)))
    assert origins.made_otherwise(lake, MONTH) == []
    training_rows(lake, [MONTH])


def test_what_was_gathered_by_another_declaration_is_not_current(tmp_path: Path) -> None:
    lake = closed(tmp_path, contract())
    written = lake.write_addressed(TRAINING_ROWS, rows := training_rows(lake, [MONTH]))
    months = sources(lake, [MONTH], rows.to_pandas())
    gathered = TrainingSet(str(MONTH), written.sha256, written.rows, written.rows, 1, months)
    fee = 'Fee = { kind = "number", meaning = "The fee." }\n'
    new = (fee, fee + 'Age = { kind = "integer", since = "2024-04", meaning = "New." }\n')
    for changes, current in (
        ([], True),
        ([(FORMULA, "Visits/NULLIF(Fee, 0)")], True),
        ([new], False),
        ([(DERIVED, "")], False),
    ):
        assert is_current(Lake(tmp_path, contract(*changes)), MONTH, gathered) == current, changes
    with pytest.raises(NotTrainableError, match="have each, made otherwise than is declared now: close 2024-03 again"):
        is_current(Lake(tmp_path, contract((FORMULA, "Visits * Fee"))), MONTH, gathered)


def test_months_before_the_first_one_make_no_difference(tmp_path: Path) -> None:
    closed(tmp_path, contract(), first=MONTH)
    since = contract((ZERO, f'{ZERO}since = "2024-03"\n'))
    assert origins.made_otherwise(Lake(tmp_path, since), MONTH) == []


def test_a_close_that_does_not_end_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the declaration was then, and is now: it may be what the older features were made by."""
    lake = closed(tmp_path, contract())
    assert not origins.unfinished(lake, MONTH)
    home = cast(Home, SimpleNamespace(lake=lake, contract=lake.contract, settings=SimpleNamespace(first=MONTH)))
    with dg.build_asset_context(partition_key=str(MONTH)) as context, monkeypatch.context() as patched:
        patched.setattr(lineage, "window", lambda *_: [])
        patched.setattr(snapshots, "feature_table", lambda *_: lake.read(FEATURES, MONTH))
        patched.setattr(origins, "record", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            snapshots.features(context, home)
    told = "a close of 2024-03 did not come to its end"
    assert f"{told}, so no version is trained on it: close it again (churn close 2024-03)" in [
        found.sentence for found in of_months(lake) if found.pressing
    ]
    assert lineage.is_stale(lake, MONTH, MONTH)
    with pytest.raises(NotTrainableError, match=told):
        training_rows(lake, [MONTH])


def test_a_renamed_column_is_the_same_in_a_formula(tmp_path: Path) -> None:
    then = contract(('Visits = { kind = "integer", was = ["Entries"]', 'Entries = { kind = "integer"'),
                    ("Visits / ", "Entries__1m_ago / "), ('columns = ["Visits"]', 'columns = ["Entries"]'))  # fmt: skip
    closed(tmp_path, then)
    now = contract(("Visits / ", "Visits__1m_ago / "))
    assert origins.made_otherwise(Lake(tmp_path, now), MONTH) == []
    assert origins.made_otherwise(Lake(tmp_path, contract(("Visits / ", "Visits__2m_ago / "))), MONTH) == ["each"]


def test_a_formula_that_cannot_be_read_any_more_says_something_else() -> None:
    assert not alike("Gone / 2", FORMULA, contract().declaration)
    assert not alike("Visits /", FORMULA, contract().declaration)


def test_a_formula_may_grow_beyond_the_longest_when_it_is_compared() -> None:
    said = contract().declaration
    terms = ["Visits::double"] * 110
    assert alike(" + ".join(terms), "+".join(terms), said)
    assert not alike(" + ".join(terms), "+".join(terms[1:]), said)


def test_a_month_that_is_closed_again_is_as_declared(tmp_path: Path) -> None:
    closed(tmp_path, contract())
    now = contract((FORMULA, "Visits * Fee"))
    assert origins.made_otherwise(closed(tmp_path, now), MONTH) == []


def test_a_month_without_a_record_was_made_by_the_formulas_that_are_shipped(tmp_path: Path) -> None:
    name, said = next(iter(STREAMFLOW.declaration.features.derived.items()))
    closed(tmp_path, contract())
    Lake(tmp_path, contract()).remove(ORIGINS, MONTH)
    assert origins.made_otherwise(Lake(tmp_path, contract((FORMULA, "Visits * Fee"))), MONTH) == []
    edited = contract(("each =", f"{name} ="))
    assert said.sql != FORMULA
    assert origins.made_otherwise(Lake(tmp_path, edited), MONTH) == [name]


def test_a_version_that_has_learned_another_formula_is_told(tmp_path: Path) -> None:
    lake = closed(tmp_path, contract())
    learned = schema(contract())
    now = Lake(lake.root, contract((FORMULA, "Visits * Fee")))
    told = "the champion, version 3, has learned each by another formula than the one that it is given"
    assert [found.sentence.partition(":")[0] for found in of_version(now, 3, MONTH, learned) if found.pressing] == [
        told
    ]
    assert list(of_version(lake, 3, MONTH, learned)) == []


def test_formulas_are_read_only_where_a_column_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, read = closed(tmp_path, contract()), list[str]()

    def columns_of(sql: str) -> frozenset[str]:
        read.append(sql)
        return frozenset()

    monkeypatch.setattr(declared, "columns_of", columns_of)
    assert list(of_version(lake, 3, MONTH, schema(contract()))) == []
    assert read == []
    ends = Lake(lake.root, contract(("Fee = {", 'Fee = { until = "2024-03",')))
    assert len(list(of_version(ends, 3, MONTH, schema(contract())))) == 1
    assert FORMULA in read


@pytest.mark.parametrize(
    ("ending", "trained", "told"),
    [
        ("Visits", MONTH, "Visits ends with 2024-03: the champion, version 3, goes on with it unknown after that"),
        ("Minutes", MONTH, "Minutes ends with 2024-03: the champion, version 3, goes on with it unknown after that"),
        ("Fee", MONTH, "Fee ends with 2024-03: the champion, version 3, goes on with it unknown after that"),
        ("Fee", MONTH + 1, None),
    ],
)
def test_a_champion_is_told_of_a_column_s_end(tmp_path: Path, ending: str, trained: Month, told: str | None) -> None:
    before = contract((FORMULA, "Minutes / nullif(Fee, 0)"))
    lake = closed(tmp_path, before)
    after = contract((FORMULA, "Minutes / nullif(Fee, 0)"), (f"{ending} = {{", f'{ending} = {{ until = "2024-03",'))
    found = list(of_version(Lake(lake.root, after), 3, trained, schema(before)))
    assert [consequence.sentence.partition(", until")[0] for consequence in found] == ([told] if told else [])
    assert list(of_version(lake, 3, trained, schema(before))) == []
