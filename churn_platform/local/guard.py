"""The guard: ends what a supervisor leaves behind when it is killed.

Here: the small process that outlives its supervisor by a moment, and stopping process groups. Not here: what is
started and why (`supervision`). Only the standard library, so that it starts at once and needs little.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

PATIENCE = 8.0
"""Seconds that a group has to end by itself."""


def alive(group: int) -> bool:
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's: the number was reused
        return False
    return True


def send(groups: Iterable[int], number: signal.Signals) -> None:
    """Signal every process of these groups, and ignore groups that are gone."""
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def end(groups: Iterable[int], patience: float = PATIENCE) -> None:
    """Ask groups to end, and kill what is left after a while."""
    groups = list(groups)
    send(groups, signal.SIGTERM)
    until = time.monotonic() + patience
    while time.monotonic() < until and any(map(alive, groups)):
        time.sleep(0.05)
    send(groups, signal.SIGKILL)


def main() -> None:
    """Read `+GROUP` and `-GROUP` lines; when the writer is gone and so the input ends, end what remains."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    end(groups)


if __name__ == "__main__":
    main()
