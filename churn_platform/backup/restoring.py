"""Restoring: a backup's file as a platform again, at the same place or another one.

Here: in which order things come back, so that a platform is there in full or recognised as one that is not. Not here:
what a backup is (`archive`, `making`), or the runs that were under way (`automation.history`).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from churn_platform.backup.archive import Inventory, unpack
from churn_platform.backup.databases import opened
from churn_platform.backup.making import databases_of
from churn_platform.files import modes
from churn_platform.home import RESTORING, RestoreError, refuse_half
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables import published
from churn_platform.tables.catalog import CATALOG

if TYPE_CHECKING:
    from churn_platform.backup.databases import Database
    from churn_platform.settings import Settings

_VARIABLES = {
    "platform": "CHURN_POSTGRES_URL",
    "mlflow": "CHURN_MLFLOW_TRACKING_URI",
    "online": "CHURN_ONLINE_STORE_URL",
}


def restore(settings: Settings, file: Path, follow: Callable[[str], None]) -> Inventory:
    """Bring a backup back into an empty home and empty databases. `follow` is told what is being done.

    Raises RestoreError, ArchiveError, DatabaseError and PlaceError, and then nothing of it may be used: the home has
    the folder RESTORING, which no program of the platform begins with.
    """
    home = settings.home
    folder = home / RESTORING
    _refuse_used(home)
    with opened(databases_of(settings)) as databases:
        _refuse_full(databases)
        folder.mkdir(parents=True)
        try:
            inventory = _prepare(file, folder, home, databases, follow)
        except BaseException:
            shutil.rmtree(folder)
            raise
        follow("moving the files into place")
        _merge(folder / "home", home)
        for database in databases:
            database.commit()
    for name, day in inventory.published:
        follow(f"publishing {name} of {day[:7]}")
        _publish(settings, name, Month.parse(day[:7]))
    modes.correct(home, int(settings.file_mode, 8), secret=[settings.token_file])
    shutil.rmtree(folder)
    return inventory


def _prepare(
    file: Path, folder: Path, home: Path, databases: list[Database], follow: Callable[[str], None]
) -> Inventory:
    """Unpack, and fill the databases, which nobody sees before they are committed."""
    follow("unpacking")
    inventory = unpack(file, folder)
    _refuse_others(inventory, databases)
    (folder / "home").mkdir(exist_ok=True)
    moves = [(f"{inventory.home}/", f"{home.absolute()}/")]
    moves += [(Path(before).as_uri() + "/", Path(after).as_uri() + "/") for before, after in moves]
    _move_mlflow(folder / "home", moves)
    for database in databases:
        follow(f"filling the database {database.name}")
        database.read(folder / "databases" / database.name)
        if database.name == "mlflow":
            for before, after in moves:
                database.replace(before, after)
    return inventory


def _refuse_used(home: Path) -> None:
    refuse_half(home)
    if file := next((path for path in sorted(home.rglob("*")) if not path.is_dir()), None):
        raise RestoreError(
            f"{home} (CHURN_HOME) is in use, since it has {file.relative_to(home)}: move it away or set another folder,"
            " so that nothing is overwritten"
        )


def _refuse_full(databases: list[Database]) -> None:
    for database in databases:
        if not database.is_empty():
            raise RestoreError(
                f"the PostgreSQL database {database.name} ({_VARIABLES[database.name]}) has tables already: name an"
                " empty one, so that nothing is overwritten"
            )


def _refuse_others(inventory: Inventory, databases: list[Database]) -> None:
    """Raise where the settings name other databases than the backup has."""
    named = {database.name for database in databases}
    for name, variable in _VARIABLES.items():
        if name in inventory.databases and name not in named:
            raise RestoreError(f"the backup has the PostgreSQL database {name}: set {variable} to an empty one")
        if name in named and name not in inventory.databases:
            raise RestoreError(f"the backup has no PostgreSQL database {name}, but the same in files: unset {variable}")


def _merge(source: Path, target: Path) -> None:
    """Move what is in a folder into another one, which may have folders that are disks of their own."""
    target.mkdir(exist_ok=True)
    for path in sorted(source.iterdir()):
        place = target / path.name
        if path.is_dir() and place.is_dir():
            _merge(path, place)
        else:
            shutil.move(path, place)


def _publish(settings: Settings, name: str, month: Month) -> None:
    lake = Lake(settings.lake)
    table = next((table for table in CATALOG if table.name == name), None)
    if table is not None and lake.has(table.source, month):  # otherwise nothing stands behind it any more
        published.publish(settings.postgres_url.get_secret_value(), lake, table, month)


def _move_mlflow(home: Path, moves: list[tuple[str, str]]) -> None:
    """Let an embedded MLflow store find its files at their new place: it remembers absolute paths."""
    store = home / "mlflow" / "mlflow.db"
    if not store.exists():
        return
    with closing(sqlite3.connect(store)) as database, database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            columns = database.execute(f"PRAGMA table_info('{table}')").fetchall()
            for column in (name for _, name, kind, *_ in columns if kind.startswith(("VARCHAR", "TEXT"))):
                for before, after in moves:
                    change = f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE instr("{column}", ?)'  # noqa: S608  # names
                    database.execute(change, (before, after, before))
    for path in home.rglob("MLmodel"):
        text = path.read_text()
        for before, after in moves:
            text = text.replace(before, after)
        path.write_text(text)
