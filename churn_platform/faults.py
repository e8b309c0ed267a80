"""Faults: what goes wrong in a way that a person can put right, told in one sentence.

Here: the base class, how a program ends with a fault, and the one fault that any code may meet: a place on the disk
that cannot be used. Not here: the other faults; each is defined beside the code that raises it.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class Fault(Exception):
    """Its message names the file, month, table, column or setting, and says what to do; a stack trace adds nothing.

    A `lasting` one comes back however often the same thing is tried, until somebody changes what its message names.
    Any other may pass by itself, as when a store does not answer.
    """

    lasting: ClassVar[bool] = False


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
def placing() -> Iterator[None]:
    """Turn what the system says of a place that cannot be used into a PlaceError. Any other OSError passes."""
    try:
        yield
    except OSError as error:
        if error.filename is None or (told := _told(error.errno, Path(str(error.filename)))) is None:
            raise
        raise PlaceError(told) from error


def _told(number: int | None, path: Path) -> str | None:
    """Why a place cannot be used, in a sentence; None where the cause may be a bug."""
    match number:
        case errno.EACCES | errno.EPERM:
            return f"{path} may not be used by this user: change its permissions or owner, or set another folder"
        case errno.EROFS:
            return f"{path} cannot be written, since its disk is read-only: set another folder"
        case errno.ENOSPC | errno.EDQUOT:
            return f"{path} cannot be written, since its disk is full: free space there, then run this again"
        case errno.ELOOP | errno.ENAMETOOLONG:
            return f"{path} cannot be used, since its name is too long or it is a loop of links: set another folder"
        case errno.EIO | errno.ESTALE:
            return f"{path} cannot be read or written, since its disk fails: mend that, or restore it from a backup"
        case errno.ENOTDIR | errno.EEXIST:
            for part in (path, *path.parents):
                if part.exists() and not part.is_dir():
                    return f"{part} is a file where a folder is needed: move it away, or set another folder"
    return None
