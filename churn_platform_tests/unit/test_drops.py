"""Drops: which months a folder delivers, and which files make one up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from churn_platform.intake import deliveries
from churn_platform.intake.drops import DropError, content_hash, delivered, drop_of, file_of, newest
from churn_platform.intake.names import ENDINGS
from churn_platform.months import Month
from churn_platform_tests import homes
from churn_platform_tests.streamflow import LABELS, STREAMFLOW, TABLES, USERS

FIRST = Month(2024, 1)


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
    return folder


def test_both_ways_of_naming(tmp_path: Path) -> None:
    folder = make(tmp_path, "2024-02", "month_002", "month_000", "archive", ".month_003.partial")
    (tmp_path / "month_004").write_text("a file is no drop")
    found = delivered(folder, FIRST)
    assert list(found) == [FIRST, FIRST + 1, FIRST + 2]
    assert found[FIRST + 1] == folder / "2024-02"
    assert min(delivered(folder, FIRST + 12)) == Month(2024, 2)


def test_a_folder_that_is_not_there_delivers_nothing(tmp_path: Path) -> None:
    assert delivered(tmp_path / "nowhere", FIRST) == {}


@pytest.mark.parametrize(
    ("folders", "month"),
    [
        ([], None),
        (["month_000", "month_002"], Month(2024, 3)),
        (["month_000", "2024-05"], Month(2024, 5)),
        (["2024-05", "month_004"], Month(2024, 5)),
        (["2023-06"], None),
        (["month_001", ".month_007.ab12", "notes", "month_7"], Month(2024, 2)),
    ],
)
def test_the_newest_drop(tmp_path: Path, folders: list[str], month: Month | None) -> None:
    make(tmp_path, *folders)
    (tmp_path / "month_009").write_text("a file is no drop")
    assert newest(tmp_path, FIRST) == month


def test_a_folder_that_is_not_there_has_no_newest_drop(tmp_path: Path) -> None:
    assert newest(tmp_path / "nowhere", FIRST) is None


def test_two_drops_of_one_month(tmp_path: Path) -> None:
    with pytest.raises(DropError, match=r"2024-02: 2024-02 and month_001 in .* keep one"):
        delivered(make(tmp_path, "2024-02", "month_001"), FIRST)


def test_a_month_before_the_first(tmp_path: Path) -> None:
    with pytest.raises(DropError, match=r"2023-12 is before the first month: the platform starts with 2024-01"):
        drop_of(make(tmp_path, "2023-12"), FIRST, FIRST - 1)


def test_a_month_without_a_drop_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(DropError, match=r"2024-03 has no drop in .* expected month_002 or 2024-03"):
        drop_of(make(tmp_path, "month_000"), FIRST, FIRST + 2)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_tables_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"users{ending}"
    path.touch()
    assert file_of(tmp_path, USERS) == path


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        DropError, match=r"users: no file in .*; expected one of users.csv, users.csv.gz, users.parquet"
    ):
        file_of(tmp_path, USERS)
    assert file_of(tmp_path, LABELS) is None


def test_two_files_of_one_table(tmp_path: Path) -> None:
    (tmp_path / "users.csv").touch()
    (tmp_path / "users.parquet").touch()
    with pytest.raises(DropError, match=r"users: users.csv and users.parquet are both in .*; keep one"):
        file_of(tmp_path, USERS)


def test_the_hash_follows_the_bytes_of_the_tables_asked_for(tmp_path: Path, drop: Path) -> None:
    before, labels = content_hash(drop, TABLES), content_hash(drop, (LABELS,))
    again = homes.deliver(tmp_path / "again")
    assert content_hash(again, TABLES) == before
    (drop / "notes.txt").write_text("not a table")
    assert content_hash(drop, TABLES) == before
    homes.edit(drop / "users.csv", lambda rows: [rows[0], *reversed(rows[1:])])
    assert content_hash(drop, TABLES) != before
    assert content_hash(drop, (LABELS,)) == labels
    (drop / "labels.csv").unlink()
    assert content_hash(drop, (LABELS,)) != labels
    assert content_hash(drop, TABLES) != before


@pytest.mark.parametrize("name", [".users.csv.Xy12Ab", "users.csv.filepart", "users.csv.crdownload"])
def test_unfinished_files_are_known_by_their_names(drop: Path, name: str) -> None:
    (drop / name).touch()
    (delivery,) = deliveries.found_in(STREAMFLOW, drop.parent, FIRST, 0, time.time())
    assert delivery.unready == f"2024-01 waits: month_000 is still being written: {name}"


def test_a_drop_settles_even_if_its_copy_keeps_old_times(drop: Path) -> None:
    (drop / ".DS_Store").touch()
    for path in drop.iterdir():
        os.utime(path, (0, 0))
    now = time.time()
    (fresh,) = deliveries.found_in(STREAMFLOW, drop.parent, FIRST, 10, now)
    assert "may not be complete yet" in (fresh.unready or "")
    (settled,) = deliveries.found_in(STREAMFLOW, drop.parent, FIRST, 10, now + 11)
    assert settled.unready is None
    assert settled.labels
