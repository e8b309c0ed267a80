"""Restoring: a backup's file as a platform again, at the same place or another one.

Here: in which order things come back, so that a platform is there in full or recognised as one that is not. Not here:
what a backup is (`archive`, `making`), or the runs that were under way (`automation.history`).
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from churn_platform.backup.archive import ArchiveError, Inventory, unpack
from churn_platform.backup.databases import opened
from churn_platform.backup.moment import first_file
from churn_platform.company.reading import shipped_text
from churn_platform.erasure import erasing
from churn_platform.faults import Fault, placing
from churn_platform.files import modes
from churn_platform.home import Home
from churn_platform.months import Month, MonthError
from churn_platform.settings import RESTORING, refuse_half
from churn_platform.settings.databases import databases_of
from churn_platform.shown import counted, inert
from churn_platform.tables import published
from churn_platform.tables.catalog import catalog

if TYPE_CHECKING:
    from churn_platform.backup.databases import Database
    from churn_platform.settings import Settings


class RestoreError(Fault):
    """A backup that is not restored; the message says why, and what to do."""

    lasting = True


_VARIABLES = {
    "platform": "CHURN_POSTGRES_URL",
    "mlflow": "CHURN_MLFLOW_TRACKING_URI",
    "online": "CHURN_ONLINE_STORE_URL",
}


def restore(settings: Settings, file: Path, follow: Callable[[str], None]) -> Inventory:
    """Bring a backup back into an empty home and empty databases. `follow` is told what is being done.

    The home then still has the folder RESTORING, with which no program of the platform begins; `finish` removes it.
    Raises RestoreError, HalfRestoredError, ArchiveError, DatabaseError and PlaceError.
    """
    home = settings.home
    folder = home / RESTORING
    refuse_half(home)
    if path := first_file(home):
        raise RestoreError(
            f"{home} (CHURN_HOME) is in use, since it has {path.relative_to(home)}: move it away or set another folder,"
            " so that nothing is overwritten"
        )
    with opened(databases_of(settings)) as databases:
        _refuse_full(databases)
        home.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            refuse_half(home)
        try:
            with placing(home):
                inventory, months = _prepare(file, folder, home, databases, follow)
        except BaseException:
            shutil.rmtree(folder)
            raise
        follow("moving the files into place")
        _merge(folder / "home", home)
        for database in databases:
            database.commit()
    company = declaration(settings, inventory)
    _erase_again(settings.model_copy(update={"company": company}), follow)
    for name, month in months:
        follow(f"publishing {name} of {month}")
        _publish(settings.model_copy(update={"company": company}), name, month)
    modes.correct(home, int(settings.file_mode, 8), secret=settings.owner_alone)
    return inventory


def _erase_again(settings: Settings, follow: Callable[[str], None]) -> None:
    """Erase those who have a tombstone and are in the backup, since it is older than their erasure."""
    home = Home(settings)
    erasing.refuse_without_tombstones(home)
    if customers := erasing.come_back(home):
        follow(f"erasing {counted(len(customers), 'customer')} again")
        erasing.erase_again(home, customers)


def declaration(settings: Settings, inventory: Inventory) -> Path | None:
    """The declaration of what was restored, None for the one that is shipped: as the settings name it, if they do."""
    restored = settings.home / inventory.company if inventory.company else None
    return settings.company if _content(settings.company) == _content(restored) else restored


def _content(company: Path | None) -> bytes:
    """What a declaration says; nothing where its file cannot be read, as whoever begins the platform is told."""
    if company is None:
        return shipped_text().encode()
    try:
        return company.read_bytes()
    except OSError:
        return b""


def finish(home: Path) -> None:
    """All of it is there: the home is a platform's."""
    shutil.rmtree(home / RESTORING)


def _prepare(
    file: Path, folder: Path, home: Path, databases: list[Database], follow: Callable[[str], None]
) -> tuple[Inventory, list[tuple[str, Month]]]:
    """Unpack, and fill the databases, which nobody sees before they are committed; and what is to be published."""
    follow("unpacking")
    inventory = unpack(file, folder)
    if inventory.company and f"home/{inventory.company}" not in inventory.sha256:
        raise ArchiveError(f"{file} lacks {inert(inventory.company)}, the company's declaration: use another one")
    _refuse_others(inventory, databases)
    try:
        (folder / "home").mkdir(exist_ok=True)
        months = [(name, Month.parse(day[:7])) for name, day in inventory.published]
        move = Move(Path(inventory.home), home.absolute())
        if move.before != move.after:
            move.store(folder / "home" / "mlflow")
    except (MonthError, FileExistsError, IsADirectoryError, ValueError, sqlite3.Error) as error:
        raise ArchiveError(f"{file} has what no backup has: {error}: use another one") from error
    for database in databases:
        follow(f"filling the database {database.name}")
        database.read(folder / "databases" / database.name)
        if database.name == "mlflow" and move.before != move.after:
            database.change_places(move.text)
    return inventory, months


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
    """Move what is in a folder into another one, which may have empty folders that are disks of their own."""
    target.mkdir(exist_ok=True)
    for path in sorted(source.iterdir()):
        place = target / path.name
        if path.is_dir() and place.is_dir():
            _merge(path, place)
        elif place.exists():
            raise RestoreError(f"{place} was made meanwhile: stop whatever uses {target}, empty it and restore again")
        else:
            shutil.move(path, place)


def _publish(settings: Settings, name: str, month: Month) -> None:
    lake = Home(settings).lake
    table = next((table for table in catalog(lake.contract) if table.name == name), None)
    if table is not None and lake.has(table.source, month):  # otherwise nothing stands behind it any more
        published.publish(settings.postgres_url.get_secret_value(), lake, table, month)


class Move:
    """MLflow's files at another place than before: it remembers absolute paths, and URLs of files."""

    def __init__(self, before: Path, after: Path) -> None:
        self.before = before
        self.after = after
        self._places = {f"{before}/": f"{after}/", f"{before.as_uri()}/": f"{after.as_uri()}/"}
        begins = "|".join(map(re.escape, self._places))
        self._begins = re.compile(rf"""(?:^|(?<=["'\s]))(?:{begins})""")

    def text(self, text: str) -> str:
        """A text with the places that stand at its beginning, or at that of a word, changed."""
        return self._begins.sub(lambda found: self._places[found[0]], text)

    def store(self, folder: Path) -> None:
        """Change them in an embedded store."""
        if not (folder / "mlflow.db").exists():
            return
        with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
            database.create_function("moved", 1, self.text, deterministic=True)
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                columns = database.execute(f"PRAGMA table_info('{table}')").fetchall()
                for column in (name for _, name, kind, *_ in columns if kind.startswith(("VARCHAR", "TEXT"))):
                    change = f'UPDATE "{table}" SET "{column}" = moved("{column}") WHERE instr("{column}", \'/\')'  # noqa: S608
                    database.execute(change)
        for path in folder.rglob("MLmodel"):
            path.write_text(self.text(path.read_text()))
