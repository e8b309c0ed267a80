"""Checks: what must be true before a platform starts.

Here: ports that nobody listens on. Not here: that nobody else runs the home (`lock`), which programs listen on ports
(`programs`), or what follows (`up`).
"""

from __future__ import annotations

import socket
from collections import Counter

from churn_platform.local.lock import CannotStartError
from churn_platform.local.programs import HOST, ports
from churn_platform.settings import Settings


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
