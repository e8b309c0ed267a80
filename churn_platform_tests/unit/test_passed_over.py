"""What is named otherwise than wanted is told, with the name that is wanted; what lies beside it stops nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from churn_platform.intake import deliveries
from churn_platform.intake.drops import DropError, content_hash, drop_of, file_of, passed_over
from churn_platform.months import Month
from churn_platform_tests.streamflow import LABELS, STATE_TABLES, STREAMFLOW, TABLES, USERS

FIRST = Month(2024, 1)
FEBRUARY = "the drop of 2024-02 is named month_001 or 2024-02"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        *[(name, f"'{name}' is passed over: {FEBRUARY}") for name in (
            "month_1", "month_01", "month-001", "month001", "Month_001", "MONTH_001", "month_001 ", " month_001",
            "months_001", "month 001", "month.001", "2024-2", "2024.02", "202402", "2024-02 ", "2024-02-29",
            "month_2024-02", "month=2024-02",
        )],
        ("2024_02", f"'2024_02' is passed over: {FEBRUARY}"),
        ("month_001\n", r"'month_001\x0a' is passed over: " + FEBRUARY),
        ("2023-9", "'2023-9' is passed over: the drop of 2023-09 is named 2023-09"),
    ],
)  # fmt: skip
def test_a_folder_that_is_named_otherwise(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    assert passed_over(tmp_path, FIRST, TABLES) == (told,)
    assert deliveries.found_in(STREAMFLOW, tmp_path, FIRST, 0, 0) == ()


def test_whoever_asks_for_the_month_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "month_1").mkdir()
    with pytest.raises(DropError, match=r"2024-02 has no drop in .*: expected month_001 or 2024-02; 'month_1' is pass"):
        drop_of(tmp_path, FIRST, FIRST + 1)
    with pytest.raises(DropError, match=r"expected month_002 or 2024-03$"):
        drop_of(tmp_path, FIRST, FIRST + 2)


@pytest.mark.parametrize("name", ["archive", "notes 2024", "month", "monthly", "2024", "2024-13", ".month_001.ab12",
                                  "month_001.part", "month_99999", "lost+found", "1999999", "0001"])  # fmt: skip
def test_other_folders_are_nobodys_business(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    assert passed_over(tmp_path, FIRST, TABLES) == ()


def test_a_file_or_a_link_to_nothing_is_no_drop(tmp_path: Path) -> None:
    (tmp_path / "month_001.zip").touch()
    (tmp_path / "month_002").symlink_to(tmp_path / "nowhere")
    (tmp_path / "month_003.tar.gz").touch()
    (tmp_path / "2024-04").mkdir()  # unpacked
    assert passed_over(tmp_path, FIRST, TABLES) == tuple(
        f"'{name}' is passed over: it is no folder, and the drop of {month} is one, named {wanted} or {month}"
        for name, month, wanted in [("month_001.zip", "2024-02", "month_001"), ("month_002", "2024-03", "month_002")]
    )


def names_of(table: str) -> str:
    return f"the file of {table} is named {table}.csv or {table}.csv.gz or {table}.parquet"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *[("labels.csv", name) for name in ("Labels.CSV", "labels.CSV", "label.csv", "labels.csv ", "labels (1).csv",
            "labels.xlsx", "labels.csv.zip", "labels.pq", "labels", "labels_2024-01.csv", "lables.csv", " labels.csv")],
        ("users.csv", "user.csv"),
        ("usage_agg_30d.csv", "usage.csv"),
        ("usage_agg_30d.csv", "usage-agg-30d.csv"),
        ("payments_agg_90d.csv", "Payments_agg_90d.csv"),
    ],
)  # fmt: skip
def test_a_file_that_is_named_otherwise(before: str, after: str, drop: Path) -> None:
    (drop / before).rename(drop / after)
    told = f"'month_000/{after}' is passed over: {names_of(before.split('.')[0])}"
    assert passed_over(drop.parent, FIRST, TABLES) == (told,)
    [delivery] = deliveries.found_in(STREAMFLOW, drop.parent, FIRST, 0, 9e9)
    if before == "labels.csv":
        assert (delivery.unready, delivery.labels) == (None, None)
    else:
        assert delivery.unready == f"2024-01 waits: month_000 has no file yet for {before.split('.')[0]}"
        table = next(table for table in STATE_TABLES if f"{table.name}.csv" == before)
        with pytest.raises(DropError, match=f"no file in .*; '.*{after}' is passed over"):
            file_of(drop, table)


def test_what_has_the_name_but_is_no_file_is_told(drop: Path) -> None:
    for name, make in {
        "labels.csv": lambda path: path.symlink_to(drop / "nowhere"),
        "users.csv": os.mkfifo,
        "usage_agg_30d.csv": Path.mkdir,
    }.items():
        (drop / name).unlink()
        make(drop / name)
    assert passed_over(drop.parent, FIRST, TABLES) == (
        "'month_000/labels.csv' is passed over: it is a link to nothing",
        "'month_000/usage_agg_30d.csv' is passed over: the folder holds no data files",
        "'month_000/users.csv' is passed over: it is no file that can be read again, such as a pipe",
    )


def test_files_beside_the_tables_are_nobodys_business(drop: Path) -> None:
    for name in BESIDE:
        (drop / name).touch()
    (drop / "users.csv.bak").touch()
    (drop / "README.md").touch()
    assert passed_over(drop.parent, FIRST, TABLES) == ()


BESIDE = (".~lock.users.csv#", "~$users.xlsx", ".users.csv.swp", ".users.csv.swo", "#users.csv#", "users.csv~",
          ".DS_Store", "._users.csv", "Thumbs.db", "desktop.ini", ".users.csv.crc", "_SUCCESS", "._SUCCESS.crc",
          ".nfs000000000000")  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
def test_what_programs_leave_beside_files_stops_no_month(name: str, drop: Path) -> None:
    [before] = deliveries.found_in(STREAMFLOW, drop.parent, FIRST, 0, 9e9)
    (drop / name).touch()
    assert deliveries.found_in(STREAMFLOW, drop.parent, FIRST, 0, 9e9) == (before,)


@pytest.mark.parametrize("name", [".#users.csv", "old.csv", "users.csv.old", "labels.parquet", "users.parquet"])
def test_a_link_to_nothing_stops_no_month(name: str, drop: Path) -> None:
    [before] = deliveries.found_in(STREAMFLOW, drop.parent, FIRST, 0, 9e9)
    (drop / name).symlink_to(drop / "nowhere")
    assert deliveries.found_in(STREAMFLOW, drop.parent, FIRST, 0, 9e9) == (before,)
    assert content_hash(drop, (LABELS,)) == before.labels


# Folders as Spark writes them


@pytest.fixture
def spark(drop: Path) -> Path:
    """The drop's users in two parts, as Spark leaves them."""
    header, *rows = (drop / "users.csv").read_text().splitlines()
    folder = drop / "users.csv"
    folder.unlink()
    folder.mkdir()
    for n, part in enumerate((rows[:20], rows[20:])):
        (folder / f"part-0000{n}-ab12-c000.csv").write_text("\n".join([header, *part, ""]))
        (folder / f".part-0000{n}-ab12-c000.csv.crc").touch()
    (folder / "_SUCCESS").touch()
    return folder


def test_a_folder_of_parts_is_a_tables_file(spark: Path) -> None:
    assert file_of(spark.parent, USERS) == spark
    [delivery] = deliveries.found_in(STREAMFLOW, spark.parent.parent, FIRST, 0, 9e9)
    assert delivery.unready is None
    with (spark / "part-00001-ab12-c000.csv").open("a") as part:
        part.write("\n")
    [changed] = deliveries.found_in(STREAMFLOW, spark.parent.parent, FIRST, 0, 9e9)
    assert changed.state not in ("", delivery.state)


def test_a_folder_that_is_being_written_is_not_delivered(spark: Path) -> None:
    (spark / "_temporary" / "0").mkdir(parents=True)
    [delivery] = deliveries.found_in(STREAMFLOW, spark.parent.parent, FIRST, 0, 9e9)
    assert delivery.unready == "2024-01 waits: month_000 is still being written: users.csv/_temporary"
    with pytest.raises(DropError, match=r"users: .*users.csv is still being written: _temporary is in it"):
        file_of(spark.parent, USERS)
    for part in spark.glob("part-*"):
        part.unlink()
    [delivery] = deliveries.found_in(STREAMFLOW, spark.parent.parent, FIRST, 0, 9e9)
    assert delivery.unready == "2024-01 waits: month_000 has no file yet for users"


def test_parts_that_still_change_are_waited_for(spark: Path) -> None:
    newest = max(path.stat().st_ctime for path in (spark, *spark.iterdir()))
    [delivery] = deliveries.found_in(STREAMFLOW, spark.parent.parent, FIRST, 10, newest + 5)
    assert delivery.unready is not None
    assert "month_000/users.csv" in delivery.unready


def test_another_name_of_the_same_parts_is_another_drop(spark: Path) -> None:
    before = content_hash(spark.parent, TABLES)
    shutil.move(spark / "part-00000-ab12-c000.csv", spark / "part-00002-ab12-c000.csv")  # other rows come first
    assert content_hash(spark.parent, TABLES) != before
