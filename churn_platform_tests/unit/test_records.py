"""Records: no record of a CSV file is lost, whatever its quotes and line ends; each is a row or named, or it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv as arrow

from churn_platform.intake.drops import DropError
from churn_platform.intake.parsing import Parsed, parse
from churn_platform.intake.records import NOT_CLOSED, records
from churn_platform.lake import Lake
from churn_platform_tests.streamflow import PAYMENTS, STREAMFLOW
from churn_platform_tests.torture import csv_files

HEADER = "user_id,failed_payments_90d"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Lake(tmp_path_factory.mktemp("lake"), STREAMFLOW).engine


def payments(engine: Any, folder: Path, data: bytes) -> Parsed:
    path = folder / "payments_agg_90d.csv"
    path.write_bytes(data)
    return parse(engine, path, PAYMENTS)


def places(parsed: Parsed) -> dict[str, int]:
    """Each customer's line."""
    rows = parsed.typed.order_by("file_row").to_pandas()
    found = parsed.places(rows["file_row"]).values()
    return dict(zip(rows["user_id"], [place.line for place in found], strict=True))


def whole(newline: str = "\n", **changed: str) -> bytes:
    """400 rows, the header first, some of them written otherwise; `line_3` is the row on line 3."""
    lines = [HEADER, *(f"{n:04d}-AAAAA,1" for n in range(400))]
    for name, text in changed.items():
        lines[int(name.removeprefix("line_")) - 1] = text
    return newline.join([*lines, ""]).encode()


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"line_302": '"0300-AAAAA,1', "line_352": '0350-AAAAA,"a\nb"'}, "line 302 that .*, up to line 352"),
        ({"line_302": '"0300-AAAAA,1', "line_303": '"0301-AAAAA",1'}, "line 302 that .*, up to line 303"),
        ({"line_302": '"0300-AAAAA,1', "line_303": '0301-AAAAA",1'}, "line 302 that .*, up to line 303"),
        ({"line_302": '0300-AAAAA,"1', "line_303": '0301-AAAAA,1"'}, "line 302 that .*, up to line 303"),
        ({"line_302": '0300-AAAAA,"1', "line_303": '0301-AAAAA",1'}, "line 302 that .*, up to line 303"),
        ({"line_2": '"0000-AAAAA","1""', "line_3": '"0001-AAAAA","1'}, "line 2 that .*, up to line 3"),
        ({"line_302": '0300-AAAAA,"1'}, "line 302 that .*, up to line 401"),
        ({"line_1": '"user_id,failed_payments_90d'}, "line 1 that .*, up to line 401"),
        ({"line_1": '"user_id"s,failed_payments_90d'}, "line 1, in its header"),
    ],
)
def test_a_quote_that_swallows_lines_stops(
    changed: dict[str, str], told: str, newline: str, engine: Any, tmp_path: Path
) -> None:
    with pytest.raises(DropError, match=f"table payments_agg_90d has a quote on {told}"):
        payments(engine, tmp_path, whole(newline, **changed))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_a_wrong_quote_on_one_line_costs_that_line(newline: str, engine: Any, tmp_path: Path) -> None:
    parsed = payments(
        engine, tmp_path, whole(newline, line_2='"0000-AAAAA"x,1', line_9='0007-AAAAA,"1"1', line_401='0399-AAAAA,"1')
    )
    assert [(u.line, u.text, u.reason) for u in parsed.unreadable.values()] == [
        (2, '"0000-AAAAA"x,1', NOT_CLOSED),
        (9, '0007-AAAAA,"1"1', NOT_CLOSED),
        (401, '0399-AAAAA,"1', NOT_CLOSED),
    ]
    assert places(parsed) == {f"{n:04d}-AAAAA": n + 2 for n in range(400) if n not in (0, 7, 399)}


def test_a_quote_within_a_value_is_part_of_it(engine: Any, tmp_path: Path) -> None:
    parsed = payments(engine, tmp_path, whole(line_5='0003-"AAA",1', line_6=' "0004-AAAAA",1"'))
    assert parsed.unreadable == {}
    assert parsed.values([3, 4]) == {
        3: {"user_id": '0003-"AAA"', "failed_payments_90d": "1"},
        4: {"user_id": ' "0004-AAAAA"', "failed_payments_90d": '1"'},
    }


def test_line_ends_may_be_mixed(engine: Any, tmp_path: Path) -> None:
    ends = ["\n", "\r\n", "\r", "\r\r\n", "\n\r"]
    text = HEADER + "".join(f"{end}{n:04d}-AAAAA,1" for n, end in enumerate(ends))
    parsed = payments(engine, tmp_path, text.encode())
    assert parsed.unreadable == {}
    assert places(parsed) == {"0000-AAAAA": 2, "0001-AAAAA": 3, "0002-AAAAA": 4, "0003-AAAAA": 6, "0004-AAAAA": 8}


def test_what_only_some_readers_take_for_the_end_of_a_line_is_none(engine: Any, tmp_path: Path) -> None:
    letters = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\0\x1a"
    parsed = payments(engine, tmp_path, whole(line_3=f"0001{letters}AAAAA,1", line_4="x"))
    assert [(u.line, u.text) for u in parsed.unreadable.values()] == [(4, "x")]
    assert parsed.values([1])[1]["user_id"] == f"0001{letters}AAAAA"


def test_a_file_may_be_longer_than_any_buffer_in_one_record(engine: Any, tmp_path: Path) -> None:
    long = "A" * 3_000_000
    parsed = payments(engine, tmp_path, whole(line_3=f"0001-{long},1", line_5=long))
    assert [u.line for u in parsed.unreadable.values()] == [5]
    assert list(places(parsed).values()) == [n for n in range(2, 402) if n != 5]


def test_the_records_of_a_file() -> None:
    found = records(b'\xef\xbb\xbf\r\n"a",b\r\n\r\n1,2\n"x\ny",\n,\nz\n')
    assert found.header == ("a", "b")
    assert list(found.starts) == [4, 5, 7]
    assert [u.line for u in found.unreadable] == [8]


@pytest.mark.parametrize(("kept", "line"), [(0, 2), (299, 301), (399, 401), (401, 401)])
def test_rows_that_are_not_the_records_stop(
    kept: int, line: int, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misread(*given: Any) -> pa.Table:
        rows = read(*given)
        return pa.concat_tables([rows[: 1 + kept], rows[: kept - 400]]) if kept > 400 else rows[: 1 + kept]

    read = arrow.read_csv
    monkeypatch.setattr(arrow, "read_csv", misread)
    with pytest.raises(DropError, match=f"has 400 records, but {kept} rows were read; .* from line {line} on"):
        payments(engine, tmp_path, whole())


def test_torn_files_lose_nothing(tmp_path: Path) -> None:
    """A part of what `churn_platform_tests.torture.csv_files` does."""
    assert list(csv_files.torture(seed=0, files=150, folder=tmp_path)) == []


def test_the_second_reader_finds_what_the_platform_may_miss(tmp_path: Path, engine: Any) -> None:
    path = tmp_path / "payments_agg_90d.csv"
    path.write_bytes(whole())
    for data, told in [
        (whole(line_3="x"), "unreadable lines [], and not [3]"),
        (whole() + b"0400-AAAAA,1\n", "400 rows of 401 records"),
        (whole(line_3="\n0001-AAAAA,1"), "row 1 is said to be on line 3, but is on line 4"),
        (whole(line_3="0001-AAAAA,2"), "line 3 reads as ['0001-AAAAA', '1'], and not as ['0001-AAAAA', '2']"),
        (whole(line_3='0001-AAAAA,"1'), "read, though it should be refused: line 3: "),
    ]:
        assert (csv_files.difference(engine, path, PAYMENTS, data) or "").startswith(told)
    path.write_bytes(whole(line_3='0001-AAAAA,"1'))
    assert (csv_files.difference(engine, path, PAYMENTS, whole()) or "").startswith("refused, though it can be read")
