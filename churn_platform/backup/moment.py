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
_LOOKS = 200


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
        kept = _Kept(home, stack)
        databases = list(_databases(home, kept))
        yield [*databases, *_others(home, kept)]


def _databases(home: Path, kept: _Kept) -> Iterator[Pinned]:
    """The SQLite files. Each group is looked for only when the one that tells of it has been copied."""
    copied: set[str] = set()
    for group in (*_FIRST, None):
        for found in _files(home):
            if found.is_sqlite and group in (None, found.path.name) and found.name not in copied:
                copied.add(found.name)
                yield Pinned(found.name, kept.copy(found))


def _others(home: Path, kept: _Kept) -> list[Pinned]:
    """The other files, once a look has found all of them as the last one did."""
    last: dict[str, int] = {}
    pins: dict[str, Path] = {}
    for _ in range(_LOOKS):
        now = {found.name: found for found in _files(home) if not found.is_sqlite}
        inodes = {name: found.inode for name, found in now.items()}
        if inodes == last:
            return [Pinned(name, pins[name]) for name in sorted(now)]
        for name in inodes.keys() - {name for name in inodes if last.get(name) == inodes[name]}:
            with suppress(FileNotFoundError):  # the next look will not find it either
                pins[name] = kept.pin(now[name])
        last = inodes
    raise MomentError(f"the files in {home} are replaced faster than they can be looked at: run this again later")


@dataclass(frozen=True)
class _Seen:
    name: str
    path: Path
    inode: int
    device: int
    is_sqlite: bool


def _files(home: Path) -> Iterator[_Seen]:
    """Every file that is somebody's, through links to folders too. Names with a dot are of work that is under way."""
    entered: set[Path] = set()
    for folder, folders, names in os.walk(home, followlinks=True):
        here = Path(folder)
        entered.add(here.resolve())
        folders[:] = [name for name in folders if name[0] != "." and (here / name).resolve() not in entered]
        for path in (here / name for name in names if name[0] != "." and not name.endswith(_BESIDE)):
            with suppress(FileNotFoundError):
                status = path.stat()
                if stat.S_ISREG(status.st_mode):
                    with path.open("rb") as file:
                        is_sqlite = file.read(len(_HEADER)) == _HEADER
                    name = path.relative_to(home).as_posix()
                    yield _Seen(name, path, status.st_ino, status.st_dev, is_sqlite)


class _Kept:
    """Where the bytes are kept: in folders of the home's own disks, since a file has names on one disk alone."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self._home = home
        self._stack = stack
        self._places: dict[int, Path] = {}
        self._number = count()

    def copy(self, found: _Seen) -> Path:
        """A copy of a database, as of one of its transactions."""
        target = self._new(found)
        try:
            with (
                closing(sqlite3.connect(f"{found.path.absolute().as_uri()}?mode=rw", uri=True)) as source,
                closing(sqlite3.connect(target)) as copy,
            ):
                source.backup(copy)
        except sqlite3.Error as error:
            raise MomentError(f"{found.path} cannot be copied: {error}: restore it from an earlier backup") from error
        return target

    def pin(self, found: _Seen) -> Path:
        """A second name for a file, or a copy where the disk has no such names."""
        target = self._new(found)
        try:
            target.hardlink_to(found.path.resolve())
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(found.path, target)
        return target

    def _new(self, found: _Seen) -> Path:
        if found.device not in self._places:
            top = found.path.resolve().parent
            while top.parent.stat().st_dev == found.device and top not in (self._home.resolve(), top.parent):
                top = top.parent
            self._places[found.device] = self._stack.enter_context(scratch(top))
        return self._places[found.device] / str(next(self._number))
