"""The lake: whole files or none, the same bytes for the same rows, and no stale reads."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import ibis
import msgspec
import pandas as pd
import pytest

from churn_platform.files import replacing, sha256_of
from churn_platform.files.owners import mark
from churn_platform.lake import DamagedTableError, DocumentError, Lake, MissingTableError, picked, undamaged
from churn_platform.months import Month
from churn_platform.tables.names import landed, quarantine
from churn_platform_tests.streamflow import STREAMFLOW

MONTH = Month(2024, 1)


def table(*values: int) -> ibis.Table:
    return ibis.memtable({"user_id": [f"{v:04d}-AAAAA" for v in values], "value": list(values)}).order_by("user_id")


def test_a_table_comes_back_as_it_was_written(lake: Lake) -> None:
    written = lake.write("landed/users", MONTH, table(3, 1, 2))
    assert written.path == lake.root / "landed" / "users" / "2024-01.parquet"
    assert written.rows == lake.rows("landed/users", MONTH) == 3
    assert written.sha256 == sha256_of(written.path)
    assert lake.frame("landed/users", MONTH)["value"].tolist() == [1, 2, 3]
    assert pd.read_parquet(written.path)["value"].tolist() == [1, 2, 3]  # readable by everything


def test_rows_are_picked_by_their_keys_in_the_file_s_order(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "env=prod" / "[lake]", STREAMFLOW)
    path = lake.write("a", MONTH, table(*range(1, 300))).path
    found = picked(path, ["value", "user_id"], "user_id", ["0200-AAAAA", "nobody", "0003-AAAAA"])
    assert found.column_names == ["value", "user_id"]
    assert found["value"].to_pylist() == [3, 200]
    assert len(picked(path, ["value"], "user_id", [])) == 0


def test_a_file_that_is_damaged_behind_its_first_bytes_is_named(lake: Lake) -> None:
    path = lake.write("a", MONTH, table(*range(300))).path
    whole = path.read_bytes()
    for damage in (b"PAR1" + b"\xff" * (len(whole) // 2) + whole[len(whole) // 2 + 4 :], whole[:-20], b""):
        path.write_bytes(damage)
        with pytest.raises(DamagedTableError, match=r"2024-01\.parquet is damaged: .*churn close 2024-01"):
            picked(path, ["value", "user_id"], "user_id", ["0003-AAAAA"])
        with pytest.raises(DamagedTableError), undamaged(path):
            lake.frame("a", MONTH)
    path.unlink()
    with pytest.raises(FileNotFoundError), undamaged(path):
        path.read_bytes()


def test_the_same_rows_give_the_same_bytes(lake: Lake, tmp_path: Path) -> None:
    rows = list(range(20_000))
    first = lake.write("a", MONTH, table(*rows))
    again = Lake(tmp_path / "another", STREAMFLOW).write("b", MONTH + 1, table(*reversed(rows)))
    assert first.sha256 == again.sha256


def test_names() -> None:
    assert landed("users") == "landed/users"
    assert quarantine("users") == "quarantine/users"


def test_months_are_those_with_a_table(lake: Lake) -> None:
    assert lake.months("a") == ()
    for month in (MONTH + 11, MONTH, MONTH + 1):
        lake.write("a", month, table(1))
    lake.write_document("a", MONTH + 2, {})
    (lake.root / "a" / ".2024-09.parquet.x1y2").write_bytes(b"left by a crash")
    assert lake.months("a") == (MONTH, MONTH + 1, MONTH + 11)
    assert lake.has("a", MONTH)
    assert not lake.has("a", MONTH + 2)


def test_a_missing_table_says_what_to_close(lake: Lake) -> None:
    for read in (lake.read, lake.frame, lake.rows):
        with pytest.raises(MissingTableError, match=r"features of 2024-01 is not there: close 2024-01 first"):
            read("features", MONTH)


def test_a_replaced_table_is_read_anew(lake: Lake) -> None:
    for value in range(20):  # of the same size, within the same second
        lake.write("a", MONTH, table(value))
        assert lake.frame("a", MONTH)["value"].tolist() == [value]


def test_a_table_can_be_written_from_itself(lake: Lake) -> None:
    lake.write("a", MONTH, table(1))
    lake.write("a", MONTH, lake.read("a", MONTH).union(table(2)).order_by("user_id"))
    assert lake.frame("a", MONTH)["value"].tolist() == [1, 2]


def test_a_failing_write_leaves_what_was_there(lake: Lake) -> None:
    before = lake.write("a", MONTH, table(1)).sha256
    failing = table(1).mutate(value=ibis.literal("x").cast("int64"))
    with pytest.raises(Exception, match="Could not convert"):
        lake.write("a", MONTH, failing)
    assert sha256_of(lake.path("a", MONTH)) == before
    assert [path.name for path in (lake.root / "a").iterdir() if path.name.startswith(".")] == []
    assert lake.frame("a", MONTH)["value"].tolist() == [1]


def test_a_table_is_stale_when_what_it_was_built_from_is_another(lake: Lake) -> None:
    lake.write("a", MONTH, table(1))
    lake.write("b", MONTH, table(1), built_from=[("a", MONTH), ("a", MONTH - 1)])
    assert not lake.is_stale("b", MONTH)
    lake.write("a", MONTH, table(1))  # the same again
    assert not lake.is_stale("b", MONTH)
    lake.write("a", MONTH - 1, table(1))  # this one was missing
    assert lake.is_stale("b", MONTH)
    lake.write("b", MONTH, table(1), built_from=[("a", MONTH), ("a", MONTH - 1)])
    assert not lake.is_stale("b", MONTH)
    lake.write("a", MONTH, table(2))
    assert lake.is_stale("b", MONTH)
    assert lake.is_stale("b", MONTH + 1)  # not built at all


def test_a_table_is_stale_when_it_was_built_from_other_tables_than_it_is_now(lake: Lake) -> None:
    for name in ("a", "c"):
        lake.write(name, MONTH, table(1))
    lake.write("b", MONTH, table(1), built_from=[("a", MONTH)])
    assert not lake.is_stale("b", MONTH, [("a", MONTH)])
    assert lake.is_stale("b", MONTH, [("a", MONTH), ("c", MONTH)])
    assert lake.is_stale("b", MONTH, [])


def test_a_failing_block_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert list((tmp_path / "deep").iterdir()) == []
    with replacing(path) as temporary:
        assert temporary.parent == path.parent  # otherwise the move would not be atomic
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # whatever the umask leaves, see `unit/test_modes`


def test_whoever_writes_at_once_leaves_a_whole_file(tmp_path: Path) -> None:
    path, texts, faults = tmp_path / "file", [str(n) * 100_000 for n in range(4)], []
    seen: set[str] = set()
    done = threading.Event()

    def write(text: str) -> None:
        for _ in range(20):
            with replacing(path) as temporary:
                temporary.write_text(text)

    def read() -> None:
        while not done.is_set():
            try:
                seen.add(path.read_text())
            except OSError as error:
                faults.append(error)

    with replacing(path) as temporary:
        temporary.write_text(texts[0])
    reader, writers = threading.Thread(target=read), [threading.Thread(target=write, args=[text]) for text in texts]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert faults == []
    assert seen <= set(texts)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_what_is_named_by_its_content_never_changes(lake: Lake) -> None:
    first = lake.write_addressed("training_rows", table(1, 2))
    assert first.path == lake.addressed("training_rows", first.sha256)
    assert sha256_of(first.path) == first.sha256
    assert lake.write_addressed("training_rows", table(2, 1)) == first
    other = lake.write_addressed("training_rows", table(1))
    assert {path.name for path in (lake.root / "training_rows").iterdir()} == {first.path.name, other.path.name}
    assert lake.read_file(first.path).count().to_pyarrow().as_py() == 2


class Record(msgspec.Struct, omit_defaults=True):
    a: int
    b: str = ""


def test_a_document_comes_back_as_what_was_written(lake: Lake) -> None:
    assert lake.document("evaluation", MONTH, Record) is None
    path = lake.write_document("evaluation", MONTH, Record(1))
    assert path == lake.root / "evaluation" / "2024-01.json"
    assert path.read_bytes() == b'{"a":1}'
    lake.write_document("evaluation", MONTH, Record(2))
    assert lake.document("evaluation", MONTH, Record) == Record(2)
    assert lake.require_document("evaluation", MONTH, Record, "churn retrain") == Record(2)


def test_a_missing_document_says_what_makes_it(lake: Lake) -> None:
    wanted = "^evaluation of 2024-01 is not there: run churn retrain 2024-01 first$"
    with pytest.raises(MissingTableError, match=wanted):
        lake.require_document("evaluation", MONTH, Record, "churn retrain")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Input data was truncated"),
        (b'{"a": "x"}', "Expected `int`, got `str` - at `$.a`"),
        (b'{"a": 1, "b": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)
def test_a_document_that_cannot_be_read_names_its_file_and_what_mends_it(
    content: bytes, reason: str, lake: Lake
) -> None:
    path = lake.write_document("evaluation", MONTH, Record(1))
    path.write_bytes(content)
    with pytest.raises(DocumentError) as told:
        lake.document("evaluation", MONTH, Record, "churn retrain")
    assert str(told.value) == f"{path} cannot be read: {reason}; make it again with churn retrain 2024-01"


def test_a_table_whose_sources_cannot_be_read_is_told(lake: Lake) -> None:
    lake.write("a", MONTH, table(1))
    lake.path("a", MONTH, ".json").write_text("[]")
    with pytest.raises(DocumentError, match=r"a/2024-01\.json cannot be read: Expected `object`, got `array`"):
        lake.is_stale("a", MONTH)


def test_what_killed_processes_left_of_a_file_is_removed_with_its_next_version(tmp_path: Path) -> None:
    path = tmp_path / "2024-01.parquet"
    number, _, host = mark().split("-")
    left = [tmp_path / f".{name}.{number}-1-{host}.abc" for name in ("2024-01.parquet", "2024-02.parquet")]
    own = tmp_path / f".2024-01.parquet.{mark()}.abc"  # another thread's, which is still being written
    for file in (*left, own):
        file.touch()
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, own, left[1]])
