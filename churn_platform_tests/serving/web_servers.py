"""Dagster's and MLflow's real web servers, started as `churn up` starts them, and a proxy that passes requests on.

Here: starting them. Not here: what is asked of them (`test_web_servers`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import httpx

from churn_platform_tests.running import free_ports

TOKEN = "t0ken-of-letters"
PATIENCE = 90.0


class Servers(NamedTuple):
    """Where they are."""

    dagster: str
    mlflow: str


@contextmanager
def started(folder: Path) -> Iterator[Servers]:
    """Both, with homes of their own and no code server; what they print is in their logs."""
    (folder / "dagster").mkdir()
    (folder / "workspace.yaml").write_text("load_from: []\n")
    ports = [str(port) for port in free_ports(2)]
    commands = {
        "dagster": ["churn_platform.automation.webserver", "--port", ports[0], "--workspace", "workspace.yaml"],
        "mlflow": [
            *("mlflow", "server", "--app-name", "churn", "--host", "127.0.0.1", "--port", ports[1], "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--serve-artifacts"),
            *("--artifacts-destination", str(folder / "artifacts")),
        ],
    }
    environment = {
        **os.environ,
        "CHURN_HOME": str(folder / "home"),
        "CHURN_API_TOKEN": TOKEN,
        "CHURN_ALLOWED_HOSTS": "churn.example",
        "DAGSTER_HOME": str(folder / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # as in use: its workers would only cost time
    }
    servers = Servers(*(f"http://127.0.0.1:{port}" for port in ports))
    processes = {}
    try:
        for name, command in commands.items():
            with (folder / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen(
                    [sys.executable, "-P", "-m", *command],
                    cwd=folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env=environment,
                )
        _wait(processes["dagster"], f"{servers.dagster}/server_info", folder / "dagster.log")
        _wait(processes["mlflow"], f"{servers.mlflow}/health", folder / "mlflow.log")
        yield servers
    finally:
        for process in processes.values():
            os.killpg(process.pid, 15)  # MLflow's has workers
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    with httpx.Client(trust_env=False) as client:  # making one takes longer than asking
        while True:
            with suppress(httpx.HTTPError):
                if client.get(url).status_code == 200:
                    return
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)


@contextmanager
def passing_on(url: str) -> Iterator[str]:
    """A proxy on this machine in front of a server: for that, whoever comes through it is from another machine."""
    client = httpx.Client(base_url=url, trust_env=False, timeout=30)

    class Proxy(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = [(name, value) for name, value in self.headers.items() if name.lower() != "content-length"]
            headers.append(("X-Forwarded-For", "192.0.2.7"))
            answer = client.request(self.command, self.path, headers=headers, content=body or None)
            self.send_response(answer.status_code)
            for name in ("content-type", "www-authenticate"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815  # names of http.server

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        client.close()
