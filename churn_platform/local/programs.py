"""Programs: what a platform on one machine consists of.

Here: which programs, with which commands and environment, in which order, and where a person finds them. Not here:
whether one is doing its work (`health`), keeping them running (`supervision`), or how they look (`screen`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import msgspec

from churn_platform import home
from churn_platform.automation import instance
from churn_platform.champion.registry import MODEL
from churn_platform.company.reading import as_read
from churn_platform.contracts import declared
from churn_platform.files import replacing
from churn_platform.local import first_start
from churn_platform.local.health import answers, has_heartbeats, serves_grpc
from churn_platform.local.supervision import Program
from churn_platform.settings import DELIVERED, Settings
from churn_platform.settings.urls import without_secrets

if TYPE_CHECKING:
    from churn_platform.local.screen import Link

HOST = "127.0.0.1"
STORAGE = "storage"
REGISTRY = "registry"
FIRST_START = "first-start"

_APPLICATION = "churn"
"""MLflow's name, in `pyproject.toml`, for its server behind the admission (`web.tracking`)."""

_WEBSERVER = "churn_platform.automation.webserver"  # not imported here: it is another process
_DAEMON = "dagster._daemon"  # private; its public script need not lie beside this Python


def programs(settings: Settings, client: httpx.AsyncClient) -> list[Program]:
    """The platform's programs, in the order of the screen."""
    python = (sys.executable, "-P", "-m")  # no module comes from the current folder
    workspace = _workspace(settings)
    dagster = f"http://{HOST}:{settings.dagster_port}"
    first = []
    if first_start.is_due(settings):
        first = [Program(FIRST_START, (*python, first_start.__name__), after=[STORAGE], once=True)]
    mlflow = Program(
        "mlflow",
        (
            *(*python, "mlflow", "server", "--host", HOST, "--port", str(settings.mlflow_port), "--workers", "1"),
            *("--app-name", _APPLICATION),
            *("--default-artifact-root", (settings.mlflow_home / "artifacts").as_uri()),
        ),
        answers(client, f"http://{HOST}:{settings.mlflow_port}/health"),
        after=[REGISTRY],  # it would race to make the store's tables
    )
    return [
        Program(STORAGE, (*python, instance.__name__), once=True),
        Program(
            "code-server",
            (
                *(*python, "dagster", "code-server", "start", "--host", HOST, "--port", str(settings.code_server_port)),
                *("--module-name", "churn_platform.definitions"),
            ),
            serves_grpc(code_server(settings)),
            after=[STORAGE],
        ),
        Program(
            "dagster-webserver",
            (
                *(*python, _WEBSERVER, "--host", HOST, "--port", str(settings.dagster_port)),
                *("--workspace", str(workspace)),
            ),
            answers(client, f"{dagster}/server_info"),
            after=["code-server"],
        ),
        *([Program(REGISTRY, (*python, home.__name__), once=True), mlflow] if _has_mlflow_ui(settings) else []),
        Program(
            "serving",
            (*python, "serving"),
            answers(client, f"http://{HOST}:{settings.serving_port}/health"),
        ),
        *first,
        Program(
            "dagster-daemon",
            (*python, _DAEMON, "run", "--workspace", str(workspace)),
            has_heartbeats(client, f"{dagster}/graphql"),
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


def _has_mlflow_ui(settings: Settings) -> bool:
    """Whether the MLflow UI is one of the programs here: a store reached by HTTP has its own."""
    return not settings.mlflow_uri.startswith("http")


def code_server(settings: Settings) -> str:
    """Where Dagster's code server is asked by gRPC."""
    return f"{HOST}:{settings.code_server_port}"


def ports(settings: Settings) -> dict[str, int]:
    """The ports that the programs listen on, by setting."""
    found = {
        "CHURN_DAGSTER_PORT": settings.dagster_port,
        "CHURN_CODE_SERVER_PORT": settings.code_server_port,
        "CHURN_SERVING_PORT": settings.serving_port,
    }
    if _has_mlflow_ui(settings):
        found["CHURN_MLFLOW_PORT"] = settings.mlflow_port
    return found


def environment(settings: Settings) -> dict[str, str]:
    """What the programs find in their environment in addition to what this process has in its own.

    Raises DeclarationError.
    """
    declared(settings.company)  # the programs read the same, or notice that it has changed
    mlflow = _from_anywhere(settings.mlflow_tracking_uri.get_secret_value())
    return {
        "CHURN_LAST_MONTH": settings.last_month or DELIVERED,
        "CHURN_COMPANY": str(settings.company or ""),  # absolute: each program has a folder of its own
        "CHURN_COMPANY_SHA256": as_read(settings.company),
        "CHURN_HOME": str(settings.home),
        "CHURN_DROPS": str(settings.drops),
        "CHURN_MLFLOW_TRACKING_URI": mlflow,
        "CHURN_ONLINE_STORE_URL": _from_anywhere(settings.online_store_url.get_secret_value()),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        # It may hold a password, and everyone can see arguments.
        "MLFLOW_BACKEND_STORE_URI": mlflow or home.Home(settings).registry.mlflow_uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its workers would only cost memory
        "PYTHONUNBUFFERED": "1",  # so that what a program says before it is killed is in its log
    }


def _from_anywhere(url: str) -> str:
    """The URL, whatever folder it is read in: that of SQLite may name a file by a path from the current one."""
    path = url.removeprefix("sqlite:///")
    return url if path == url or path.startswith("/") else f"sqlite:///{Path.cwd() / path}"


def links(settings: Settings) -> list[Link]:
    """What a person may want to open."""
    from churn_platform.local.screen import Link

    mlflow = (
        f"http://{HOST}:{settings.mlflow_port}" if _has_mlflow_ui(settings) else without_secrets(settings.mlflow_uri)
    )
    token = "CHURN_API_TOKEN" if settings.api_token.get_secret_value() else str(settings.token_file)
    return [
        Link("Dagster", f"http://{HOST}:{settings.dagster_port}", "months, runs, lineage"),
        Link("MLflow", f"{mlflow}/#/models/{MODEL}", "versions, metrics, champion"),
        Link("API", f"http://{HOST}:{settings.serving_port}/docs", "predictions"),
        Link("token", token, "what /retrain and /generate ask for"),
        Link("logs", str(settings.logs), "one file for each program"),
    ]
