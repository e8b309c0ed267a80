"""Scratch: temporary folders in one place, where those of killed processes are found and removed.

Here: making such a folder, and removing what dead owners have left. Not here: what is kept in one.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from churn_platform.owners import lives, own_process

_OLD = 86_400.0
"""In seconds: nothing takes a day. Hosts that are containers have another name each time, and are never known dead."""


@contextmanager
def scratch(place: Path) -> Iterator[Path]:
    """A folder in this place that is gone when the block ends, or else the next time that anybody needs one here."""
    place.mkdir(parents=True, exist_ok=True)
    sweep(place)
    with tempfile.TemporaryDirectory(prefix=f"{own_process().encode().hex()}.", dir=place) as folder:
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
    """Remove the folders whose owners are gone, and those that are too old to be needed, whoever their owner was."""
    for folder in place.glob("*.*"):
        with suppress(OSError, ValueError):  # another process may be doing the same; or it is nobody's
            owner = bytes.fromhex(folder.name.partition(".")[0]).decode()
            if not lives(owner) or time.time() - folder.stat().st_mtime > _OLD:
                shutil.rmtree(folder, ignore_errors=True)
