"""Checks: what must be true before a platform starts.

Here: one platform per home, which a lock ensures, and ports that nobody listens on. Not here: which programs listen on
them (`programs`), or what follows (`up`).
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn_platform.faults import Fault
from churn_platform.local.programs import HOST, ports
from churn_platform.settings import Settings

_PATIENCE = 20.0  # seconds that a killed predecessor's programs have to end


class CannotStartError(Fault):
    """Something is in the way; the message says what, and which setting or process it concerns."""


@contextmanager
def only_one(home: Path) -> Iterator[int]:
    """Hold the home's lock and yield its file descriptor. Raises CannotStartError where another `churn up` holds it.

    One that was killed leaves a guard, which holds the lock for the seconds that it needs to end what is left.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a+") as lock:
        until = time.monotonic() + _PATIENCE
        while not _locked(lock.fileno()):
            lock.seek(0)
            holder = lock.read().strip()
            if not holder or _exists(int(holder)) or time.monotonic() > until:
                raise CannotStartError(
                    f"the platform of {home} (CHURN_HOME) is already up, process {holder or 'unknown'}: "
                    "stop it, or set another CHURN_HOME and other ports"
                )
            time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock.fileno()


def _locked(file: int) -> bool:
    """Take the lock, and say whether that worked."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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


def refuse_taken_ports(settings: Settings) -> None:
    """Raise a CannotStartError that names every port that cannot be listened on, with its setting."""
    wanted = ports(settings)
    shared = Counter(wanted.values())
    faults = []
    for name, port in wanted.items():
        if port == 0:
            faults.append(f"{name} is 0: it needs a fixed number, so that others can find it")
        elif shared[port] > 1:
            faults.append(f"{name} is {port}, like another port: set a different one")
        elif _is_taken(port):
            faults.append(f"port {port} is taken by another program: end that, or set {name}")
    if faults:
        raise CannotStartError("; ".join(faults))


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a program that has just ended does not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False
