"""The stack: services of the compose file as containers, as compose would run them.

Here: networks, volumes, containers and their order, by the file alone, and what volumes hold before. Not here: their
images (`images`), or what should follow (the tests). Debian's podman cannot wait for a container's health, hence this
runner.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn_platform_tests import compose
from churn_platform_tests.containers import images
from churn_platform_tests.containers.engine import EngineError, inspect, podman, said
from churn_platform_tests.running import free_ports

PATIENCE = 180.0
OWNER = 10001
"""The user of our images."""
LIMITS = (
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=1024:1024",
)  # podman's own are above what a sandbox allows


class Stack:
    """A project of the compose file, under a name of its own, with its published ports on free ones.

    `variables` are what `.env` would say, `places` where the host's folders of the file are instead.
    """

    def __init__(self, services: list[str], variables: Mapping[str, str], places: Mapping[str, Path]) -> None:
        self.name = f"churn-test-{secrets.token_hex(4)}"
        self._all = compose.services(variables)
        self.services = {name: found for name, found in self._all.items() if name in services}
        self.ports: dict[str, int] = {}
        self._places = places
        self._networks = {name for service in self.services.values() for name in service["networks"]}
        for network in self._networks:
            podman("network", "create", f"{self.name}-{network}")

    def container(self, service: str) -> str:
        """A service's container."""
        return f"{self.name}-{service}"

    def start(self, *names: str) -> None:
        """Start services, or everything, in their order, each as soon as its conditions hold, until all are well."""
        begun: set[str] = set()
        well: set[str] = set()
        until = time.monotonic() + PATIENCE
        while missing := (set(names) or self.services.keys()) - well:
            for name in sorted(missing):
                if name not in begun and self.services[name].get("depends_on", {}).keys() <= well:
                    self._begin(name)
                    begun.add(name)
                elif name in begun and self.is_well(name):
                    well.add(name)
            assert time.monotonic() < until, self.said(*missing)
            time.sleep(0.5)

    def _begin(self, name: str) -> None:
        if podman("ps", "--all", "--quiet", "--filter", f"name=^{self.container(name)}$").strip():
            podman("rm", "--force", "--time", "0", self.container(name))
        service = self.services[name]
        options = ["--restart", service["restart"], *self._options(name, service)]
        podman("create", "--name", self.container(name), *options, *_program(service))
        podman("start", self.container(name))

    def _options(self, name: str, service: Mapping[str, Any]) -> list[str]:
        """The file's words in podman's."""
        found = [*LIMITS, "--pull=never", "--log-driver=k8s-file"]
        for network in service["networks"]:
            found += ["--network", f"{self.name}-{network}:alias={name}"]
        found += ["--init"] * service.get("init", False) + ["--read-only"] * service.get("read_only", False)
        for option, key in (("--tmpfs", "tmpfs"), ("--cap-drop", "cap_drop"), ("--cap-add", "cap_add")):
            found += [word for value in service.get(key, []) for word in (option, value)]
        found += ["--security-opt=no-new-privileges"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        for variable, value in service["environment"].items():
            found += ["--env", f"{variable}={value}"]
        for target, (source, read_only) in compose.volumes(service).items():
            found += ["--volume", f"{self.place(source)}:{target}{':ro' if read_only else ''}"]
        for port in service.get("ports", []):
            inside = port.rpartition(":")[2]
            self.ports.setdefault(inside, free_ports(1)[0])
            found += ["--publish", f"127.0.0.1:{self.ports[inside]}:{inside}"]
        if "user" in service:
            found += ["--user", service["user"]]
        if "healthcheck" in service:
            check = service["healthcheck"]
            assert check["test"][0] == "CMD"  # which this podman would cut at each space
            found += [
                "--health-cmd",
                f"CMD-SHELL {shlex.join(check['test'][1:])}",
                "--health-timeout",
                check["timeout"],
            ]
            found += ["--health-interval", "disable"]  # it is asked for; podman's own timer needs systemd
        return found

    def place(self, source: str) -> str:
        """Where a volume or a mounted folder of the file is."""
        if source in self._places:
            return str(self._places[source])
        return str(compose.ROOT / source) if source.startswith("./") else f"{self.name}-{source}"

    def is_well(self, name: str) -> bool:
        """Whether what runs once has succeeded, or a service passes the file's health check."""
        state = inspect(self.container(name))["State"]
        if "healthcheck" not in self.services[name]:
            assert state["Running"] or state["ExitCode"] == 0, self.said(name)
            return not state["Running"]
        try:
            podman("healthcheck", "run", self.container(name))
        except EngineError:
            return False  # also where it has died and is being started again
        return True

    def kill(self, name: str) -> None:
        """As a machine's lack of memory does it. The file says that it is started again; then all have to be well."""
        killed = inspect(self.container(name))["State"]["Pid"]
        os.kill(killed, signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while inspect(self.container(name))["State"]["Pid"] in (0, killed):
            assert time.monotonic() < until, self.said(name)
            time.sleep(0.2)
        while unwell := [other for other in self.services if not self.is_well(other)]:
            assert time.monotonic() < until, self.said(*unwell)
            time.sleep(0.5)

    def stop(self) -> None:
        """Stop the containers and remove them; volumes stay."""
        for name in reversed(self.services):
            podman("rm", "--force", "--time", "10", "--ignore", self.container(name))

    def remove(self) -> None:
        """Leave nothing."""
        self.stop()
        podman("volume", "rm", "--force", *podman("volume", "ls", "--quiet", "--filter", f"name=^{self.name}-").split())
        for network in self._networks:
            podman("network", "rm", "--force", f"{self.name}-{network}")

    def ask(self, name: str, *command: str, **variables: str) -> str:
        """What a command in a service's container prints. Raises EngineError."""
        given = [word for variable, value in variables.items() for word in ("--env", f"{variable}={value}")]
        return podman("exec", *given, self.container(name), *command, seconds=600)

    def run(self, name: str, *command: str) -> str:
        """What a command prints in a container of its own, as `docker compose run --rm` has it. Raises EngineError."""
        service = self._all[name]
        assert "entrypoint" not in service
        return podman("run", "--rm", *self._options(name, service), image_of(service), *command, seconds=600)

    def fill(self, volume: str, folder: Path) -> None:
        """Put a folder's content into a volume, as user 10001's."""
        if not podman("volume", "ls", "--quiet", "--filter", f"name=^{self.place(volume)}$").strip():
            podman("volume", "create", self.place(volume))
        place = podman("volume", "inspect", "--format", "{{.Mountpoint}}", self.place(volume)).strip()
        shutil.copytree(folder, place, dirs_exist_ok=True)
        for path in (Path(place), *Path(place).rglob("*")):
            os.chown(path, OWNER, OWNER)

    def copy(self, name: str, file: Path, target: str) -> None:
        """Put a file into a service's container."""
        podman("cp", str(file), f"{self.container(name)}:{target}")

    def said(self, *names: str) -> str:
        """The ends of what services have printed."""
        return "\n".join(f"--- {name}\n{said(self.container(name))}" for name in names)


def _program(service: Mapping[str, Any]) -> list[str]:
    """The image and what it runs."""
    entrypoint = service.get("entrypoint")
    command = [word.replace("$$", "$") for word in service.get("command", [])]
    image = image_of(service)
    if entrypoint is None:
        return [image, *command]
    first, *rest = (word.replace("$$", "$") for word in entrypoint)
    return [f"--entrypoint={first}", image, *rest, *command]


def image_of(service: Mapping[str, Any]) -> str:
    """The image that stands for the file's."""
    if "build" in service:
        return f"{images.OURS[service['build']['target']]}:{service['image'].rpartition(':')[2]}"
    return images.OTHERS[service["image"].partition(":")[0].rpartition("/")[2]]
