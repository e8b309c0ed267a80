"""Mistaken files: a short sentence says what a file is instead of the table that its name says."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn_platform.intake.drops import DropError
from churn_platform.intake.parsing import parse
from churn_platform.intake.reading import read_header
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform_tests.streamflow import PAYMENTS, STREAMFLOW, SUBSCRIPTIONS

HEADER = "user_id,failed_payments_90d"
ROW = "0001-AAAAA,1"
TABLE = f"{HEADER}\n{ROW}\n"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Lake(tmp_path_factory.mktemp("lake"), STREAMFLOW).engine


def told(engine: Any, path: Path, content: str | bytes) -> str:
    """What is said of the file after its name and "table ..."."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DropError) as raised:
        parse(engine, path, PAYMENTS)
    message = str(raised.value)
    assert message.startswith(f"{path.name}: ")
    assert len(message) < 250
    assert message.isprintable()
    return message.removeprefix(f"{path.name}: ").removeprefix("table ").removeprefix("payments_agg_90d ")


PAGE = "is an HTML or XML page, perhaps an error or a login page: fetch the file again"
INDEX = "has a first column without a name, perhaps an index of pandas: write it with index=False"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (f",{HEADER}\n0,{ROW}\n", INDEX),
        (f'"",{HEADER}\n0,{ROW}\n', INDEX),
        (f" ,{HEADER}\n0,{ROW}\n", INDEX),
        (f"Unnamed: 0,{HEADER}\n0,{ROW}\n", "has unknown column Unnamed: 0, perhaps an index of pandas: write it with "
         "index=False"),
        (f"{HEADER},\n{ROW},\n", "has a header that ends with 1 comma too many"),
        (f"{HEADER},,,\n{ROW},,,\n", "has a header that ends with 3 commas too many"),
        ("user_id,,failed_payments_90d\n", "has a column without a name: column 2"),
        ("user_id,,,failed_payments_90d\n", "has a column without a name: column 2 and 1 more"),
        (TABLE.replace(",", ";"), "has semicolons between its columns: write commas"),
        ('"user_id";"failed_payments_90d"\n"0001-AAAAA";"1,5"\n', "has semicolons between its columns: write commas"),
        (TABLE.replace(",", "\t"), "has tabs between its columns: write commas"),
        (TABLE.replace(",", "|"), "has vertical bars between its columns: write commas"),
        ("user_id;failed;payments,90d\n", "has semicolons between its columns: write commas"),
        ("sep=;\n" + TABLE, "is CSV with a line sep= before its header, as Excel takes it: remove that line"),
        (f"{ROW}\n0002-AAAAA,2\n", "has no header: its first line is a row, with 0001-AAAAA"),
        (TABLE.replace("user_id", "User_ID"), "lacks column user_id: it has 'User_ID', which must be user_id"),
        (TABLE.replace("user_id", "user id "), "lacks column user_id: it has 'user id ', which must be user_id"),
        (HEADER + "".join(f",c{n}" for n in range(5000)) + "\n", "has unknown columns c0, c1, c2 and 4,997 more"),
        (HEADER + ",user_id" * 70_000 + "\n", "repeats column user_id"),
        (f"{HEADER},{'x' * 90_000}\n", f"has unknown column {'x' * 80}... (90,000 characters)"),
        (f"{HEADER},<b>\x1b[1m\n", r"has unknown column \x3cb\x3e\x1b\x5b1m"),
        ("", "is empty: not even a header"),
        ("\n \n"[:1], "is empty: not even a header"),
        (HEADER, "has a header but no rows"),
        ("\0" * 5000, "has nothing but zero bytes: it was not written to its end; fetch it again"),
        ("<!DOCTYPE html><html>Log in</html>", PAGE),
        ("\ufeff <?xml version='1.0'?>", PAGE),
        ('{"user_id": 1}', "is JSON: deliver it as CSV"),
        ('\n[{"user_id": 1}]', "is JSON: deliver it as CSV"),
        (b"PK\x03\x04" + bytes(range(256)), "is an Excel or zip file: save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel file: save it as CSV"),
        (gzip.compress(TABLE.encode(), mtime=0), "is compressed by gzip: end its name with .csv.gz"),
        (b"PAR1\0\0PAR1", "is a Parquet file: end its name with .parquet"),
        (TABLE.encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
        (TABLE.encode("utf-16-le"), "is UTF-16 text: save it as UTF-8"),
        (TABLE.encode("utf-16-be"), "is UTF-16 text: save it as UTF-8"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_such_table(content: str | bytes, sentence: str, engine: Any, tmp_path: Path) -> None:
    assert told(engine, tmp_path / "payments_agg_90d.csv", content) == sentence


def test_what_its_name_says_of_its_format_is_not_so(engine: Any, tmp_path: Path) -> None:
    packed, parquet = tmp_path / "payments_agg_90d.csv.gz", tmp_path / "payments_agg_90d.parquet"
    assert told(engine, packed, TABLE) == "cannot be read: it is not compressed by gzip, but its name ends with .gz"
    assert told(engine, packed, gzip.compress(b"PK\x03\x04")) == "is an Excel or zip file: save it as CSV"
    assert told(engine, parquet, TABLE).startswith("cannot be read: ")
    assert told(engine, parquet, b"").startswith("cannot be read: ")


def test_parquet_whose_texts_are_not_utf_8_cannot_be_read(engine: Any, tmp_path: Path) -> None:
    keys = pa.array([b"0001-\xc4AAAA", b"0002-AAAAA"], pa.binary())
    keys = pa.StringArray.from_buffers(2, *keys.buffers()[1:])
    pq.write_table(pa.table({"user_id": keys, "failed_payments_90d": [1, 2]}), tmp_path / "payments_agg_90d.parquet")
    path = tmp_path / "payments_agg_90d.parquet"
    assert told(engine, path, path.read_bytes()).startswith("cannot be read: ")
    assert told(engine, path, path.read_bytes().replace(b"user_id", b"user_\xc4d")).startswith("cannot be read: ")


def test_an_index_in_parquet_is_told_too(engine: Any, tmp_path: Path) -> None:
    path = tmp_path / "payments_agg_90d.parquet"
    query = "SELECT 0 AS __index_level_0__, '0001-AAAAA' AS user_id, 1 AS failed_payments_90d"
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    assert told(engine, path, path.read_bytes()) == (
        r"has unknown column \x5f_index_level_0\x5f\x5f, perhaps an index of pandas: write it with index=False"
    )


def test_the_contracts_own_names_are_all_told(engine: Any, tmp_path: Path) -> None:
    path = tmp_path / "subscriptions.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DropError) as raised:
        parse(engine, path, SUBSCRIPTIONS)
    assert all(c.name in str(raised.value) for c in SUBSCRIPTIONS.columns if not c.optional)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (
            f"{HEADER},nps",
            'has unknown column nps: declare since = "2024-03" for a column that is new',
        ),
        (
            "user_id",
            'lacks column failed_payments_90d: declare until = "2024-02" for one that has ended, or remove one that no '
            "earlier month had",
        ),
        (
            "user_id,unpaid",
            'lacks column failed_payments_90d and has unknown column unpaid: declare since = "2024-03" for a column '
            'that is new, until = "2024-02" for one that has ended, was = ["failed_payments_90d"] for one that has '
            "another name now, or remove one that no earlier month had",
        ),
        ("customer,failed_payments_90d", "lacks column user_id and has unknown column customer"),
    ],
)
def test_what_to_declare_for_a_changed_table(header: str, sentence: str, engine: Any, tmp_path: Path) -> None:
    path = tmp_path / "payments_agg_90d.csv"
    path.write_text(f"{header}\n")
    march = PAYMENTS.at(Month(2024, 3))
    for look in (lambda: parse(engine, path, march), lambda: read_header(path, path.name, march)):
        with pytest.raises(DropError) as raised:
            look()
        assert str(raised.value) == f"payments_agg_90d.csv: table payments_agg_90d {sentence}"


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("failed_payments_90d", "lacks column Customer Ref"),
        ("customer,failed_payments_90d", "lacks column Customer Ref and has unknown column customer"),
        (
            "customer_ref,failed_payments_90d",
            "lacks column Customer Ref: it has 'customer_ref', which must be Customer Ref",
        ),
    ],
)
def test_a_key_is_named_as_the_file_calls_it(header: str, sentence: str, tmp_path: Path) -> None:
    file = replace(PAYMENTS.file, renamed=(("Customer Ref", "user_id"),))
    path = tmp_path / "payments_agg_90d.csv"
    path.write_text(f"{header}\n")
    with pytest.raises(DropError) as raised:
        read_header(path, path.name, replace(PAYMENTS, file=file).at(Month(2024, 3)))
    assert str(raised.value) == f"payments_agg_90d.csv: table payments_agg_90d {sentence}"
