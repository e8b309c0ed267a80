"""Scratch: temporary folders in one place, where those of killed processes are found and removed.

Here: making such a folder, and removing what dead owners have left. Not here: what is kept in one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from churn_platform.files.owners import is_left, mark


@contextmanager
def scratch(place: Path) -> Iterator[Path]:
    """A folder in this place that is gone when the block ends, or else the next time that anybody needs one here."""
    place.mkdir(parents=True, exist_ok=True)
    sweep(place)
    with tempfile.TemporaryDirectory(prefix=f".{mark()}.", dir=place) as folder:
        yield Path(folder)


@contextmanager
def all_scratch(place: Path) -> Iterator[None]:
    """While the block runs, whatever this process keeps in temporary folders is in one of this place."""
    with scratch(place) as folder:
        before, tempfile.tempdir = tempfile.tempdir, str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


def sweep(place: Path) -> None:
    """Remove the folders whose owners are gone."""
    for folder in place.glob(".*"):
        with suppress(FileNotFoundError):  # another process may be doing the same
            if folder.is_dir() and is_left(folder.name.removeprefix("."), folder.stat()):
                shutil.rmtree(folder, ignore_errors=True)
