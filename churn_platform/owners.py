"""Owners: which process something belongs to, and whether that process still exists.

Here: naming processes so that a number that is used again is noticed. Not here: what follows where one is gone
(`automation.launcher` for runs of Dagster, `champion.registry` for those of MLflow, `scratch` for folders).
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path


def own_process() -> str:
    """This process as a text: host, number, and start time, since numbers are reused."""
    return json.dumps([socket.gethostname(), os.getpid(), _started(os.getpid())])


def lives(owner: str) -> bool:
    """Whether a process, as `own_process` names it, exists; of one on another host nothing is known: yes."""
    host, number, started = json.loads(owner)
    return host != socket.gethostname() or bool(_started(number) == started)


def _started(number: int) -> int | None:
    """When a process was started, in clock ticks since boot; None where there is no such process."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def began(number: int) -> float | None:
    """When a process was started, in seconds since the epoch; None where there is no such process."""
    if (ticks := _started(number)) is None:
        return None
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / os.sysconf("SC_CLK_TCK")
