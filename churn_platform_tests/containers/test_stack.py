"""The stack, really run: a month through all of it, what each program may do, and the death of each container.

The tests share one stack and run in order.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import httpx
import pytest

from churn_platform_tests import compose
from churn_platform_tests.containers.conftest import PASSWORDS, SERVICES
from churn_platform_tests.containers.engine import EngineError
from churn_platform_tests.containers.stack import PATIENCE, Stack

TOKEN = PASSWORDS["CHURN_API_TOKEN"]


def test_from_drops_to_a_prediction(stack: Stack) -> None:
    smoke = [sys.executable, str(compose.ROOT / "deploy/smoke.py"), stack.place("./data/seeds")]
    addresses = ["--dagster", address(stack, "3000"), "--serving", address(stack, "8000")]
    environment = {**os.environ, "CHURN_API_TOKEN": TOKEN}
    done = subprocess.run([*smoke, *addresses], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr + stack.said(*stack.services)
    assert '"as_of": "2024-02-29"' in done.stdout


def address(stack: Stack, port: str) -> str:
    return f"http://127.0.0.1:{stack.ports[port]}"


def test_programs_run_as_they_should(stack: Stack) -> None:
    for name in ("code-server", "dagster-webserver", "dagster-daemon", "mlflow", "serving"):
        assert stack.ask(name, "id", "-u").strip() == "10001"
        status = stack.ask(name, "cat", "/proc/1/status")
        assert [line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "CapBnd"))] == [
            "0" * 16
        ] * 2
        assert "NoNewPrivs:\t1" in status
        with pytest.raises(EngineError, match="Read-only file system"):
            stack.ask(name, "touch", "/opt/venv/more")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("serving", "/churn/more"),
        ("serving", "/churn/lake/more"),
        ("dagster-webserver", "/churn/more"),
        ("dagster-daemon", "/churn/more"),
        ("code-server", "/drops/more"),
    ],
)
def test_what_is_only_read_cannot_be_written(name: str, path: str, stack: Stack) -> None:
    with pytest.raises(EngineError, match="Read-only file system"):
        stack.ask(name, "touch", path)


def test_only_dagsters_programs_reach_the_code_server(stack: Stack) -> None:
    ask = "import socket; socket.create_connection(('code-server', 4000), timeout=5)"
    stack.ask("dagster-daemon", "python", "-c", ask)
    for name in ("serving",):
        with pytest.raises(EngineError, match=r"gaierror|timed out|TimeoutError"):
            stack.ask(name, "python", "-c", ask)


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ("storage", "serving-role")])
def test_what_is_killed_comes_back_with_the_same_bytes(name: str, stack: Stack) -> None:
    before = told(stack)
    stack.kill(name)
    assert told(stack) == before


def told(stack: Stack) -> list[str]:
    """The tables' bytes, the receipts, and a prediction."""
    sums = "find /churn/lake -type f -name '*.parquet' | sort | xargs sha256sum"
    receipts = stack.ask("code-server", "python", "-m", "churn_platform", "receipts")
    return [stack.ask("code-server", "sh", "-c", sums), receipts, predicted(stack)]


def predicted(stack: Stack) -> str:
    """What serving says of a customer, once it is ready."""
    serving, until = address(stack, "8000"), time.monotonic() + PATIENCE
    while httpx.get(f"{serving}/ready", trust_env=False).status_code != 200:
        assert time.monotonic() < until, stack.said("serving")
        time.sleep(0.2)
    customer = httpx.get(f"{serving}/customers", headers=bearer(), trust_env=False).json()["user_ids"][0]
    answer = httpx.post(f"{serving}/predict", json={"user_id": customer}, headers=bearer(), trust_env=False)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return str([told[name] for name in ("user_id", "probability", "model_version", "features_used")])


def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}
