"""Secrets: no part of a password is told or kept, whatever is wrong with its URL or with what is at the other end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from churn_platform.automation.instance import prepare
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.hostile_urls import MALFORMED, PASSWORD, SECRET, left_in, left_under

COMMANDS = (
    ("up",),
    ("close", "2024-01"),
    ("close", "--all"),
    ("retrain", "2024-01"),
    ("promote", "1", "--reason", "a test"),
    ("rollback",),
    ("pause", "--reason", "a test"),
    ("resume",),
    ("receipts",),
    ("predict", "nobody"),
    ("status",),
    ("simulate", "--out", "drops"),
)
PROGRAMS = (
    ("-m", "churn_platform.automation.instance"),
    ("-m", "churn_platform.home"),
    ("-m", "churn_platform.local.first_start"),
    ("-m", "dagster", "definitions", "validate", "--module-name", "churn_platform.definitions"),
    ("-m", "dagster._daemon", "liveness-check"),
    ("-m", "churn_platform.automation.webserver", "--port", "1", "--workspace", os.devnull),
    ("-m", "serving"),
)

HOSTILE = quote(PASSWORD, safe="")


def done(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_refuses_malformed_urls_in_one_sentence(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    platform = Platform(homes.settings_of(tmp_path))
    for name, urls in MALFORMED.items():
        for url in urls:
            with monkeypatch.context() as environment:
                environment.setenv(name, url)
                result = platform.churn(*command)
            assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1), result.output
            assert result.stderr.startswith(f"Error: {name}: ")
            assert left_in(result.output) == []
    assert list(left_under(tmp_path)) == []


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program[1])
def test_no_program_shows_a_part_of_malformed_urls(
    program: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of Dagster's own programs, those of a PostgreSQL: they read it from the instance, and no other setting."""
    fine = "postgresql://churn:fine@127.0.0.1:1/churn"
    monkeypatch.setenv("CHURN_POSTGRES_URL", fine)  # which the next sets
    settings = homes.settings_of(tmp_path, postgres_url=fine)
    prepare(settings)
    urls = {name: urls[-1] for name, urls in MALFORMED.items()}
    # A part of this is a port to SQLAlchemy, which says so.
    urls["CHURN_POSTGRES_URL"] = f"postgresql://churn:{SECRET}"
    home = {"CHURN_HOME": str(settings.home), "DAGSTER_HOME": str(settings.dagster_home)}
    ended = done(*program, **home, **urls)
    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert left_in(said) == []
    if program[1].startswith(("churn_platform", "serving")):
        assert said.count("\n") == 1
        assert all(f"{name}: " in said for name in MALFORMED)
    else:
        assert "CHURN_POSTGRES_URL: after its host comes a port" in said
    assert list(left_under(tmp_path)) == []


def test_a_server_with_a_password_that_is_away(closed: Platform, tmp_path: Path) -> None:
    """MLflow names the whole URL in what it raises then, and Dagster keeps that with the run."""
    platform = closed.copy(tmp_path)
    urls = {
        "CHURN_MLFLOW_TRACKING_URI": f"http://ann:{HOSTILE}@127.0.0.1:1",
        "CHURN_ONLINE_STORE_URL": f"postgresql://churn:{HOSTILE}@127.0.0.1:1/churn",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    home = {"CHURN_HOME": str(platform.settings.home), "CHURN_DROPS": str(platform.settings.drops)}
    for command in (("retrain", "2024-02"), ("close", "2024-03"), ("status",)):
        ended = done("-m", "churn_platform", *command, **home, **urls)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert ended.stderr.splitlines()[-1].startswith("Error: ")
        assert left_in(ended.stdout + ended.stderr) == []
    assert list(left_under(tmp_path)) == []


BUG = """
import logging, threading
from churn_platform.tables import features
from churn_platform.settings import Settings
def buggy(*_, **__):
    url = Settings().online_store_url.get_secret_value()
    logging.getLogger("a").error("logged %s", url)
    logging.getLogger("a").error("logged wrongly %s %d", url)
    try:
        int(url)
    except ValueError:
        logging.getLogger("a").exception("caught")
    thread = threading.Thread(target=int, args=(url,))
    thread.start()
    thread.join()
    raise RuntimeError(f"a bug about {url}") from ValueError(url)
"""
IN_A_RUN = """
from churn_platform.assets import snapshots
snapshots.feature_table = buggy
from churn_platform.cli import main
main(["close", "2024-01"])
"""
IN_A_COMMAND = """
import churn_platform.monitoring.status as status
status.read = buggy
from churn_platform.cli import main
main(["status"])
"""


@pytest.mark.parametrize("where", [IN_A_RUN, IN_A_COMMAND], ids=["run", "command"])
def test_a_bug_tells_no_password(where: str, begun: Platform, tmp_path: Path) -> None:
    platform = begun.copy(tmp_path)
    ended = done(
        "-c",
        BUG + where,
        CHURN_HOME=str(platform.settings.home),
        CHURN_DROPS=str(platform.settings.drops),
        CHURN_ONLINE_STORE_URL=f"postgresql://churn:{HOSTILE}@127.0.0.1:1/churn",
    )
    assert ended.returncode == 1
    assert "***" in ended.stderr
    assert left_in(ended.stdout + ended.stderr) == []
    assert list(left_under(tmp_path)) == []


@contextmanager
def serving(home: Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`python -m serving` once it answers: its address, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {**os.environ, "CHURN_HOME": str(home), "CHURN_SERVING_PORT": str(port), **environment}
    command = [sys.executable, "-m", "serving"]
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=8)) as client:
                client.get("/health")
            yield f"http://127.0.0.1:{port}", running
        finally:
            running.kill()


def test_serving_tells_no_password(tmp_path: Path) -> None:
    urls = {
        "CHURN_MLFLOW_TRACKING_URI": f"http://ann:{HOSTILE}@127.0.0.1:1",
        "CHURN_POSTGRES_URL": f"postgresql://churn:{HOSTILE}@127.0.0.1:1/churn",
        "CHURN_DAGSTER_URL": f"http://ann:{HOSTILE}@127.0.0.1:1",
        "CHURN_API_TOKEN": SECRET,
    }
    token = {"Authorization": f"Bearer {SECRET}"}
    with serving(tmp_path / "home", **urls) as (url, running):
        answers = [
            httpx.get(f"{url}/ready"),
            httpx.post(f"{url}/predict", json={"user_id": "nobody"}),
            httpx.get(f"{url}/features/nobody"),
            httpx.post(f"{url}/retrain", json={}, headers=token, timeout=30),
        ]
        running.terminate()
        said, _ = running.communicate(timeout=30)
    assert [answer.status_code for answer in answers[:2]] == [503, 503]
    assert left_in(said + "".join(answer.text for answer in answers)) == []
    assert list(left_under(tmp_path)) == []
