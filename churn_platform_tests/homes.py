"""Homes to test in: a small company's drops, edited drops, and what a lake's files hold.

Here: what several test files need besides fixtures. Not here: the fixtures (`conftest`), or what runs in other
processes (`processes`).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from churn_platform.backup.restoring import Move
from churn_platform.home import Home
from churn_platform.intake.parsing import ROW, parse
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.settings import Settings
from churn_platform.simulation.drops import simulate, write_drop
from churn_platform.tables import delivery, origins
from churn_platform.tables.features import WINDOW, feature_table, snapshot
from churn_platform.tables.names import FEATURES, landed
from churn_platform.tables.proofs import ENDING
from churn_platform_tests.streamflow import STATE_TABLES, TABLES

CUSTOMERS = 500
MONTHS = (Month(2024, 1), Month(2024, 2), Month(2024, 3))

Rows = list[list[str]]


def deliver(folder: Path, months: int = 1, customers: int = 60, seed: int = 3) -> Path:
    """Write a small company's drops, and return the last one's folder."""
    drops = [write_drop(month, folder) for month in simulate(months, customers, seed)]
    return drops[-1]


def rows_of(path: Path) -> Rows:
    """A CSV's header and rows; bytes that are no text stay as they are when they are written again."""
    with path.open(newline="", errors="surrogateescape") as file:
        return list(csv.reader(file))


def write_rows(path: Path, rows: Rows) -> None:
    """Write a header and rows as the company does."""
    path.write_bytes("".join(",".join(row) + "\n" for row in rows).encode(errors="surrogateescape"))


def edit(path: Path, change: Callable[[Rows], Rows | None]) -> None:
    """Change a CSV's rows, the header first, in place or by returning others."""
    rows = rows_of(path)
    changed = change(rows)
    write_rows(path, rows if changed is None else changed)


def put(path: Path, line: int, column: str, value: str) -> None:
    """Put a value on a line, counted from 1 with the header."""
    rows = rows_of(path)
    rows[line - 1][rows[0].index(column)] = value
    write_rows(path, rows)


def to_parquet(path: Path) -> Path:
    """Turn a CSV into Parquet, with the types that DuckDB sees in it."""
    import duckdb

    made = path.with_suffix(".parquet")
    duckdb.execute(f"COPY (FROM read_csv('{path}', hive_partitioning=false)) TO '{made}' (FORMAT parquet)")
    path.unlink()
    return made


def compress(path: Path) -> Path:
    """Turn a CSV into CSV.gz."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed


def settings_of(folder: Path, drops: Path | None = None, **other: object) -> Settings:
    """The settings of a platform that lives under a folder."""
    return Settings(home=folder / "home", drops=drops or folder / "drops", **other)  # type: ignore[arg-type]


def copied(settings: Settings, folder: Path) -> Settings:
    """The settings of a copy of a platform with its drops, free to be changed.

    Its reports, which are most of its bytes, are the same files: they are only ever replaced.
    """

    def copy(source: str, target: str) -> None:
        (os.link if source.startswith(f"{settings.reports}/") else shutil.copy)(source, target)

    shutil.copytree(settings.home, folder / "home", copy_function=copy)
    shutil.copytree(settings.drops, folder / "drops", copy_function=copy)
    Move(settings.home, folder / "home").store(folder / "home" / "mlflow")
    return settings.model_copy(update={"home": folder / "home", "drops": folder / "drops"})


def open_to_others(home: Path) -> Iterator[str]:
    """The files and folders of a home that its group or others may do anything with."""
    for path in (home, *home.rglob("*")):
        with suppress(FileNotFoundError):  # a temporary one
            if not path.is_symlink() and path.stat().st_mode & 0o077:
                yield f"{stat.filemode(path.stat().st_mode)} {path.relative_to(home)}"


def contents(lake: Path, pattern: str = "**/*.parquet") -> dict[str, str]:
    """The SHA-256 of a lake's files, by path."""
    return {
        str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(lake.glob(pattern))
    }


def repeatable(lake: Path) -> dict[str, str]:
    """Those of the lake's files that another lake with the same months has, too: proofs have random salts."""
    return {name: digest for name, digest in contents(lake).items() if not name.endswith(ENDING)}


def land(lake: Lake, month: Month, drop: Path, *, labels: bool = False) -> None:
    """Land a drop that is known to be sound, without Dagster and without judging it."""
    for table in TABLES if labels else STATE_TABLES:
        typed = parse(lake.engine, drop / f"{table.name}.csv", table).typed
        lake.write(landed(table.name), month, typed.drop(ROW).order_by("user_id"))


def close(lake: Lake, month: Month) -> None:
    """The month's snapshots and features from what has landed, without Dagster."""
    take_snapshots(lake, month)
    make_features(lake, month)


def take_snapshots(lake: Lake, month: Month) -> None:
    """The month's snapshots alone."""
    for name, table in lake.contract.snapshots.items():
        previous = lake.read(name, month - 1) if month > MONTHS[0] else None
        lake.write(name, month, snapshot(table, month, lake.read(landed(table.name), month), previous))


def make_features(lake: Lake, month: Month) -> None:
    """The month's features, from its snapshots and earlier ones."""
    window = [month - ago for ago in range(min(WINDOW, month.since(MONTHS[0]) + 1))]
    snapshots = {name: [lake.read(name, m) for m in window] for name in lake.contract.snapshots}
    built_from = [(name, m) for name in snapshots for m in window]
    lake.write(FEATURES, month, feature_table(lake.contract, month, snapshots), built_from)
    origins.record(lake, month)


def scores_are_stale(home: Home, month: Month) -> bool:
    """Whether the month's scores differ from those that the present champion would give it."""
    champion = home.registry.champion()
    return delivery.scores_are_stale(home.lake, month, champion.number if champion else None)
