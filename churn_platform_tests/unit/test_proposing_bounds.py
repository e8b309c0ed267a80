"""Proposing: what a declaration cannot hold is told of the files, in one sentence, or called otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from churn_platform.company.declaration import Declaration, DeclarationError, Role
from churn_platform.company.reading import parse
from churn_platform.faults import Fault
from churn_platform.proposing.proposal import propose
from churn_platform.proposing.tolerances import Tolerances

TOLERATED = Tolerances(broken=0.01, absent=0.05)
ROWS = 60


def csv(header: str, row: Callable[[int], str], end: str = "\n") -> str:
    return end.join([header, *(row(n) for n in range(ROWS)), ""])


PLANS = csv("id,plan", lambda n: f"c{n},{'ab'[n % 2]}")


def proposed(folder: Path, files: dict[str, str], **asked: str) -> str:
    for name, content in files.items():
        (folder / name).write_bytes(content.encode())
    return propose([folder / name for name in files], TOLERATED, **asked)


def declared(folder: Path, files: dict[str, str]) -> Declaration:
    return parse(proposed(folder, files), "company.toml")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (csv("id,same", lambda n: f"c{n},x"), "same (ignored: x in every row that has it): add a table"),
        (csv("id", lambda n: f"c{n}"), "since there are none but the key: add a table"),
        (csv("id,left", lambda n: f"c{n},{n % 2}"), "left (1 for 30 of 60 customers (50.0%)): add a table"),
    ],
)
def test_files_without_a_feature_are_told(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(Fault, match=r"^people\.csv: no column can be a feature") as caught:
        proposed(tmp_path, {"people.csv": content})
    assert told in str(caught.value)


def test_a_declaration_without_a_feature_is_refused(tmp_path: Path) -> None:
    text = proposed(tmp_path, {"people.csv": PLANS})
    ignored = text.replace('kind = "category"', 'role = "ignored", kind = "category"')
    with pytest.raises(DeclarationError, match="no column has the role `feature`, and no formula makes one"):
        parse(ignored, "company.toml")
    basis = text.replace('kind = "category", values = ["a", "b"]', 'role = "basis", kind = "integer"')
    parse(f'{basis}\n[features.derived.x]\nsql = "plan * 2"\nmeaning = "x"\n', "company.toml")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (lambda n: str(2**63 - 1 - n), "integer"),
        (lambda n: str(2**63 + n), "text"),
        (lambda n: str(10**24 + n), "text"),
        (lambda n: f"-{n + 1}", "integer"),
        (lambda n: "0" * (n == 7) + str(n), "text"),
        (lambda n: "-0" if n == 0 else str(n), "text"),
    ],
    ids=["the largest", "beyond", "25 digits", "negative", "one with a zero before", "minus zero"],
)
def test_keys_are_integers_as_far_as_databases_have_them(tmp_path: Path, key: Callable[[int], str], kind: str) -> None:
    said = declared(tmp_path, {"people.csv": csv("id,plan", lambda n: f"{key(n)},{'ab'[n % 2]}")})
    assert (said.customer.key, said.customer.kind) == ("id", kind)


def test_a_column_called_as_the_labels_to_come_is_ignored(tmp_path: Path) -> None:
    content = csv("id,Churned,plan", lambda n: f"c{n},{n % 5},{'ab'[n % 2]}")
    text = proposed(tmp_path, {"people.csv": content})
    columns = parse(text, "company.toml").tables["people"].columns
    assert [columns[name].role for name in ("Churned", "plan")] == [Role.IGNORED, Role.FEATURE]
    assert "# ignored: its name is that of labels to come: say with --label that it is the label, or rename it" in text


def test_a_file_is_not_called_as_the_platform_calls_a_table_of_its_own(tmp_path: Path) -> None:
    said = declared(tmp_path, {"early_labels.csv": PLANS})
    assert {name: table.file for name, table in said.tables.items()} == {"early_labels_table": "early_labels"}
    late = csv("id,left", lambda n: f"c{n},{n % 2}")
    said = declared(tmp_path, {"people.csv": PLANS, "early_labels.csv": late})
    assert said.label.place == ("early_labels_table", "left")


@pytest.mark.parametrize(
    ("header", "asked", "told"),
    [
        ("churned,plan", {"key": "churned"}, "customer.key has churned and label has churned: give each another name"),
        ("id,month,plan", {"label": "people.month"}, "month is a name that the platform's own tables use"),
    ],
)
def test_a_name_that_only_a_person_can_change_is_told_with_its_file(
    tmp_path: Path, header: str, asked: dict[str, str], told: str
) -> None:
    content = csv(header, lambda n: f"c{n},{'ab'[n % 2]}" if "key" in asked else f"c{n},{n % 2},{n % 7}")
    with pytest.raises(Fault, match=r"^what was proposed for people\.csv: ") as caught:
        proposed(tmp_path, {"people.csv": content}, **asked)
    assert told in str(caught.value)


def test_a_key_that_the_api_has_a_field_for_is_told_with_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(Fault) as caught:
        proposed(tmp_path, {"people.csv": csv("features,plan", lambda n: f"c{n},{'ab'[n % 2]}")}, key="features")
    assert str(caught.value).endswith(
        "give it another name in all files, or write the declaration with another name, and "
        '`key = "features"` in each table'
    )


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_lines_may_end_in_any_way(tmp_path: Path, end: str, delimiter: str) -> None:
    content = csv("id,plan", lambda n: f"c{n},{'ab'[n % 2]}", end).replace(",", delimiter)
    said = declared(tmp_path, {"people.csv": content})
    assert said.tables["people"].columns["plan"].values == ("a", "b")
    assert said.tables["people"].delimiter == delimiter
