"""Parsing: every way of writing the same file reads the same, and each value is found where it stands in the file."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from churn_platform.contracts import Table
from churn_platform.intake.drops import DropError
from churn_platform.intake.parsing import ROW, Parsed, Place, parse
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform_tests import homes
from churn_platform_tests.streamflow import LABELS, PAYMENTS, STREAMFLOW, SUBSCRIPTIONS, TABLES, USERS

HEADER = "user_id,failed_payments_90d"
A, B, C = "0001-AAAAA,1", "0002-AAAAA,2", "0003-AAAAA,3"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Lake(tmp_path_factory.mktemp("lake"), STREAMFLOW).engine


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return homes.deliver(tmp_path_factory.mktemp("delivery"))


def values(parsed: Parsed) -> list[tuple[Any, ...]]:
    """The typed rows without their numbers, by key."""
    frame = parsed.typed.drop(ROW).order_by("user_id").to_pandas().astype(object)
    return [tuple(row) for row in frame.where(frame.notna(), None).itertuples(index=False)]


def payments(engine: Any, folder: Path, text: str | bytes, table: Table = PAYMENTS) -> Parsed:
    path = folder / f"{table.name}.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return parse(engine, path, table)


def lines_by_customer(parsed: Parsed) -> dict[str, int]:
    rows = parsed.typed.order_by(ROW).to_pandas()
    places = parsed.places(rows[ROW])
    return {key: places[row].line for row, key in zip(rows[ROW], rows["user_id"], strict=True)}


def test_a_column_is_unknown_outside_of_its_months(engine: Any, tmp_path: Path) -> None:
    key, failed = PAYMENTS.columns
    dated = replace(PAYMENTS, columns=(key, replace(failed, since=Month(2024, 2), until=Month(2024, 3))))
    found = {
        month: payments(engine, tmp_path, f"{HEADER}\n{A}\n", dated.at(Month(2024, month))).typed.to_pandas()
        for month in (1, 2, 3, 4)
    }
    known = {month: frame["failed_payments_90d"].notna().tolist() for month, frame in found.items()}
    assert known == {1: [False], 2: [True], 3: [True], 4: [False]}
    after = payments(engine, tmp_path, f"{HEADER}\n0001-AAAAA,often\n", dated.at(Month(2024, 4)))
    assert list(after.wrong_types()) == []  # nor is it judged by a kind that it has no longer


# Ways of writing the same


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("way", ["bom", "crlf", "quoted", "bom quoted crlf", "no last newline", "gz", "parquet"])
def test_ways_of_writing_the_same(way: str, table: Table, engine: Any, delivery: Path, tmp_path: Path) -> None:
    original = delivery / f"{table.name}.csv"
    wanted = values(parse(engine, original, table))
    path = tmp_path / original.name
    text = original.read_text()
    if "quoted" in way:
        buffer = io.StringIO()
        csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(homes.rows_of(original))
        text = buffer.getvalue()
    if "crlf" in way:
        text = text.replace("\n", "\r\n")
    if "bom" in way:
        text = "\ufeff" + text
    if way == "no last newline":
        text = text.rstrip("\n")
    if way == "parquet":
        path = homes.to_parquet(Path(shutil.copy(original, path.with_suffix(".csv"))))
    elif way == "gz":
        path = path.with_suffix(".csv.gz")
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_bytes(text.encode())
    parsed = parse(engine, path, table)
    assert values(parsed) == wanted
    assert parsed.unreadable == {}
    assert list(parsed.wrong_types()) == []


@pytest.mark.parametrize("table", [USERS, SUBSCRIPTIONS], ids=lambda table: table.name)
@given(data=st.data())
@hypothesis_settings(max_examples=15)
def test_columns_and_rows_in_any_order(
    data: st.DataObject, table: Table, engine: Any, delivery: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    header, *rows = homes.rows_of(delivery / f"{table.name}.csv")
    order = data.draw(st.permutations(range(len(header))))
    path = tmp_path_factory.mktemp("shuffled") / f"{table.name}.csv"
    shuffled = data.draw(st.permutations(rows))
    homes.write_rows(path, [[row[column] for column in order] for row in (header, *shuffled)])
    parsed = parse(engine, path, table)
    assert values(parsed) == values(parse(engine, delivery / f"{table.name}.csv", table))
    delivered = [row[0] for row in shuffled]
    again = parse(engine, path, table)
    assert again.typed.order_by(ROW).to_pandas()["user_id"].tolist() == delivered  # numbered in file order


def test_optional_columns_may_be_absent(engine: Any, delivery: Path, tmp_path: Path) -> None:
    optional = [column.name for column in SUBSCRIPTIONS.columns if column.optional]
    header, *rows = homes.rows_of(delivery / "subscriptions.csv")
    keep = [position for position, name in enumerate(header) if name not in optional]
    path = tmp_path / "subscriptions.csv"
    homes.write_rows(path, [[row[position] for position in keep] for row in (header, *rows)])
    frame = parse(engine, path, SUBSCRIPTIONS).typed.to_pandas()
    assert frame[optional].isna().all(axis=None)
    assert list(frame.columns) == [ROW, *(column.name for column in SUBSCRIPTIONS.columns)]


# Structural faults


def write_parquet(path: Path, query: str) -> None:
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param("", "is empty: not even a header", id="empty"),
        pytest.param("\n\n", "is empty: not even a header", id="blank lines alone"),
        pytest.param("\ufeff", "is empty: not even a header", id="byte-order mark alone"),
        pytest.param(HEADER, "has a header but no rows", id="header only"),
        pytest.param(HEADER + "\r\n\r\n", "has a header but no rows", id="header and blank lines"),
        pytest.param(f"user_id\n{A}\n", "lacks column failed_payments_90d", id="missing column"),
        pytest.param(
            f"id,failed\n{A}\n",
            "lacks columns user_id, failed_payments_90d and has unknown columns id, failed",
            id="missing columns",
        ),
        pytest.param(f"{HEADER},age\n{A},3\n", "has unknown column age", id="unknown column"),
        pytest.param(f"{HEADER},user_id\n{A},3\n", "repeats column user_id", id="repeated column"),
        pytest.param(f"{HEADER}\n{A}\n".encode("utf-16"), "is UTF-16 text: save it as UTF-8", id="UTF-16"),
        pytest.param(f"{HEADER}\n{A}\n0002-\xc4AAAA,2\n".encode("latin-1"), "is not UTF-8 text: line 3", id="Latin-1"),
        pytest.param(b"\x00\x01\x02\xff" * 100, "is not UTF-8 text: line 1", id="no text"),
    ],
)
def test_structural_faults(content: str | bytes, fault: str, engine: Any, tmp_path: Path) -> None:
    with pytest.raises(DropError) as raised:
        payments(engine, tmp_path, content)
    message = str(raised.value)
    assert message.startswith("payments_agg_90d.csv: ")
    assert "payments_agg_90d" in message.split(": ", 1)[1]
    assert message.endswith(fault)


def test_another_encoding_deep_in_the_file(engine: Any, tmp_path: Path) -> None:
    rows = [f"{number:04d}-AAAAA,1" for number in range(5000)]
    rows[3999] = "3999-\xc4AAAA,1"
    with pytest.raises(DropError, match="not UTF-8 text: line 4001"):
        payments(engine, tmp_path, "\n".join([HEADER, *rows]).encode("latin-1"))


def test_a_truncated_gz(engine: Any, delivery: Path, tmp_path: Path) -> None:
    packed = gzip.compress((delivery / "users.csv").read_bytes())
    path = tmp_path / "users.csv.gz"
    for data in (packed[: len(packed) // 2], packed[:-4], packed[:5], b"not gz at all"):
        path.write_bytes(data)
        with pytest.raises(DropError, match=r"users\.csv\.gz: table users (cannot be read|is not UTF-8)"):
            parse(engine, path, USERS)


def test_a_gz_with_a_flipped_bit(engine: Any, delivery: Path, tmp_path: Path) -> None:
    path = tmp_path / "users.csv.gz"
    packed = bytearray(gzip.compress((delivery / "users.csv").read_bytes()))
    packed[-6] ^= 1  # in its checksum
    path.write_bytes(bytes(packed))
    with pytest.raises(DropError, match=r"users\.csv\.gz: table users cannot be read"):
        parse(engine, path, USERS)


def test_an_unreadable_parquet(engine: Any, delivery: Path, tmp_path: Path) -> None:
    path = tmp_path / "users.parquet"
    write_parquet(path, f"FROM '{delivery / 'users.csv'}'")
    whole = path.read_bytes()
    for data in (whole[:-20], b"PAR1 garbage PAR1", b"", (delivery / "users.csv").read_bytes()):
        path.write_bytes(data)
        with pytest.raises(DropError, match=r"users\.parquet: table users cannot be read"):
            parse(engine, path, USERS)


def test_structural_faults_of_parquet(engine: Any, tmp_path: Path) -> None:
    path = tmp_path / "payments_agg_90d.parquet"
    for query, fault in [
        ("SELECT '0001-AAAAA' AS user_id", "lacks column failed_payments_90d"),
        ("SELECT '0001-AAAAA' AS user_id, 1 AS failed_payments_90d, 2 AS \"an age\"", "has unknown column an age"),
        ("SELECT '0001-AAAAA' AS user_id, 1 AS failed_payments_90d LIMIT 0", "has a header but no rows"),
    ]:
        write_parquet(path, query)
        with pytest.raises(DropError, match=fault):
            parse(engine, path, PAYMENTS)


@pytest.mark.parametrize("closed_again", [False, True], ids=["never closed", "closed lines later"])
@pytest.mark.parametrize("column", [0, 1], ids=["key", "value"])
def test_a_stray_quote_takes_no_rows_with_it(column: int, closed_again: bool, engine: Any, tmp_path: Path) -> None:
    rows = [f"{number:04d}-AAAAA,1" for number in range(400)]
    rows[300] = '"' + rows[300] if column == 0 else rows[300].replace(",", ',"')
    if closed_again:
        rows[350] = rows[350].replace(",", '",') if column == 0 else rows[350] + '"'
    with pytest.raises(DropError, match="table payments_agg_90d has a quote on line 302 that swallows the lines after"):
        payments(engine, tmp_path, "\n".join([HEADER, *rows]))


# Values


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("3.0", 3), ("0", 0), ("-4", -4), ("1e2", 100), ("9007199254740992", 9007199254740992)],
)
def test_whole_numbers(text: str, value: int, engine: Any, tmp_path: Path) -> None:
    parsed = payments(engine, tmp_path, f"{HEADER}\n0001-AAAAA,{text}\n")
    assert values(parsed) == [("0001-AAAAA", value)]
    assert list(parsed.wrong_types()) == []


@pytest.mark.parametrize("text", ["3.5", "three", "nan", "inf", "1e300", "99999999999999999999", "True", "1;2", "0x10"])
def test_what_is_no_whole_number(text: str, engine: Any, tmp_path: Path) -> None:
    parsed = payments(engine, tmp_path, f"{HEADER}\n{A}\n0002-AAAAA,{text}\n")
    assert values(parsed) == [("0001-AAAAA", 1), ("0002-AAAAA", None)]
    assert list(parsed.wrong_types()) == [(1, "failed_payments_90d", "is not a whole number")]
    assert parsed.values([1]) == {1: {"user_id": "0002-AAAAA", "failed_payments_90d": text}}


@pytest.mark.parametrize(
    ("column", "text", "rule"),
    [
        ("signup_date", "2024-02-30", "is not a date such as 2024-01-31"),
        ("signup_date", "31.01.2024", "is not a date such as 2024-01-31"),
        ("signup_date", "infinity", "is not a date such as 2024-01-31"),
        ("signup_date", "epoch", "is not a date such as 2024-01-31"),
        ("signup_date", "2024-01-31 12:00:00", "is not a date such as 2024-01-31"),
        ("user_is_senior", "2", "is not True or False"),
        ("user_is_senior", "maybe", "is not True or False"),
    ],
)
def test_wrong_types(column: str, text: str, rule: str, engine: Any, drop: Path) -> None:
    homes.put(drop / "users.csv", 5, column, text)
    parsed = parse(engine, drop / "users.csv", USERS)
    assert list(parsed.wrong_types()) == [(3, column, rule)]
    assert parsed.places([3]) == {3: Place("", 5)}
    assert parsed.values([3])[3][column] == text


def test_a_blank_is_unknown_and_not_of_a_wrong_type(engine: Any, tmp_path: Path) -> None:
    parsed = payments(engine, tmp_path, "user_id,churn_label\n0001-AAAAA,\n0002-AAAAA,True\n", LABELS)
    assert values(parsed) == [("0001-AAAAA", None), ("0002-AAAAA", True)]
    assert list(parsed.wrong_types()) == []


# Places


RAGGED = "0009-AAAAA"


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize(
    ("lines", "starts", "unreadable"),
    [
        pytest.param([A, B, C], [2, 3, 4], [], id="plain"),
        pytest.param(["", A, "", "", B, C, ""], [3, 6, 7], [], id="blank lines"),
        pytest.param([RAGGED, A, B, "0008-AAAAA,1,2", C], [3, 4, 6], [2, 5], id="ragged lines"),
        pytest.param(['"00\n01-AAAAA",1', B, C], [2, 4, 5], [], id="a quoted newline"),
        pytest.param(['"00\n01-AAAAA",1', RAGGED, B, C], [2, 5, 6], [4], id="a quoted newline before a ragged line"),
        pytest.param(
            ["", '"00\n01-AAAAA",1', "", RAGGED, "", B, '"0003-AAAAA","\n3"', "x,y,z"], [3, 8, 9], [6, 11], id="all"
        ),
    ],
)
def test_lines(
    lines: list[str], starts: list[int], unreadable: list[int], newline: str, engine: Any, tmp_path: Path
) -> None:
    parsed = payments(engine, tmp_path, "\n".join([HEADER, *lines, ""]).replace("\n", newline))
    assert list(lines_by_customer(parsed).values()) == starts
    assert [line.line for line in parsed.unreadable.values()] == unreadable


def test_ragged_lines_are_told_with_their_text(engine: Any, tmp_path: Path) -> None:
    parsed = payments(engine, tmp_path, f"{HEADER}\n{A}\n{RAGGED}\n{B},9\n{C}\n")
    assert [line.text for line in parsed.unreadable.values()] == [RAGGED, f"{B},9"]
    assert [line.reason for line in parsed.unreadable.values()] == [
        "Expected Number of Columns: 2 Found: 1",
        "Expected Number of Columns: 2 Found: 3",
    ]
    assert set(lines_by_customer(parsed)) == {"0001-AAAAA", "0003-AAAAA"}


def test_a_very_long_value_is_no_reason_to_stop(engine: Any, tmp_path: Path) -> None:
    parsed = payments(engine, tmp_path, f"{HEADER}\n{A}\n0002-{'A' * 200_000},2\n{C}\n")
    assert list(lines_by_customer(parsed).values()) == [2, 3, 4]


@given(kinds=st.lists(st.sampled_from(["good", "blank", "ragged", "broken over lines"]), min_size=1, max_size=40))
@hypothesis_settings(max_examples=40)
def test_lines_are_found_among_anything(
    kinds: list[str], engine: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text, good, ragged = f"{HEADER}\n9999-ZZZZZ,0\n", {"9999-ZZZZZ": 2}, []
    for number, kind in enumerate(kinds):
        line, key = text.count("\n") + 1, f"{number:04d}-AAAAA"
        if kind == "ragged":
            ragged.append(line)
        elif kind == "broken over lines":
            good[f"{number:04d}\n-AAAAA"] = line
        elif kind == "good":
            good[key] = line
        text += {"good": f"{key},1", "blank": "", "ragged": key, "broken over lines": f'"{number:04d}\n-AAAAA",1'}[kind]
        text += "\n"
    parsed = payments(engine, tmp_path_factory.mktemp("lines"), text)
    assert lines_by_customer(parsed) == good
    assert [line.line for line in parsed.unreadable.values()] == ragged


def test_a_parquets_lines_are_its_rows(engine: Any, tmp_path: Path) -> None:
    path = tmp_path / "payments_agg_90d.parquet"
    write_parquet(path, "FROM (VALUES ('0001-AAAAA', '1'), ('0002-AAAAA', 'x')) t(user_id, failed_payments_90d)")
    parsed = parse(engine, path, PAYMENTS)
    assert list(parsed.wrong_types()) == [(1, "failed_payments_90d", "is not a whole number")]
    assert parsed.places([0, 1]) == {0: Place("", 1), 1: Place("", 2)}
