"""Places: the files of a home, whatever they hold.

Here: finding each once, and removing what killed processes have left half-made. Not here: what is in them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from churn_platform.faults import placing
from churn_platform.files.owners import is_left

_MARKED = re.compile(r"\.(\d+-\d+-[0-9a-f]{8}\..*)")


def files(home: Path, kept: Callable[[Path], bool] = lambda _: False) -> Iterator[Path]:
    """The files in a home, also through links to folders, each once; not those for which `kept` says yes.

    What dead processes have left is removed, since it is half of anything. Raises PlaceError for a folder that cannot
    be looked into.
    """
    seen = set[Path]()
    for folder, folders, names in os.walk(home, followlinks=True, onerror=_raise):
        here = Path(folder)
        seen.add(here.resolve())
        folders[:] = sorted(
            name
            for name in folders
            if not kept(here / name) and not _remove_left(here / name) and (here / name).resolve() not in seen
        )
        for path in (here / name for name in sorted(names)):
            if not kept(path) and not _remove_left(path) and (real := path.resolve()) not in seen:
                seen.add(real)
                yield real


def _raise(error: OSError) -> None:
    """A folder that cannot be looked into would be left out in silence."""
    if not isinstance(error, FileNotFoundError):
        with placing():
            raise error


def _remove_left(path: Path) -> bool:
    """Remove a temporary file or folder whose process is gone, and say whether it was one."""
    marked = _MARKED.search(path.name) if path.name[0] == "." else None
    with suppress(FileNotFoundError):
        if marked is None or not is_left(marked[1], path.lstat()):
            return False
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    return True
