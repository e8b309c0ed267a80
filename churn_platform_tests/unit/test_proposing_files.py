"""Proposing: files of any names, written in any way, hostile ones among them, and those that fit nothing."""

from __future__ import annotations

import gzip
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_platform.company.declaration import Declaration, Kind, Role
from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform.faults import Fault
from churn_platform.intake.names import is_file_of
from churn_platform.proposing import toml
from churn_platform.proposing.file_names import table_name
from churn_platform.proposing.proposal import propose
from churn_platform.proposing.tolerances import Tolerances
from churn_platform_tests.hostile_values import HOSTILE, dangers

TOLERATED = Tolerances(broken=0.01, absent=0.05)
ROWS = 60
SMALL = "id,plan\n" + "".join(f"c{n},{'ab'[n % 2]}\n" for n in range(ROWS))


def declared(path: Path, content: str | bytes) -> Declaration:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return parse(propose([path], TOLERATED), "company.toml")


def refused(folder: Path, files: dict[str, str | bytes], **asked: str) -> str:
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(Fault) as caught:
        propose([folder / name for name in files], TOLERATED, **asked)
    return str(caught.value)


@pytest.mark.parametrize(
    ("stem", "table", "file"),
    [
        ("users", "users", None),
        ("Customer Export 2024-01", "customer_export", "Customer Export *"),
        ("members_202401", "members", "members_*"),
        ("31.01.2024 Kunden", "kunden", "* Kunden"),
        ("usage_30d", "usage_30d", None),
        ("month_001", "month", "month*"),
        ("Übersicht", "ubersicht", "Übersicht"),
        ("2fast", "t_2fast", "2fast"),
        ("2024-01", "customers", "20*"),
        ("202401_", "customers", "20*_"),
        ("31.01.2024", "customers", "*20*"),
        ("labels", "labels_table", "labels"),
        ("x" * 60, "x" * 40, "x" * 60),
    ],
)
def test_a_table_is_named_after_its_file(tmp_path: Path, stem: str, table: str, file: str | None) -> None:
    said = declared(tmp_path / f"{stem}.csv", SMALL)
    assert {name: found.file for name, found in said.tables.items()} == {table: file}


def test_a_pattern_that_means_another_file_too_stays_a_name(tmp_path: Path) -> None:
    for name in ("users_2024-01.csv", "users_plans_2024-01.csv"):
        (tmp_path / name).write_text(SMALL.replace("plan", name[:9]))
    said = parse(propose(sorted(tmp_path.iterdir()), TOLERATED), "company.toml")
    assert [table.file for table in said.tables.values()] == ["users_2024-01", "users_plans_*"]
    assert table_name("users_2024-01") == "users"


def test_a_file_that_is_called_by_its_month_is_told_from_the_labels_that_come_later(tmp_path: Path) -> None:
    said = declared(tmp_path / "2024-01.csv", SMALL)
    assert "or deliver" in propose([tmp_path / "2024-01.csv"], TOLERATED)
    users, labels = Contract(said).tables
    assert is_file_of("2024-02.csv", users)
    assert [is_file_of("labels.csv", table) for table in (users, labels)] == [False, True]


def test_two_tables_never_get_one_name(tmp_path: Path) -> None:
    names = ("labels", "labels_table", "labels_table2")
    for name in names:
        (tmp_path / f"{name}.csv").write_text(SMALL.replace("plan", f"{name} plan"))
    said = parse(propose([tmp_path / f"{name}.csv" for name in names], TOLERATED), "company.toml")
    assert {name: table.file for name, table in said.tables.items()} == {
        "labels_table3": "labels",
        "labels_table": None,
        "labels_table2": None,
    }


GERMAN = "Kunde;Beitrag;Seit;Ort\n" + "".join(
    f"{7000 + n};{n},50;{n % 28 + 1:02d}.03.2020;{'Köln' if n % 2 else 'Wien'}\n" for n in range(ROWS)
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_a_file_may_be_written_in_any_way(tmp_path: Path, encoding: str) -> None:
    said = declared(tmp_path / "kunden.csv", GERMAN.encode(encoding))
    table = said.tables["kunden"]
    assert (said.customer.key, said.customer.kind) == ("Kunde", "integer")
    assert (table.delimiter, table.decimal, table.date_format) == (";", ",", "%d.%m.%Y")
    assert table.encoding == ("cp1252" if encoding == "cp1252" else "utf-8")
    assert [column.kind for column in table.columns.values()] == [Kind.NUMBER, Kind.DATE, Kind.CATEGORY]
    assert table.columns["Ort"].values == ("Köln", "Wien")


@pytest.mark.parametrize("delimiter", ["\t", "|"])
def test_other_delimiters_and_compressed_files(tmp_path: Path, delimiter: str) -> None:
    data = gzip.compress(SMALL.replace(",", delimiter).encode())
    said = declared(tmp_path / "users.csv.gz", data)
    assert said.tables["users"].delimiter == delimiter


def test_parquet_has_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": np.arange(ROWS) + 100,
            "since": pd.to_datetime(["2020-01-02", "2021-03-04"] * (ROWS // 2)),
            "on": [True, False] * (ROWS // 2),
            "left": [0.0, 1.0, 1.0, 0.0] * (ROWS // 4),
        }
    )
    frame.to_parquet(tmp_path / "users.parquet")
    said = parse(propose([tmp_path / "users.parquet"], TOLERATED), "company.toml")
    kinds = [column.kind for column in said.tables["users"].columns.values()]
    assert kinds == [Kind.DATE, Kind.BOOLEAN, Kind.BOOLEAN]
    assert said.label.column == "left"


def test_whole_keys_written_as_numbers_with_a_point_are_integers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,plan\n" + "".join(f"{n}.0,{'ab'[n % 2]}\n" for n in range(ROWS)))
    (tmp_path / "b.csv").write_text("id,size\n" + "".join(f"{n},{n % 7}\n" for n in range(ROWS)))
    said = parse(propose([tmp_path / "a.csv", tmp_path / "b.csv"], TOLERATED), "company.toml")
    assert (said.customer.key, said.customer.kind) == ("id", "integer")
    zeros = declared(tmp_path / "c.csv", "id,plan\n" + "".join(f"{n:05d},{'ab'[n % 2]}\n" for n in range(ROWS)))
    assert zeros.customer.kind == "text"


DOUBLED = "customer_id,kind\n" + "".join(f"c{n // 3},{'ab'[n % 2]}\n" for n in range(ROWS))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.csv": ""}, "a.csv is empty"),
        ({"a.csv": "id,plan\n"}, "a.csv has a header but no rows"),
        ({"a.csv": SMALL.partition("\n")[2]}, "a.csv has no header: its first line is a row, with c0"),
        ({"a.csv": SMALL + "c,a,b\nd,a,b\n"}, "a.csv has 2 lines that cannot be read, first line 62: Expected"),
        ({"a.txt": SMALL}, "its name has to end with .csv"),
        ({"a.csv": b"PK\x03\x04rest"}, "is an Excel or zip file: save it as CSV"),
        ({"a.parquet": b"PAR1 not quite"}, "a.parquet"),
        ({"a.csv.gz": SMALL}, "a.csv.gz"),
        ({"a.csv": "a\x81b,\xff\n".encode("latin-1")}, "neither UTF-8 nor cp1252"),
        ({"a.csv": SMALL.replace("id,", ",")}, "has no name for column 1"),
        ({"a.csv": SMALL.replace("plan", "ID")}, "more than one column id"),
        ({"a.csv": SMALL.replace("plan", "<b>")}, "a column '\\x3cb\\x3e', which cannot be declared"),
        ({"a.csv": SMALL.replace("plan", "as_of")}, "a.csv has a column as_of, as the platform's own tables do"),
        ({"a.csv": DOUBLED}, "a.csv has several rows for one customer: 60 rows for 20 values of customer_id"),
        ({"a.csv": DOUBLED}, "GROUP BY"),
        ({"a.csv": SMALL, "b.csv": "x,y\n1,2\n2,3\n"}, "no column is in all files, and each has to have"),
        (
            {"a.csv": SMALL, "b.csv": SMALL.replace("id", "no")},
            "no column is in all files that is different in each row",
        ),
        ({"a.csv": "x,y\n" + "".join(f"{n % 9},{n % 7}\n" for n in range(ROWS))}, "--key COLUMN"),
        ({"a.csv": "x,y\n" + "".join(f"p{n},q{n}\n" for n in range(ROWS))}, "x, y could each be the customer's key"),
        ({"a_2024-01.csv": SMALL, "a_2024-02.csv": SMALL}, "would both be the table a"),
        ({"a.csv": SMALL, "b.csv": SMALL.replace("c1", "d1").replace("plan", "other")}, "customers whom"),
    ],
)
def test_what_cannot_be_proposed_is_told_with_its_file(
    tmp_path: Path, files: dict[str, str | bytes], told: str
) -> None:
    assert told in refused(tmp_path, files)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"key": "number"}, "a.csv has no column number"),
        ({"key": "plan"}, "several rows for one customer"),
        ({"label": "a.gone"}, "there is no column a.gone (--label TABLE.COLUMN): the tables are a (a.csv)"),
        ({"label": "a.plan"}, "plan cannot be the label"),
    ],
)
def test_a_wrong_wish_is_told(tmp_path: Path, asked: dict[str, str], told: str) -> None:
    assert told in refused(tmp_path, {"a.csv": SMALL}, **asked)


def test_repeated_keys_that_intake_bears_are_no_hindrance(tmp_path: Path) -> None:
    rows = [f"c{n},{'ab'[n % 2]}" for n in range(1000)]
    said = declared(tmp_path / "a.csv", "\n".join(["customer_id,plan", *rows, rows[0], ",a"]))
    assert said.customer.key == "customer_id"


def test_a_folder_of_parts_is_read_as_one_file(tmp_path: Path) -> None:
    plans = ["a"] * 20 + ["Käse", "b"] * 20
    whole = pd.DataFrame({"id": [f"c{n}" for n in range(ROWS)], "plan": plans, "n": range(ROWS)})
    one, folder, spark = (tmp_path / name / "2024-01" for name in ("one", "folder", "spark"))
    for made in (one, folder / "people.csv", spark / "people.parquet"):
        made.mkdir(parents=True)
    whole.to_csv(one / "people.csv", index=False, sep=";", encoding="cp1252")
    (folder / "people.csv" / "_SUCCESS").touch()
    (folder / "people.csv" / "part-0.csv").touch()  # had no row to write
    whole[:20].to_csv(folder / "people.csv" / "part-1.csv", index=False, sep=";")
    rest = whole[20:][["n", "plan", "id"]]
    rest.to_csv(folder / "people.csv" / "part-2.csv.gz", index=False, sep=";", encoding="cp1252")
    for n in range(3):
        whole[n::3].to_parquet(spark / "people.parquet" / f"part-{n}.snappy.parquet")

    said, parts, parquet = (
        parse(propose([path], TOLERATED), "company.toml")
        for path in (one / "people.csv", folder / "people.csv", spark / "people.parquet")
    )
    assert said.tables["people"].delimiter == ";"
    assert parts == said
    assert parquet.tables["people"].columns.keys() == said.tables["people"].columns.keys()
    assert set(parquet.tables["people"].columns["plan"].values) == {"a", "Käse", "b"}


def refused_path(path: Path) -> str:
    with pytest.raises(Fault) as caught:
        propose([path], TOLERATED)
    return str(caught.value)


def test_a_folder_that_is_no_table_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "people.csv"
    folder.mkdir()
    assert "is no file, nor a folder of parts" in refused_path(folder)
    (folder / "part-0.csv").write_text(SMALL)
    (folder / "part-1.csv").write_text(SMALL.replace("plan", "plam"))
    assert "people.csv/part-1.csv: table people" in refused_path(folder)
    (folder / "part-1.csv").write_text("id,plan\nx\ny\nz\n")
    assert "3 lines that cannot be read, first line 2 of part-1.csv" in refused_path(folder)
    (folder / "_temporary").mkdir()
    assert "is still being written" in refused_path(folder)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("c1,a\nc2,a\n", "a.csv has several rows for one customer"),
        (",a\n,b\n", "customer_id is blank in 2 rows"),
        ("c,a,b\nd,a,b\n", "a.csv has 2 lines that cannot be read"),
    ],
)
def test_what_a_file_has_too_much_of_is_for_the_company_to_say(tmp_path: Path, more: str, told: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(SMALL.replace("id", "customer_id", 1) + more)
    with pytest.raises(Fault, match=told):
        propose([path], TOLERATED)
    assert parse(propose([path], Tolerances(broken=0.07, absent=0.05)), "company.toml").customer.key == "customer_id"


NAMES = (
    'a"b',
    "a]b",
    "a\\b",
    "a\nb",
    'x = 1\n[company]\nname = "y"',
    "a'b",
    "a#b",
    "a.b",
    "1=2",
    "Ü &",
    "a\x7fb",
    "=a",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_refused_or_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    pd.DataFrame({"id": [f"c{n}" for n in range(ROWS)], name: ["a", "b"] * (ROWS // 2)}).to_csv(path, index=False)
    try:
        text = propose([path], TOLERATED)
    except Fault as fault:
        assert "cannot be declared" in str(fault)
    else:
        assert list(parse(text, "company.toml").tables["a"].columns) == [name]


@pytest.mark.parametrize("value", [*HOSTILE, '"]\n[company] name = "stolen"', "'''", "\\u0041", "# x"])
def test_hostile_values_and_file_names_are_text(tmp_path: Path, value: str) -> None:
    stem = "".join(letter for letter in value[:50] if letter.isprintable() and letter not in "/\\").lstrip(".") or "x"
    path = tmp_path / f"{stem}.csv"
    values = [value, "plain", "other"] * (ROWS // 3)
    frame = pd.DataFrame(
        {"id": [f"c{n}" for n in range(ROWS)], "plan": values, "same": [value] * ROWS, "n": np.arange(ROWS) % 7}
    )
    frame.to_csv(path, index=False)
    text = propose([path], TOLERATED)
    assert not dangers(text.replace(value, ""), markup=False)
    said = parse(text, "company.toml")
    assert said.company.name == "My company"
    (table,) = said.tables.values()
    assert table.columns["same"].role is Role.IGNORED
    if len(value) < 60 and "\0" not in value:
        assert set(table.columns["plan"].values) == {value, "plain", "other"}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_every_text_comes_back(text: str) -> None:
    assert tomllib.loads(f"{toml.key(text)} = {toml.value((text, 'b'))}") == {text: [text, "b"]}
    assert toml.text(text).isprintable()
