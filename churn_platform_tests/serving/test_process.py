"""The process: what it imports, where it listens, how it starts and ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from churn_platform_tests.serving.world import World, user_id

HEAVY = ("dagster", "pandas", "sklearn", "great_expectations", "evidently", "mlflow", "ibis", "duckdb", "pyarrow")
PLATFORM = {
    *("bundle", "company", "contracts", "faults", "files", "members", "months", "online", "reasons", "secrets"),
    *("erasure_requests", "settings", "shown", "telling", "web"),
}


def test_serving_imports_nothing_heavy_and_nothing_else_of_the_platform() -> None:
    """With everything loaded that a request on SQLite may need."""
    code = (
        "import sys, pkgutil, importlib, serving, serving.routes, onnxruntime, httpx\n"
        "for package in (serving, serving.routes):\n"
        "    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        module.name == 'serving.__main__' or importlib.import_module(module.name)\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert {"serving", "onnxruntime"} <= roots
    assert not roots & set(HEAVY)
    assert "psycopg" not in roots  # it is to use SQLite
    assert {name.split(".")[1] for name in loaded if name.startswith("churn_platform.")} == PLATFORM


@contextmanager
def process(world: World, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int, float]]:
    """`python -m serving`: the process, its port and when it was started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"CHURN_HOME": str(world.home), "CHURN_SERVING_PORT": str(port), **environment}
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "serving"],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            yield running, port, started
        finally:
            running.kill()


def wait_until_ready(running: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + 30
    with httpx.Client(base_url=url) as client:  # making a client takes longer than asking
        while True:
            try:
                if client.get("/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert running.poll() is None, running.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.01)


def listening(port: int) -> set[str]:
    """The local addresses, in hexadecimal as Linux shows them, on which somebody listens on this port."""
    lines = [line for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    sockets = [line.split() for line in lines]
    return {
        local.partition(":")[0]
        for _, local, _, state, *_ in sockets
        if state == "0A" and local.endswith(f":{port:04X}")
    }


def test_it_starts_serves_and_ends(world: World) -> None:
    with process(world) as (running, port, _):
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(running, url)
        assert listening(port) == {"0100007F"}  # only 127.0.0.1
        assert httpx.post(f"{url}/predict", json={"user_id": user_id(0)}).status_code == 200
        status = Path(f"/proc/{running.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        assert int(found[1]) < 150 * 1024  # kB
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=10)
        assert running.returncode in (0, -signal.SIGTERM)
        assert "Traceback" not in output
        assert len(output.splitlines()) < 5  # quiet: no line per request
    [log] = world.settings.prediction_log.glob("*.jsonl")
    assert len(log.read_text().splitlines()) == 1  # what was waiting has been written


def test_it_is_ready_soon_and_without_the_registry_too(world: World) -> None:
    """With the bundle on disk. The bound is 2 seconds; a busy machine gets three times that."""
    with process(world) as (running, port, _):
        wait_until_ready(running, f"http://127.0.0.1:{port}")
    (world.settings.mlflow_home / "mlflow.db").unlink()
    with process(world) as (running, port, started):
        wait_until_ready(running, f"http://127.0.0.1:{port}")
        assert time.monotonic() - started < 6


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("CHURN_SERVING_PORT", "70000", "CHURN_SERVING_PORT: Input should be less than or equal to 65535"),
        (
            "CHURN_ONLINE_STORE_URL",
            "redis://user:secret@localhost",
            "CHURN_ONLINE_STORE_URL: it has to be a URL such as postgresql://user:password@host:5432/database",
        ),
        (
            "CHURN_MLFLOW_TRACKING_URI",
            "postgresql://user:secret@host/mlflow",
            "CHURN_MLFLOW_TRACKING_URI must start with sqlite:/// or http(s):// for serving",
        ),
    ],
)
def test_a_setting_that_cannot_be_stops_it_with_one_sentence(world: World, name: str, value: str, reason: str) -> None:
    with process(world, **{name: value}) as (running, _, _):
        output, _ = running.communicate(timeout=30)
        assert (running.returncode, output) == (1, f"Error: {reason}\n")


def test_a_token_that_cannot_be_used_stops_it_with_one_sentence(world: World) -> None:
    (world.home / "api_token").write_text("\n")
    with process(world) as (running, _, _):
        output, _ = running.communicate(timeout=30)
        said = f"Error: the API's token {world.home / 'api_token'} is empty: remove the file, or set CHURN_API_TOKEN\n"
        assert (running.returncode, output) == (1, said)


def test_churn_serve_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "api_token").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "from churn_platform.cli import main; main()", "serve"],
        env={**os.environ, "CHURN_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: the API's token {tmp_path / 'api_token'} cannot be made or read: ")
    assert done.stderr.count("\n") == 1
