"""Faults: what goes wrong in a way that a person can put right, told in one sentence.

Here: the base class, how a program ends with a fault, and the one fault that any code may meet: a place on the disk
that cannot be used. Not here: the other faults; each is defined beside the code that raises it.
"""

from __future__ import annotations

import errno
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from churn_platform.secrets import blanked
from churn_platform.shown import as_text


class Fault(Exception):
    """Its message names the file, month, table, column or setting, and says what to do; a stack trace adds nothing.

    A `lasting` one comes back however often the same thing is tried, until somebody changes what its message names.
    Any other may pass by itself, as when a store does not answer.

    A message often ends with what a library says. So every one is a single line of bounded length, without secrets.
    """

    lasting: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(as_text(blanked(message)))


class PlaceError(Fault):
    """A file or folder cannot be used as it is; the message names it, and says why and what to do."""


@contextmanager
def entrance() -> Iterator[None]:
    """Wraps a whole program: a fault ends it with its sentence and exit code 1; a bug keeps its traceback.

    Ctrl-C ends it too, with the word that click has for that.
    """
    try:
        with placing():
            yield
    except Fault as fault:
        sys.stderr.write(f"Error: {fault}\n")
        raise SystemExit(1) from fault
    except KeyboardInterrupt:
        sys.stderr.write("\nAborted!\n")
        raise SystemExit(1) from None


@contextmanager
def placing(place: Path | None = None) -> Iterator[None]:
    """Turn what the system says of a place that cannot be used into a PlaceError. Any other OSError passes.

    `place` is meant where the system names none, as when a file that is open cannot grow.
    """
    try:
        yield
    except OSError as error:
        named = place if error.filename is None else Path(str(error.filename))
        if named is None or (told := _told(error.errno, named)) is None:
            raise
        raise PlaceError(told) from error


def _told(number: int | None, path: Path) -> str | None:
    """Why a place cannot be used, in a sentence; None where the cause may be a bug."""
    if number in _REASONS:
        return f"{path} {_REASONS[number]}"
    if number == errno.ENOENT:
        place = next((part for part in path.parents if part.is_dir()), None)
        if place is not None and not _takes_folders(place):
            return f"{path} cannot be made, since nothing can be made in {place}: set another folder"
    if number in (errno.ENOTDIR, errno.EEXIST):
        for part in (path, *path.parents):
            if part.exists() and not part.is_dir():
                return f"{part} is a file where a folder is needed: move it away, or set another folder"
    return None


_FORBIDDEN = "may not be used by this user: change its permissions or owner, or set another folder"
_FULL = "cannot be written, since its disk is full: free space there, then run this again"
_TANGLED = "cannot be used, since its name is too long or it is a loop of links: set another folder"
_FAILING = "cannot be read or written, since its disk fails: mend that, or restore it from a backup"
_REASONS = {
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: "cannot be written, since its disk is read-only: set another folder",
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ELOOP: _TANGLED,
    errno.ENAMETOOLONG: _TANGLED,
    errno.EIO: _FAILING,
    errno.ESTALE: _FAILING,
    errno.ENOTCONN: _FAILING,
}


def _takes_folders(place: Path) -> bool:
    """Whether a folder can be made there: some places, such as /proc, only say that what one makes is not found."""
    try:
        with tempfile.TemporaryDirectory(dir=place):
            return True
    except OSError:
        return False
