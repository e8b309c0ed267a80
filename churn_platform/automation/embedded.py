"""The embedded storage: Dagster's SQLite files, each with all of its tables, or not there.

Here: making them so that a kill leaves no half of one, and so that only one process makes them. Not here: opening the
storage (`instance`), or the one on PostgreSQL (`storage`).
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from churn_platform.files import locked

_PARTS = {"history": ("runs.db", "runs/index.db"), "schedules": ("schedules.db",)}
"""The folders of Dagster's home that hold its storage, and the files with which each begins."""
_IN_USE = {"history": ("runs.db", "runs"), "schedules": ("schedules.db", "instigators")}
"""The file and table whose rows somebody would miss."""


def prepare(home: Path) -> None:
    """Make what Dagster's home lacks of its storage, and what a kill has left of it without a row.

    Dagster makes its tables one by one: a process that is killed meanwhile, or that meets another one doing the same,
    leaves a file that Dagster takes for whole. So they are made in another folder, under a lock. Raises sqlite3.Error
    where a file is damaged, and OSError.
    """
    if all(_is_whole(home, part) for part in _PARTS):
        return
    with locked(home / ".storage.lock"):
        lacking = [part for part in _PARTS if not _is_whole(home, part)]
        made = home / ".storage.new"
        shutil.rmtree(made, ignore_errors=True)  # left behind by a process that was killed
        _make(made)
        for part in lacking:
            shutil.rmtree(home / part, ignore_errors=True)
            (made / part).rename(home / part)
        shutil.rmtree(made)


def _make(home: Path) -> None:
    """A new home with all of the storage's tables, and nothing in them."""
    import dagster as dg

    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.local_temp(str(home)):
        pass


def _is_whole(home: Path, part: str) -> bool:
    """Whether each of the part's files has the stamp that Dagster gives it last, or the part is in use."""
    file, table = _IN_USE[part]
    return _has_rows(home / part / file, table) or all(
        _has_rows(home / part / name, "alembic_version") for name in _PARTS[part]
    )


def _has_rows(path: Path, table: str) -> bool:
    if not path.exists():
        return False
    if _is_cut(path):
        raise sqlite3.DatabaseError(f"{path.name} is cut off")
    # It must be writable: what a kill has left in a journal is played back first.
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
        there = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchall()
        return bool(there and database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall())  # noqa: S608  # ours


def _is_cut(path: Path) -> bool:
    """Whether a file is shorter than its header says; SQLite would notice that only when it misses a page."""
    with path.open("rb") as file:
        header = file.read(32)
    size, pages = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
    # What is still in the log beside it may belong to pages that are not in the file yet.
    return path.stat().st_size < size * pages and not path.with_name(f"{path.name}-wal").exists()
