"""Kept private: no file of a whole home can be read by others, after closing, training and serving."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx

from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform


def test_what_closing_and_training_write(trained: Platform) -> None:
    settings = trained.settings
    written = {path.relative_to(settings.home).parts[0] for path in settings.home.rglob("*") if path.is_file()}
    assert {"lake", "reports", "mlflow", "dagster", "receipts", "online_store.db"} <= written
    assert list(homes.open_to_others(settings.home)) == []


def test_what_serving_writes(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    settings = platform.settings
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "CHURN_HOME": str(settings.home),
        "CHURN_DROPS": str(settings.drops),
        "CHURN_SERVING_PORT": str(port),
    }
    rows = platform.home.lake.frame("features", max(platform.home.lake.months("features")))
    with subprocess.Popen([sys.executable, "-m", "serving"], env=environment, umask=0o022) as running:
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=30) as client:
                asked = {"user_id": rows["user_id"][0]}
                while client.post(f"http://127.0.0.1:{port}/predict", json=asked).status_code == 503:
                    pass  # it is not ready yet
        finally:
            running.terminate()
            running.wait()
    written = {path.name for path in (*settings.serving_home.rglob("*"), *settings.home.iterdir())}
    assert {"golden.json", "api_token"} <= written
    assert list(settings.prediction_log.glob("*.jsonl"))
    assert list(homes.open_to_others(settings.home)) == []
