"""Entrances: each program that a person or a container starts says in one sentence that a setting is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = (
    "churn_platform.automation.instance",
    "churn_platform.home",
    "churn_platform.local.first_start",
    "churn_platform.simulation",
    "serving",
)


@pytest.mark.parametrize("module", MODULES)
def test_a_wrong_setting_is_told_in_one_sentence(module: str, tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path)] if module.endswith("simulation") else []
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "CHURN_HOME": str(tmp_path), "CHURN_DAGSTER_PORT": "hidden"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert said.count("\n") == 1
    assert "CHURN_DAGSTER_PORT: " in said
    assert "hidden" not in said


INTERRUPTED = """
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from churn_platform.__main__ import main
main()
"""
LEFT_RUNNING = """
import os, signal, sys, threading, time, types
def commands():
    def late():
        threading.main_thread().join()  # until it does nothing but wait for this thread
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    threading.Thread(target=late).start()
sys.modules["churn_platform.cli"] = types.SimpleNamespace(main=commands)
from churn_platform.__main__ import main
main()
"""


OLD = """
import runpy, sys
sys.version_info = (3, 10, 13, "final", 0)
runpy.run_module("churn_platform", run_name="__main__")
"""


def test_a_python_that_is_too_old_is_told_before_anything_else_is_loaded() -> None:
    done = entered(OLD)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: churn needs Python 3.11 or newer, and this is 3.10.13: call it with a newer one\n"


def entered(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("module", ["churn_platform.cli", "click", "pydantic", "churn_platform.simulation.hazard"])
def test_ctrl_c_while_the_command_line_is_loaded(module: str) -> None:
    done = entered(INTERRUPTED.format(module=module))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "\nAborted!\n")


def test_ctrl_c_while_the_program_ends() -> None:
    done = entered(LEFT_RUNNING)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
