"""Owners: which process something belongs to, and whether that process still exists.

Here: naming processes so that a number that is used again is noticed. Not here: what follows where one is gone, for
Dagster's runs (`automation.launcher`), MLflow's (`assets.tracking`), and what is half made (the modules beside it).
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
import zlib
from pathlib import Path

_MARK = re.compile(r"(\d+)-(\d+)-([0-9a-f]{8})\.")
_OLD = 86_400.0  # seconds; nothing takes that long


def own_process() -> str:
    """This process as a text: host, number, start time since numbers are reused, kernel since hosts are renamed."""
    return json.dumps([socket.gethostname(), os.getpid(), _started(os.getpid()), _kernel()])


def lives(owner: str) -> bool:
    """Whether a process, as `own_process` names it, exists; of one on another host nothing is known: yes."""
    host, number, started, *kernel = json.loads(owner)
    return (host != socket.gethostname() and kernel != [_kernel()]) or bool(_started(number) == started)


def _kernel() -> str:
    """Which boot of a kernel this is, and which of its processes are seen: containers on one kernel see their own."""
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"


def mark() -> str:
    """This process in short, for a part of a file's name."""
    return f"{os.getpid()}-{_started(os.getpid())}-{_host()}"


def is_left(name: str, status: os.stat_result) -> bool:
    """Whether a file or folder is of nobody any more: the process whose mark its name begins with is gone.

    Hosts that are containers have another name each time, so of processes elsewhere a day's age decides.
    """
    found = _MARK.match(name)
    if found is None:
        return False
    number, started, host = found.groups()
    if host == _host():
        return str(_started(int(number))) != started
    return time.time() - status.st_mtime > _OLD


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


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
