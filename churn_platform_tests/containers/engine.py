"""The engine: podman and buildah, as tests call them.

Here: which programs are needed, running one, and building what is cached between runs. Not here: what images hold
(`images`), or the services of the compose file (`stack`).

Debian's podman is driven so that it works without systemd and on both versions of cgroups: runc, and cgroupfs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

TOOLS = {
    "buildah": "buildah",
    "podman": "podman",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
    "/usr/libexec/podman/catatonit": "catatonit",
}
"""What has to be there, and Debian's package that has it."""

_PODMAN = ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs")


class EngineError(Exception):
    """A program of the engine ended badly; the message is what it said."""


def missing() -> str | None:
    """A sentence about what is not there, or None where everything is."""
    if os.getuid() != 0:
        return "images are built and run as root: run this as root"
    packages = sorted(package for tool, package in TOOLS.items() if not shutil.which(tool))
    if not packages:
        return None
    return f"images need programs that are not here: apt-get install {' '.join(packages)}"


def podman(*arguments: str, seconds: float = 120) -> str:
    """What podman prints. Raises EngineError where it fails."""
    return _run(*_PODMAN, *arguments, seconds=seconds).stdout


def said(container: str) -> str:
    """The end of what a container has printed, in whichever stream."""
    done = _run(*_PODMAN, "logs", "--tail", "60", container, seconds=60)
    return done.stdout + done.stderr


def buildah(*arguments: str) -> str:
    """What buildah prints, within the time that an image takes. Raises EngineError."""
    return _run("buildah", *arguments, seconds=900).stdout


def inspect(container: str) -> dict[str, Any]:
    """What podman knows of a container."""
    [found] = json.loads(podman("container", "inspect", container))
    known: dict[str, Any] = found
    return known


def _run(*command: str, seconds: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=seconds)
    if done.returncode:
        raise EngineError(f"{' '.join(command[:8])} ...: {(done.stderr or done.stdout)[-4000:]}")
    return done
