"""Links: a folder by a path that other programs take as it is.

Here: standing in for a path with characters that mean something to Dagster or SQLAlchemy. Not here: which folders they
are given (`automation.instance`, `champion.opening`).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from churn_platform.faults import Fault
from churn_platform.files import sha256

_TEMPORARY = Path("/tmp")  # noqa: S108  # what is kept there is checked
_MEANT = frozenset("*?[%#")
"""Dagster takes the first three for a pattern, and then reads no `dagster.yaml`. To SQLAlchemy, what follows a `?` is
an option, and `%20` a blank; MLflow reads some paths as a URI."""


class LinkError(Fault):
    """A link cannot be kept safely; the message says which folder is in the way."""


def plain(folder: Path) -> Path:
    """The folder itself, or a link to it where a character in its path means something to other programs.

    Links are kept in a folder of this user's in /tmp, and made again when they are gone. All processes of one user get
    the same link, whatever they take for their temporary folder. Raises LinkError.
    """
    if not _MEANT.intersection(str(folder)):
        return folder
    place = _TEMPORARY / f"churn-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise LinkError(f"{place} can be changed by others: remove it, or set a CHURN_HOME without any of * ? [ % #")
    link = place / sha256(os.fsencode(folder))[:16]
    if not link.is_symlink() or link.readlink() != folder:
        made = link.with_name(f"{link.name}.{os.getpid()}")
        made.unlink(missing_ok=True)
        made.symlink_to(folder)
        made.replace(link)
    return link
