"""Bad drops through the command line: the month stops with one sentence and keeps nothing, or goes on and says so."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drop of 200 customers."""
    return homes.deliver(tmp_path_factory.mktemp("sound"), customers=200)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all the drops that stop: none of them leaves anything."""
    return tmp_path_factory.mktemp("stopped")


@pytest.fixture
def drop(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "drops" / "month_000"))


def replace_header(path: Path, before: str, after: str) -> None:
    path.write_text(path.read_text().replace(before, after, 1))


def to_gz(path: Path, keep: int) -> None:
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes())[:keep])
    path.unlink()


def break_rows(path: Path, count: int) -> None:
    for line in range(2, 2 + count):
        homes.put(path, line, "failed_payments_90d", "-1")


STOPS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing file": ("payments_agg_90d.csv", Path.unlink, "payments_agg_90d: no file in "),
    "missing column": (
        "usage_agg_30d.csv",
        lambda path: homes.edit(path, lambda rows: [row[:-1] for row in rows]),
        "usage_agg_30d.csv: table usage_agg_30d lacks column rebuffer_events_7d",
    ),
    "unknown column": (
        "users.csv",
        lambda path: homes.edit(path, lambda rows: [[*row, "age" if n == 0 else "3"] for n, row in enumerate(rows)]),
        "users.csv: table users has unknown column age",
    ),
    "unreadable file": (
        "support_agg_90d.csv",
        lambda path: to_gz(path, 300),
        "support_agg_90d.csv.gz: table support_agg_90d cannot be read: ",
    ),
    "wrong encoding": (
        "users.csv",
        lambda path: path.write_bytes(path.read_text().encode("utf-16")),
        "users.csv: table users is UTF-16 text: save it as UTF-8",
    ),
    "empty file": (
        "users.csv",
        lambda path: path.write_bytes(b""),
        "users.csv: table users is empty: not even a header",
    ),
    "header only": (
        "payments_agg_90d.csv",
        lambda path: homes.edit(path, lambda rows: rows[:1]),
        "payments_agg_90d.csv: payments_agg_90d has a header but no rows",
    ),
    "above the tolerance": (
        "payments_agg_90d.csv",
        lambda path: break_rows(path, 3),
        "payments_agg_90d.csv: 3 of 200 rows of payments_agg_90d break its contract (1.5%, "
        "CHURN_QUARANTINE_TOLERANCE allows 1.0%): line 2, column failed_payments_90d: '-1' is outside 0 to 1000; ",
    ),
    "wrong labels": (
        "labels.csv",
        lambda path: replace_header(path, "churn_label", "churned"),
        "labels.csv: table labels lacks column churn_label",
    ),
}


@pytest.mark.parametrize("case", STOPS)
def test_the_month_stops(case: str, drop: Path, home: Path) -> None:
    name, change, wanted = STOPS[case]
    platform = Platform(homes.settings_of(home, drop.parent))
    change(drop / name)
    result = platform.churn("close", "2024-01")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert wanted in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert homes.contents(platform.settings.lake) == {}


def test_broken_rows_within_the_tolerance_are_put_aside_and_told(drop: Path, tmp_path: Path) -> None:
    platform = Platform(homes.settings_of(tmp_path))
    break_rows(drop / "payments_agg_90d.csv", 1)
    homes.put(drop / "payments_agg_90d.csv", 17, "failed_payments_90d", "many")
    homes.edit(drop / "usage_agg_30d.csv", lambda rows: [*rows, ["0000-ZZZZZ", *rows[1][1:]]])
    homes.edit(drop / "labels.csv", lambda rows: [*rows, ["0000-ZZZZZ", "True"]])
    result = platform.churn("close", "2024-01")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "2024-01 closed: 200 active customers, labels landed",
        "2024-01: 1 row in quarantine from usage_agg_30d",
        "    line 202, column user_id: '0000-ZZZZZ' is an unknown customer",
        "2024-01: 2 rows in quarantine from payments_agg_90d",
        "    line 2, column failed_payments_90d: '-1' is outside 0 to 1000",
        "    line 17, column failed_payments_90d: 'many' is not a whole number",
        "2024-01: 1 row in quarantine from labels",
        "    line 202, column user_id: '0000-ZZZZZ' is an unknown customer",
        f"all rows of 2024-01 in quarantine: {platform.home.lake.path('quarantine/TABLE', homes.MONTHS[0])}",
    ]
    lake, month = platform.home.lake, homes.MONTHS[0]
    frame = lake.frame("quarantine/payments_agg_90d", month)
    assert frame.to_dict("records") == [
        {"file": "payments_agg_90d.csv", "line": 2, "column": "failed_payments_90d", "value": "-1",
         "rule": "is outside 0 to 1000"},
        {"file": "payments_agg_90d.csv", "line": 17, "column": "failed_payments_90d", "value": "many",
         "rule": "is not a whole number"},
    ]  # fmt: skip
    page = (platform.settings.data_docs / "2024-01" / "payments_agg_90d.html").read_text()
    told = re.findall(r"<div class=\"show-scrollbars\">([^<]*)</div>", page)
    assert told[told.index("many") :][:3] == ["many", "1", "17"]
    assert told[told.index("-1") :][:3] == ["-1", "1", "2"]
    assert "file_row" not in page
    assert "df.filter" not in page
    for table in ("usage_agg_30d", "labels"):
        assert lake.frame(f"quarantine/{table}", month)["rule"].tolist() == ["is an unknown customer"]
    assert lake.rows("landed/payments_agg_90d", month) == 198
    # A customer without a sound payments row is active all the same, and what is not known is null.
    features = lake.frame("features", month)
    assert len(features) == 200
    assert features["failed_payments_90d"].isna().sum() == 2


def test_what_is_named_nearly_right_is_told_wherever_one_looks(drop: Path, tmp_path: Path) -> None:
    platform = Platform(homes.settings_of(tmp_path))
    (drop / "labels.csv").rename(drop / "Labels.CSV")
    (drop.parent / "month_1").mkdir()
    folder = "'month_1' is passed over: the drop of 2024-02 is named month_001 or 2024-02"
    file = (
        "'month_000/Labels.CSV' is passed over: the file of labels is named "
        "labels.csv or labels.csv.gz or labels.parquet"
    )
    result = platform.churn("close", "--all")
    assert (result.exit_code, result.stdout) == (0, "2024-01 closed: 200 active customers, no labels yet\n")
    assert result.stderr.splitlines()[-2:] == [folder, file]
    assert json.loads(platform.churn("status", "--json").stdout)["passed_over"] == [folder, file]
    assert file in " ".join(platform.churn("status").stdout.split())
    drop.rename(drop.parent / "month_0")
    assert "'month_0' is passed over" in platform.churn("close", "--all").stderr


def test_a_drop_in_parts_closes_like_one_in_files(drop: Path, tmp_path: Path) -> None:
    whole = Platform(homes.settings_of(tmp_path / "whole", drop.parent))
    assert whole.churn("close", "2024-01").exit_code == 0
    landed = homes.contents(whole.settings.lake, "landed/**/*.parquet")
    shutil.copytree(drop.parent, tmp_path / "parts")
    for path in list((tmp_path / "parts" / "month_000").iterdir()):
        header, *rows = path.read_text().splitlines()
        path.unlink()
        path.mkdir()
        (path / "_SUCCESS").touch()
        for n, part in enumerate((rows[:50], rows[50:])):
            (path / f"part-{n:05d}.csv").write_text("\n".join([header, *part, ""]))
            (path / f".part-{n:05d}.csv.crc").touch()
    parts = Platform(homes.settings_of(tmp_path / "home", tmp_path / "parts"))
    result = parts.churn("close", "2024-01")
    assert result.stdout == "2024-01 closed: 200 active customers, labels landed\n"
    assert homes.contents(parts.settings.lake, "landed/**/*.parquet") == landed


def test_a_mended_drop_closes_as_if_nothing_had_been(drop: Path, sound: Path, tmp_path: Path) -> None:
    platform = Platform(homes.settings_of(tmp_path))
    homes.edit(drop / "users.csv", lambda rows: rows[:1])
    assert platform.churn("close", "2024-01").exit_code == 1
    shutil.copy(sound / "users.csv", drop / "users.csv")
    (drop / "labels.csv").unlink()
    assert platform.churn("close", "2024-01").stdout == "2024-01 closed: 200 active customers, no labels yet\n"
    assert platform.home.registry.champion() is None
    shutil.copy(sound / "labels.csv", drop / "labels.csv")
    assert platform.churn("close", "2024-01").stdout == "2024-01 closed: 200 active customers, labels landed\n"
