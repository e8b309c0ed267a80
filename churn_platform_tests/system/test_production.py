"""Production without containers: what the compose file starts, as processes, on a real PostgreSQL."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from churn_platform_tests import compose, homes
from churn_platform_tests.postgres import psql
from churn_platform_tests.running import free_ports

PATIENCE = 120.0
PASSWORD = "a9f3secret"
SERVING_PASSWORD = "d6c5secret"
TOKEN = "c7d5secret"
DOTENV = {
    "POSTGRES_PASSWORD": PASSWORD,
    "SERVING_PASSWORD": SERVING_PASSWORD,
    "GRAFANA_PASSWORD": "b8e4secret",
    "CHURN_API_TOKEN": TOKEN,
    "CHURN_ESTIMATOR": "logistic_regression",
    "CHURN_SETTLE_SECONDS": "3600",  # so that the sensors leave the month to the smoke script
    "CHURN_SENSOR_SECONDS": "3600",
}
ROLE = "serving-role"
ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}
"""Says that a request is from another machine."""
INTERNAL = ("3000", "4000", "5000", "8000")
"""The ports that our programs listen on in their containers."""


class Stack:
    """The compose file's services that are built from this repository, and the role's, as processes of this machine.

    Each has the command, the variables and the health check that the file gives it, and no other variables than those
    of an image; volumes are folders, and services listen on free ports of 127.0.0.1.
    """

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        everything = compose.services(DOTENV)
        self.services = {name: service for name, service in everything.items() if "build" in service or name == ROLE}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._names = everything
        self._socket = parse_qs(urlsplit(database).query)["host"][0]
        self.ports = dict(zip(INTERNAL, map(str, free_ports(len(INTERNAL))), strict=True))

    def volume(self, name: str) -> Path:
        """Where a volume or a mounted file of the repository is; the drops are the test's own."""
        if (compose.ROOT / name).is_file() or name.startswith("./deploy"):
            return compose.ROOT / name
        folder = self.folder / ("drops" if name.startswith("./") else name)
        folder.mkdir(exist_ok=True)
        return folder

    def _native(self, service: str, text: str) -> str:
        """A command's word or a variable's value with this machine's folders, hosts and ports."""
        for target, (source, _) in compose.volumes(self.services[service]).items():
            text = re.sub(rf"^{target}(?=/|$)", str(self.volume(source)), text)
        text = re.sub(r"@postgres:5432/(\w+)", rf"@/\1?host={self._socket}", text)
        text = re.sub(rf"\b({'|'.join(self._names)})(?=:\d)|0\.0\.0\.0", "127.0.0.1", text)
        return re.sub(rf"(?<![\w.])({'|'.join(INTERNAL)})\b", lambda match: self.ports[match[1]], text)

    def _host(self, name: str) -> str:
        return self._socket if name == "postgres" else "127.0.0.1"

    def _command(self, service: str, words: list[str]) -> list[str]:
        program = {"python": sys.executable, "psql": str(psql())}
        values = [word.split("=") for word in words[1:]]  # an option's may be a path of the container
        return [program[words[0]], *("=".join(self._native(service, part) for part in parts) for parts in values)]

    def _environment(self, service: str) -> dict[str, str]:
        given = {
            name: self._host(value) if value in self._names else self._native(service, value)
            for name, value in self.services[service]["environment"].items()
        }
        python = {"PYTHONSAFEPATH": "1", "PYTHONFAULTHANDLER": "1"}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), **python, **given}

    def start(self) -> None:
        """Start everything in the file's order, each as soon as its conditions hold, until all are well."""
        until, well = time.monotonic() + PATIENCE, {"postgres"}
        while missing := self.services.keys() - well:
            for name in sorted(missing):
                if name not in self.processes and self.services[name]["depends_on"].keys() <= well:
                    self._start(name)
                elif name in self.processes and self._is_well(name):
                    well.add(name)
            assert time.monotonic() < until, self.said(*missing)
            time.sleep(0.3)

    def _start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                self._command(name, self.services[name]["command"]),
                cwd=self.folder,
                env=self._environment(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _is_well(self, name: str) -> bool:
        """Whether a one-off has succeeded, or a service passes its health check."""
        service, ended = self.services[name], self.processes[name].poll()
        if "healthcheck" not in service:
            assert ended in (None, 0), self.said(name)
            return ended == 0
        assert ended is None, self.said(name)
        check = self._command(name, service["healthcheck"]["test"][1:])
        return not subprocess.run(check, env=self._environment(name), capture_output=True, check=False).returncode

    def said(self, *names: str) -> str:
        """The ends of what services have printed."""
        logs = {name: self.folder / f"{name}.log" for name in names}
        return "\n".join(f"--- {name}\n{log.read_text()[-6000:]}" for name, log in logs.items() if log.exists())

    def arguments(self) -> str:
        """The arguments of all running processes, which everybody on a machine can see."""
        sessions, found = {process.pid for process in self.processes.values()}, b""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # gone meanwhile
                if os.getsid(int(process.name)) in sessions:
                    found += (process / "cmdline").read_bytes()
        assert b"automation.webserver" in found
        return found.decode().replace("\0", " ")

    def stop(self) -> dict[str, float]:
        """SIGTERM everything at once; returns how many seconds each took to end."""
        running = {name: process for name, process in self.processes.items() if process.poll() is None}
        began = time.monotonic()
        took: dict[str, float] = {}
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        while len(took) < len(running):
            for name, process in running.items():
                if name not in took and process.poll() is not None:
                    took[name] = time.monotonic() - began
            if time.monotonic() > began + 60:
                left = running.keys() - took.keys()
                for name in left:
                    running[name].send_signal(signal.SIGABRT)  # has Python say where each thread is
                    running[name].wait()
                raise AssertionError(self.said(*left))
            time.sleep(0.05)
        return took

    def kill(self) -> None:
        """What a container's end does: nothing of it is left."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def stack(tmp_path: Path, postgres: str) -> Iterator[Stack]:
    with psycopg.connect(postgres, autocommit=True) as connection:  # as PostgreSQL's image does at its first start
        for name in ("churn", "mlflow"):
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute("DROP ROLE IF EXISTS churn")
        connection.execute(f"CREATE ROLE churn SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("CREATE DATABASE churn")
        connection.execute((compose.ROOT / "deploy/postgres/mlflow.sql").read_text())
    made = Stack(tmp_path, postgres)
    homes.deliver(made.volume("./data/seeds"), customers=homes.CUSTOMERS)
    try:
        yield made
    finally:
        made.kill()


def test_from_a_drop_to_a_prediction(stack: Stack, postgres: str) -> None:
    stack.start()
    dagster, mlflow, serving = (f"http://127.0.0.1:{stack.ports[port]}" for port in ("3000", "5000", "8000"))
    smoke = [sys.executable, str(compose.ROOT / "deploy/smoke.py"), str(stack.volume("./data/seeds"))]
    addresses = ["--dagster", dagster, "--serving", serving, "--patience", str(PATIENCE)]
    done = subprocess.run([*smoke, *addresses], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + stack.said(*stack.services)
    assert '"as_of": "2024-01-31"' in done.stdout

    database = postgres.replace("/postgres?", "/{}?")
    with psycopg.connect(database.format("churn")) as connection:
        runs = connection.execute("SELECT DISTINCT pipeline_name FROM runs WHERE status = 'SUCCESS'").fetchall()
        assert {name for (name,) in runs} >= {"month_close", "retrain", "promote"}
        (served,) = connection.execute("SELECT month, customers FROM online_month").fetchall()
        ((customers,),) = connection.execute("SELECT count(*) FROM features WHERE as_of = '2024-01-31'").fetchall()
        assert served == ("2024-01", customers)
    serving_only_reads(database.replace("postgres:", "serving:"))
    with psycopg.connect(database.format("mlflow")) as connection:
        named = "SELECT version FROM registered_model_aliases WHERE alias = 'champion'"
        assert connection.execute(named).fetchall() == [(1,)]
        chosen = "SELECT value FROM params WHERE key = 'estimator'"
        assert set(connection.execute(chosen).fetchall()) == {(DOTENV["CHURN_ESTIMATOR"],)}
    assert list(stack.volume("artifacts").rglob("bundle/manifest.json"))
    assert not list(stack.folder.rglob("*.db"))  # neither SQLite's nor those of onnxruntime's telemetry

    lines = dict(line.rsplit(" ", 1) for line in httpx.get(f"{serving}/metrics", trust_env=False).text.splitlines())
    age = (datetime.now(UTC) - datetime(2024, 2, 1, tzinfo=UTC)).total_seconds()
    assert float(lines["churn_champion_age_seconds"]) == pytest.approx(age, abs=60)

    # By these names they reach each other in their network, and MLflow refuses names that it does not know.
    ask = f"{mlflow}/api/2.0/mlflow/experiments/search?max_results=1"
    for host, status in (("mlflow:5000", 200), ("localhost:5000", 200), ("evil.example", 403)):
        assert httpx.get(ask, headers={"Host": host}, trust_env=False).status_code == status

    for url in (f"{dagster}/server_info", ask):  # as whoever is not in the same container
        assert httpx.get(url, headers=ELSEWHERE, trust_env=False).status_code == 401
        assert httpx.get(url, headers=ELSEWHERE, auth=("ann", TOKEN), trust_env=False).status_code == 200

    for secret in (PASSWORD, TOKEN):
        assert secret not in stack.arguments()
        assert secret not in stack.said(*stack.services)
    limits = {name: _seconds(service.get("stop_grace_period", "10s")) for name, service in stack.services.items()}
    assert {name: seconds for name, seconds in stack.stop().items() if seconds > limits[name]} == {}


def serving_only_reads(database: str) -> None:
    """What serving's own role may do: look at the receipts and the online store."""
    with psycopg.connect(database.format("churn"), autocommit=True) as connection:
        for table in ("receipts", "receipt_intent", "online_month", "online_customers"):
            connection.execute(f"SELECT * FROM {table}")
        refused = (
            "SELECT * FROM runs",
            "SELECT * FROM features",
            "DELETE FROM receipts",
            "UPDATE online_month SET as_of = ''",
        )
        for statement in (*refused, "CREATE TABLE more ()", "CREATE TEMPORARY TABLE more ()", "CREATE ROLE more"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    for other in ("mlflow", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(database.format(other))


def _seconds(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m)", duration).groups()  # type: ignore[union-attr]
    return float(number) * {"s": 1, "m": 60}[unit]
