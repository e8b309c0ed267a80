"""A moment: the files of a home as they were at one time, while others go on writing.

Here: which files count, SQLite's own way of copying, and keeping a file's bytes although it is replaced. Not here: the
home's PostgreSQL databases (`databases`), or what becomes of the files (`making`).

The platform replaces its files and never changes them, but for logs, which only grow, and SQLite's. So a second name
keeps a file's content. If a further look finds every file as the last one did, all were there at the same time.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from churn_platform.faults import Fault
from churn_platform.files.scratch import scratch

_HEADER = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")  # which SQLite keeps beside its files, and makes anew
_FIRST = ("schedules.db", "runs.db")
"""Dagster's files that tell of others: what its sensors have begun, then the runs, then what happened in those."""
_SECONDS = 60.0
"""How long to wait for files to be as they were at the last look, and for a database that somebody has locked."""


class MomentError(Fault):
    """A home whose files cannot be taken; the message says which one."""


@dataclass(frozen=True)
class Pinned:
    """A file of the home: its name there, and where its bytes of that moment are."""

    name: str
    path: Path


@contextmanager
def taken(home: Path) -> Iterator[list[Pinned]]:
    """The files of a home at one moment, kept as long as the block runs. Raises MomentError."""
    with ExitStack() as stack:
        pins = _Pins(stack)
        databases = list(_databases(home, pins))
        yield [*databases, *_others(home, pins)]


def first_file(home: Path) -> Path | None:
    """Any file that is in a home, or None where it is empty."""
    return next((found.path for found in _files(home)), None)


def _databases(home: Path, pins: _Pins) -> Iterator[Pinned]:
    """The SQLite files. Each group is looked for only when the one that tells of it has been copied."""
    copied: set[str] = set()
    for group in (*_FIRST, None):
        for found in _files(home):
            if found.is_sqlite and group in (None, found.path.name) and found.name not in copied:
                copied.add(found.name)
                if (copy := pins.copy(found)) is not None:
                    yield Pinned(found.name, copy)


def _others(home: Path, pins: _Pins) -> list[Pinned]:
    """The other files, once a look has found all of them as the last one did."""
    known: dict[str, int] = {}
    places: dict[str, Path] = {}
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        now = {found.name: found for found in _files(home) if not found.is_sqlite}
        if {name: found.inode for name, found in now.items()} == known:
            return [Pinned(name, places[name]) for name in sorted(now)]
        known = {name: inode for name, inode in known.items() if name in now and now[name].inode == inode}
        for name in now.keys() - known.keys():
            if (place := pins.pin(now[name])) is not None:
                known[name], places[name] = now[name].inode, place
    raise MomentError(f"the files in {home} are replaced faster than they can be looked at: run this again later")


@dataclass(frozen=True)
class _Seen:
    """A file, and the folder of its own disk that it was reached through."""

    name: str
    path: Path
    base: Path
    inode: int
    is_sqlite: bool


def _files(home: Path) -> Iterator[_Seen]:
    """Every file that is somebody's, through links to folders too. Names with a dot are of work that is under way.

    Nor does an empty database count, which somebody is about to fill.
    """
    bases: dict[Path, Path] = {}
    for folder, folders, names in os.walk(home, followlinks=True, onerror=_raise):
        here = Path(folder).resolve()
        bases[here] = here if os.path.ismount(here) else bases.get(here.parent, here)
        folders[:] = [name for name in folders if name[0] != "." and Path(folder, name).resolve() not in bases]
        for path in (Path(folder, name) for name in names if name[0] != "." and not name.endswith(_BESIDE)):
            with _unless_gone(path):
                status = path.stat()
                if stat.S_ISREG(status.st_mode) and (status.st_size or path.suffix != ".db"):
                    with path.open("rb") as file:
                        is_sqlite = file.read(len(_HEADER)) == _HEADER
                    name = path.relative_to(home).as_posix()
                    yield _Seen(_as_text(name), path, bases[here], status.st_ino, is_sqlite)


def _raise(error: OSError) -> None:
    """A folder that cannot be looked into would be missing in silence."""
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _unless_gone(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if path.is_symlink():
            raise MomentError(f"{path} is a link to what is not there: mount its disk, or remove it") from error


def _as_text(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise MomentError(f"{name} has a name that is no text: rename it") from error
    return name


class _Pins:
    """Where the bytes are kept: in folders of the home's own disks, since a file has names on one disk alone."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._places: dict[Path, Path] = {}
        self._number = count()

    def copy(self, found: _Seen) -> Path | None:
        """A copy of a database, as of one of its transactions; None where it is gone."""
        target = self._new(found)
        until = time.monotonic() + _SECONDS

        def wait(*_: int) -> None:
            if time.monotonic() > until:
                raise MomentError(f"{found.path} is locked: end what has locked it, then run this again")

        try:
            with (
                closing(sqlite3.connect(f"{found.path.absolute().as_uri()}?mode=rw", uri=True)) as source,
                closing(sqlite3.connect(target)) as copy,
            ):
                source.backup(copy, progress=wait)
        except sqlite3.Error as error:
            if not found.path.exists():
                return None
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise MomentError(f"{target.parent} cannot be written: {error}: free space there") from error
            raise MomentError(f"{found.path} cannot be copied: {error}: restore it from an earlier backup") from error
        return target

    def pin(self, found: _Seen) -> Path | None:
        """A second name for a file, or a copy where its disk has no such names; None where it has been replaced."""
        target = self._new(found)
        try:
            target.hardlink_to(found.path.resolve())
            return target if target.stat().st_ino == found.inode else None
        except FileNotFoundError:
            return None
        except OSError:
            with suppress(FileNotFoundError):
                shutil.copyfile(found.path, target)
                if found.path.stat().st_ino == found.inode:
                    return target
            return None

    def _new(self, found: _Seen) -> Path:
        if found.base not in self._places:
            self._places[found.base] = self._stack.enter_context(scratch(found.base))
        return self._places[found.base] / str(next(self._number))
