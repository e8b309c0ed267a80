"""Entrances: each program that a person or a container starts says in one sentence that a setting is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = (
    "churn_platform.automation.instance",
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
