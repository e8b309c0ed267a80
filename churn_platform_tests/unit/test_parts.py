"""Parts: a folder as Spark writes it reads as one table, and each of its rows is found in its file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pytest

from churn_platform.intake.drops import DropError
from churn_platform.intake.parsing import ROW, Parsed, Place, parse
from churn_platform.lake import Lake
from churn_platform_tests.streamflow import PAYMENTS, STREAMFLOW

HEADER = "user_id,failed_payments_90d\n"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return Lake(tmp_path_factory.mktemp("lake"), STREAMFLOW).engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of CSV parts with what Spark leaves beside them."""
    made = tmp_path / "payments_agg_90d.csv"
    made.mkdir()
    (made / "_SUCCESS").touch()
    (made / ".part-0.csv.crc").write_bytes(b"crc\0")
    return made


def rows(parsed: Parsed) -> list[tuple[str, int, Place]]:
    frame = parsed.typed.order_by(ROW).to_pandas()
    return [(key, value, parsed.places([row])[row]) for row, key, value in frame.itertuples(index=False)]


def test_parts_of_csv(engine: Any, folder: Path) -> None:
    (folder / "part-1.csv.gz").write_bytes(gzip.compress(f"{HEADER}0003-AAAAA,3\nx\n0004-AAAAA,4\n".encode()))
    (folder / "part-0.csv").write_text(f"{HEADER}\n0001-AAAAA,1\n0002-AAAAA,2\n")
    (folder / "part-2.csv").write_text("failed_payments_90d,user_id\n5,0005-AAAAA\n")
    (folder / "part-3.csv").touch()
    parsed = parse(engine, folder, PAYMENTS)
    assert rows(parsed) == [
        ("0001-AAAAA", 1, Place("part-0.csv", 3)),
        ("0002-AAAAA", 2, Place("part-0.csv", 4)),
        ("0003-AAAAA", 3, Place("part-1.csv.gz", 2)),
        ("0004-AAAAA", 4, Place("part-1.csv.gz", 4)),
        ("0005-AAAAA", 5, Place("part-2.csv", 2)),
    ]
    assert [(place, line.text) for place, line in parsed.unreadable.items()] == [(Place("part-1.csv.gz", 3), "x")]


def test_parts_of_parquet(engine: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a=b [c] %20d" / "payments_agg_90d.parquet"
    folder.mkdir(parents=True)
    (folder / "_committed_1").touch()
    for n, part in enumerate(("part-0.snappy.parquet", "part-1.snappy.parquet")):
        query = f"SELECT '000{n}-AAAAA' AS user_id, range AS failed_payments_90d FROM range({n + 1})"
        duckdb.execute(f"COPY ({query}) TO '{tmp_path / 'part'}' (FORMAT parquet)")
        (tmp_path / "part").rename(folder / part)
    assert rows(parse(engine, folder, PAYMENTS)) == [
        ("0000-AAAAA", 0, Place("part-0.snappy.parquet", 1)),
        ("0001-AAAAA", 0, Place("part-1.snappy.parquet", 1)),
        ("0001-AAAAA", 1, Place("part-1.snappy.parquet", 2)),
    ]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"part-0.csv": ""}, r"payments_agg_90d.csv/part-0.csv: table payments_agg_90d is empty: not even a header"),
        ({"part-0.csv": HEADER, "part-1.csv": HEADER}, r"payments_agg_90d.csv: .* has a header but no rows"),
        ({"part-0.csv": HEADER + "0001-AAAAA,1\n", "part-1.csv": "0002-AAAAA,1\n"}, r"csv/part-1.csv: .* no header"),
        ({"part-0.csv": HEADER + "0001-AAAAA,1\n", "part-1": "x"}, r"'part-1' in it is no part .* end with .csv or"),
        ({"part-0.csv": HEADER + "0001-AAAAA,1\n", "a=1/part-0.csv": "x"}, r"'a=1' in it is no part of the table"),
    ],
)
def test_what_is_wrong_with_a_part_is_told(parts: dict[str, str], told: str, engine: Any, folder: Path) -> None:
    for name, text in parts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(DropError, match=told):
        parse(engine, folder, PAYMENTS)


def test_a_parquet_in_a_folder_of_any_name(engine: Any, tmp_path: Path) -> None:
    folder = tmp_path / "user_id=x" / "[a]*?#%20"
    folder.mkdir(parents=True)
    query = "SELECT '0001-AAAAA' AS user_id, 1 AS failed_payments_90d"
    duckdb.execute(f"COPY ({query}) TO '{tmp_path / 'p'}' (FORMAT parquet)")
    path = (tmp_path / "p").rename(folder / "payments_agg_90d.parquet")
    assert rows(parse(engine, path, PAYMENTS)) == [("0001-AAAAA", 1, Place("", 1))]
