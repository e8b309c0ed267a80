"""Up: the whole platform on one machine, by one command.

Here: which programs it has, on which ports, in which order; the checks before anything starts; one platform per home.
Not here: keeping programs running (`supervision`), the first months (`first_start`), how it looks (`screen`).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import httpx
import msgspec

from churn_platform.automation import instance
from churn_platform.champion.registry import MODEL, quiet_mlflow
from churn_platform.faults import Fault
from churn_platform.files import replacing
from churn_platform.intake.drops import newest
from churn_platform.local import first_start
from churn_platform.local.supervision import Program, Supervisor
from churn_platform.settings import DELIVERED, Settings

if TYPE_CHECKING:
    from churn_platform.local.screen import Link

HOST = "127.0.0.1"
STORAGE = "storage"
FIRST_START = "first-start"

_PATIENCE = 20.0  # seconds that a killed predecessor's programs have to end
_HEARTBEATS = "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }"


class CannotStartError(Fault):
    """Something is in the way; the message says what, and which setting or process that is."""


def up(settings: Settings) -> None:
    """Run the platform until SIGINT or SIGTERM; then nothing of it is left. Raises CannotStartError."""
    with only_one(settings.home) as lock:
        refuse_taken_ports(settings)
        instance.prepare(settings)
        quiet_mlflow()
        asyncio.run(_run(settings, lock))


@contextmanager
def only_one(home: Path) -> Iterator[int]:
    """Hold the home's lock and give its file descriptor. Raises CannotStartError where another `churn up` holds it.

    One that was killed leaves a guard, which holds the lock for the seconds that it needs to end what is left.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a+") as lock:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip()
                if not holder or _exists(int(holder)) or time.monotonic() > until:
                    raise CannotStartError(
                        f"the platform of {home} (CHURN_HOME) is up already, process {holder or 'unknown'}: "
                        "stop that one, or set another CHURN_HOME and other ports"
                    ) from None
                time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock.fileno()


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ports(settings: Settings) -> dict[str, int]:
    """The ports that the programs listen on, by setting."""
    ports = {
        "CHURN_DAGSTER_PORT": settings.dagster_port,
        "CHURN_CODE_SERVER_PORT": settings.code_server_port,
        "CHURN_SERVING_PORT": settings.serving_port,
    }
    if _has_mlflow_ui(settings):
        ports["CHURN_MLFLOW_PORT"] = settings.mlflow_port
    return ports


def _has_mlflow_ui(settings: Settings) -> bool:
    """Whether the MLflow UI is one of the programs here: a store reached by HTTP has its own."""
    return not settings.mlflow_uri.startswith("http")


def refuse_taken_ports(settings: Settings) -> None:
    """Raise CannotStartError that names every port which cannot be listened on, with its setting."""
    ports = _ports(settings)
    shared = Counter(ports.values())
    faults = []
    for name, port in ports.items():
        if port == 0:
            faults.append(f"{name} is 0: it needs a number that others can be told")
        elif shared[port] > 1:
            faults.append(f"{name} is {port}, as is another port: set another one")
        elif _is_taken(port):
            faults.append(f"port {port} is taken by another program: end that, or set {name}")
    if faults:
        raise CannotStartError("; ".join(faults))


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has just ended does not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


async def _run(settings: Settings, lock: int) -> None:
    from churn_platform.local.screen import Screen

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    screen = Screen(links(settings))
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        supervisor = Supervisor(
            programs(settings, client), settings.logs, _environment(settings), screen.tell, held=[lock]
        )
        following = asyncio.create_task(_follow_deliveries(settings, screen.tell))
        with screen.shown(supervisor.running):
            await supervisor.run(stop)
        following.cancel()
    click.echo("stopped; `churn up` goes on from here")


async def _follow_deliveries(settings: Settings, tell: Callable[[str], None]) -> None:
    """Have the definitions loaded again when a new month is delivered: they offer the months they knew when loaded."""
    known = newest(settings.drops, settings.first)
    while True:
        await asyncio.sleep(2)
        month = newest(settings.drops, settings.first)
        if month != known and await _ask_grpc(settings.code_server_port, "ReloadCode", seconds=120):
            known = month
            tell(f"{month} is delivered: Dagster offers it now")


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "CHURN_LAST_MONTH": settings.last_month or DELIVERED,
        "CHURN_HOME": str(settings.home),
        "CHURN_DROPS": str(settings.drops),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri,  # which may hold a password, and arguments can be seen by all
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its workers would only cost memory
        "PYTHONUNBUFFERED": "1",  # what a program says before it is killed is in its log
    }


def links(settings: Settings) -> list[Link]:
    """What a person may want to open."""
    from churn_platform.local.screen import Link

    mlflow = f"http://{HOST}:{settings.mlflow_port}" if _has_mlflow_ui(settings) else settings.mlflow_uri
    token = "CHURN_API_TOKEN" if settings.api_token.get_secret_value() else str(settings.home / "api_token")
    return [
        Link("Dagster", f"http://{HOST}:{settings.dagster_port}", "months, runs, lineage"),
        Link("MLflow", f"{mlflow}/#/models/{MODEL}", "versions, metrics, champion"),
        Link("API", f"http://{HOST}:{settings.serving_port}/docs", "predictions"),
        Link("token", token, "what /retrain and /generate ask for"),
        Link("logs", str(settings.logs), "one file for each program"),
    ]


def programs(settings: Settings, client: httpx.AsyncClient) -> list[Program]:
    """The platform's programs, in the order of the screen."""
    python = (sys.executable, "-P", "-m")  # what lies in the current folder is nobody's module
    workspace = _workspace(settings)
    dagster = f"http://{HOST}:{settings.dagster_port}"
    first = []
    if first_start.is_due(settings):
        first = [Program(FIRST_START, (*python, first_start.__name__), after=[STORAGE], once=True)]
    mlflow = Program(
        "mlflow",
        (
            *(*python, "mlflow", "server", "--host", HOST, "--port", str(settings.mlflow_port), "--workers", "1"),
            *("--default-artifact-root", (settings.mlflow_home / "artifacts").as_uri()),
        ),
        _answers(client, f"http://{HOST}:{settings.mlflow_port}/health"),
    )
    return [
        Program(STORAGE, (*python, instance.__name__), once=True),
        Program(
            "code-server",
            (
                *(*python, "dagster", "code-server", "start", "--host", HOST, "--port", str(settings.code_server_port)),
                *("--module-name", "churn_platform.definitions"),
            ),
            _serves_grpc(settings.code_server_port),
            after=[STORAGE],
        ),
        Program(
            "dagster-webserver",
            (
                *(*python, "dagster_webserver", "--host", HOST, "--port", str(settings.dagster_port)),
                *("--workspace", str(workspace)),
            ),
            _answers(client, f"{dagster}/server_info"),
            after=["code-server"],
        ),
        *([mlflow] if _has_mlflow_ui(settings) else []),
        Program(
            "serving",
            (*python, "serving"),
            _answers(client, f"http://{HOST}:{settings.serving_port}/health"),
        ),
        *first,
        Program(
            "dagster-daemon",
            (*python, "dagster._daemon", "run", "--workspace", str(workspace)),
            _has_heartbeats(client, f"{dagster}/graphql"),
            # Its sensors would close the first months a second time.
            after=["dagster-webserver", *(program.name for program in first)],
        ),
    ]


def _workspace(settings: Settings) -> Path:
    """Write the file that tells the UI and the daemon to share one code server, so that a reload reaches both."""
    server = {"host": HOST, "port": settings.code_server_port, "location_name": instance.LOCATION}
    file = settings.dagster_home / "workspace.yaml"
    with replacing(file) as temporary:
        temporary.write_bytes(msgspec.yaml.encode({"load_from": [{"grpc_server": server}]}))
    return file


def _answers(client: httpx.AsyncClient, url: str) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        try:
            return (await client.get(url)).status_code == 200
        except httpx.HTTPError:
            return False

    return ready


def _has_heartbeats(client: httpx.AsyncClient, url: str) -> Callable[[], Awaitable[bool]]:
    """The daemon listens nowhere; the UI knows whether each of its threads has given a sign of life."""

    async def ready() -> bool:
        try:
            answer = (await client.post(url, json={"query": _HEARTBEATS})).json()
            statuses = answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return False
        return all(status["healthy"] for status in statuses if status["required"])

    return ready


def _serves_grpc(port: int) -> Callable[[], Awaitable[bool]]:
    """Dagster's ping: unlike gRPC's health protocol, it reaches the process that holds the definitions."""

    async def ready() -> bool:
        return await _ask_grpc(port, "Ping")

    return ready


async def _ask_grpc(port: int, method: str, seconds: float = 2.0) -> bool:
    """Call a method of Dagster's code server that needs no arguments; whether it answered."""
    import grpc  # type: ignore[import-untyped]

    async with grpc.aio.insecure_channel(f"{HOST}:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            await channel.unary_unary(f"/api.DagsterApi/{method}")(b"", timeout=seconds)  # an empty message is no bytes
        except grpc.aio.AioRpcError:
            return False
    return True
