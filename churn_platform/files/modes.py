"""Modes: who on this machine may read what the platform keeps.

Here: giving all that a program writes, and its libraries and the programs that it starts, to its owner, or to its group
too, and correcting what was written before. Not here: who it is to be (`settings`), or files that are their owner's
alone whatever is set, such as the API's token.

The umask does it: no other way reaches what DuckDB, SQLite, MLflow and Dagster write, their journals included. So
whoever makes a file here makes it with 666, as `open` does, and lets the umask take away what nobody else may have.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

OWNER_ALONE = 0o600


def restrict(mode: int, home: Path) -> None:
    """From now on this program's files have at most this mode, and nobody beyond comes into `home`, new or old."""
    os.umask(0o777 & ~_of_folder(mode))
    with suppress(OSError):  # it is not there yet, or another user's, who decides
        _set(home, _of_folder(mode))


def correct(home: Path, mode: int, secret: Iterable[Path] = ()) -> None:
    """Give this mode to everything in `home`, in one pass; files in `secret` stay their owner's alone."""
    alone = frozenset(secret)
    for folder, _, names in os.walk(home):
        _correct(Path(folder), _of_folder(mode))
        for name in names:
            path = Path(folder, name)
            _correct(path, OWNER_ALONE if path in alone else mode)


def _correct(path: Path, mode: int) -> None:
    with suppress(FileNotFoundError, PermissionError):  # gone meanwhile, or another user's
        if not path.is_symlink():
            _set(path, mode)


def _set(path: Path, mode: int) -> None:
    """Change the permissions, but not the bit by which a folder's files belong to its group."""
    now = stat.S_IMODE(path.stat().st_mode)
    if now & 0o777 != mode:
        path.chmod(now & stat.S_ISGID | mode)


def _of_folder(mode: int) -> int:
    """A folder's mode: who may read it may enter it."""
    return mode | (mode & 0o444) >> 2
