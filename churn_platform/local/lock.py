"""The lock: one platform per home.

Here: holding it, and asking whether somebody does. Not here: what else must hold before a platform starts (`checks`).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn_platform.faults import Fault
from churn_platform.files.owners import began

_FILE = "up.lock"
_PATIENCE = 20.0  # seconds that a killed predecessor's programs have to end


class CannotStartError(Fault):
    """Something is in the way; the message says what, and which setting or process it concerns."""


@contextmanager
def only_one(home: Path) -> Iterator[int]:
    """Hold the home's lock and yield its file descriptor. Raises CannotStartError where another `churn up` holds it.

    One that was killed leaves a guard, which holds the lock for the seconds that it needs to end what is left; and
    commands that look at the lock hold it for a moment.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / _FILE).open("a+") as lock:
        until = time.monotonic() + _PATIENCE
        while not _locked(lock.fileno()):
            lock.seek(0)
            holder = lock.read().strip()
            if (holder and _exists(int(holder))) or time.monotonic() > until:
                raise CannotStartError(
                    f"the platform of {home} (CHURN_HOME) is already up, process {holder or 'unknown'}: "
                    "stop it, or set another CHURN_HOME and other ports"
                )
            time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock.fileno()


def held_since(home: Path) -> float | None:
    """When the `churn up` began that holds the home's lock, in seconds since 1970; None where nobody holds it."""
    try:
        with (home / _FILE).open() as lock:
            if _locked(lock.fileno(), fcntl.LOCK_SH):  # which others may look at meanwhile
                return None
            holder = lock.read().strip()
    except FileNotFoundError:
        return None
    return began(int(holder)) if holder else None


def _locked(file: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take the lock, and say whether that worked."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
