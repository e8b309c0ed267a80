"""Making a backup, of a platform that may be at work.

Here: what is taken, and in which order. Not here: how files and databases are taken (`moment`, `databases`), or the
file that they end in (`archive`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from churn_platform import erasure_requests
from churn_platform.backup.archive import FORMAT, Archive, Inventory
from churn_platform.backup.databases import opened
from churn_platform.backup.moment import Pinned, taken
from churn_platform.faults import Fault, placing
from churn_platform.files.modes import OWNER_ALONE
from churn_platform.files.scratch import scratch
from churn_platform.home import Home
from churn_platform.settings.databases import DRIVER, databases_of
from churn_platform.settings.urls import without_secrets

if TYPE_CHECKING:
    from churn_platform.backup.databases import Database
    from churn_platform.settings import Settings

DECLARATION = "company.toml"
"""What a declaration that lies elsewhere is called in the home of a backup, unless another file is called so."""


class BackupError(Fault):
    """A backup that is not made; the message says why."""


@dataclass(frozen=True)
class Made:
    """A backup that was made: of when, how many files and databases it holds, and what it does not hold."""

    made_at: str
    files: int
    databases: int
    lacks: tuple[str, ...]


def make(home: Home, file: Path, follow: Callable[[str], None]) -> Made:
    """Back up a platform into a new file, and say what is in it. `follow` is told what is being done.

    Raises BackupError, MomentError, DatabaseError, BookError and PlaceError.
    """
    settings = home.settings
    _refuse(settings, file)
    with ExitStack() as stack:
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        follow("taking what is there at one moment")
        with home.ledger.locked():
            databases = stack.enter_context(opened(databases_of(settings)))
            files = stack.enter_context(taken(settings.home))
        place = stack.enter_context(scratch(file.absolute().parent))  # if this is killed, the next one removes it
        stack.enter_context(placing(place.parent))
        written = place / "backup.tar"
        written.touch(OWNER_ALONE)
        archive = Archive(stack.enter_context(written.open("wb")))
        company, files = _with_declaration(settings, files)
        follow(f"writing {len(files)} files")
        for one in files:
            archive.add(f"home/{one.name}", one.path)
        for database in databases:
            follow(f"writing the database {database.name}")
            rows = place / "databases" / database.name
            database.write(rows)
            for path in sorted(path for path in rows.rglob("*") if path.is_file()):
                archive.add(path.relative_to(place).as_posix(), path)
            shutil.rmtree(rows)
        archive.close(
            Inventory(
                format=FORMAT,
                made_at=begun,
                version=version("churn-platform"),
                home=str(settings.home.absolute()),
                databases=tuple(database.name for database in databases),
                published=tuple(month for database in databases for month in database.published()),
                sha256=archive.sha256,
                company=company,
            )
        )
        _put(written, file)
        return Made(begun, len(files), len(databases), tuple(_lacks(settings, databases)))


def _with_declaration(settings: Settings, files: list[Pinned]) -> tuple[str, list[Pinned]]:
    """What the declaration is called in the backup's home, and the files with it; nothing more where none is named.

    One that lies in the home keeps its name, if it is among the files; any other gets one that no other file has.
    """
    if settings.company is None or not settings.company.is_file():
        return "", files
    file, home = settings.company.resolve(), settings.home.resolve()
    there = {one.name: one.path for one in files}
    if file.is_relative_to(home) and (name := file.relative_to(home).as_posix()) in there:
        return name, files
    content, taken_names = file.read_bytes(), {name.partition("/")[0] for name in there}
    names = chain([DECLARATION], (f"company_{number}.toml" for number in count(2)))
    # One that says the same is what an earlier restore has put there.
    name = next(n for n in names if n not in taken_names or (n in there and there[n].read_bytes() == content))
    return name, files if name in there else [*files, Pinned(name, file)]


def _put(written: Path, file: Path) -> None:
    """Give the file its name. Raises BackupError where somebody has taken that."""
    try:
        file.hardlink_to(written)
    except FileExistsError as error:
        raise BackupError(f"{file} was made by somebody else meanwhile: choose another name") from error
    except OSError:  # its disk has no second names
        written.rename(file)


def _refuse(settings: Settings, file: Path) -> None:
    """Raise where the backup cannot be what it should be, before anything is done."""
    if not settings.home.is_dir():
        raise BackupError(f"{settings.home} (CHURN_HOME) is not there, so there is nothing to back up")
    if not str(settings.home).isprintable():
        raise BackupError(f"{settings.home} (CHURN_HOME) has a name that is no text: give it another one")
    if erasure_requests.waiting(settings.erasure_requests):  # half of what it erases would come back with the backup
        raise BackupError("an erasure is not finished: wait for it, or finish it with churn forget")
    if file.exists():
        raise BackupError(f"{file} exists already: choose another name")
    if file.absolute().parent.resolve().is_relative_to(settings.home.resolve()):
        raise BackupError(f"{file} is in {settings.home} (CHURN_HOME), and would be lost with it: choose another place")


def _lacks(settings: Settings, databases: list[Database]) -> Iterator[str]:
    """What the platform keeps where this cannot reach it, and what others keep in its databases, in sentences."""
    if settings.company and not settings.company.is_file():
        yield f"the declaration {settings.company} (CHURN_COMPANY) is not in it, since there is no such file"
    uri, home = settings.mlflow_uri, settings.home.resolve()
    embedded = uri.startswith("sqlite:///")
    if embedded and not Path(uri.removeprefix("sqlite:///")).absolute().resolve().is_relative_to(home):
        yield f"the model versions in {uri} are not in it: back up that file and its artifacts too"
    elif not embedded and not DRIVER.match(uri):
        yield f"the model versions in {without_secrets(uri)} are not in it: back up MLflow's database and artifacts too"
    for database in databases:
        if names := database.left_out():
            yield f"of the database {database.name}, these are not in it: {', '.join(names)}"
        if database.name == "mlflow":
            found = {*database.column("runs", "artifact_uri"), *database.column("logged_models", "artifact_location")}
            own = (f"{settings.home.absolute().as_uri()}/", f"{settings.home.absolute()}/", "mlflow-artifacts:")
            if outside := sorted(place for place in found if not place.startswith(own)):
                yield f"MLflow's artifacts in {outside[0]}, and {len(outside) - 1:,} more places, are not in it"
