"""Loading: what starting the platform's programs imports, and so what every run and command waits for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEAVY = (
    "pandas", "ibis", "duckdb", "sklearn", "mlflow", "great_expectations", "evidently", "matplotlib", "onnx",
    "skl2onnx", "scipy", "pyarrow", "onnxruntime", "dagster_mlflow",
)  # fmt: skip


def loaded_by(module: str) -> set[str]:
    """The packages that are loaded once a module is."""
    code = f"import sys, {module}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_loading_the_definitions_imports_nothing_heavy() -> None:
    loaded = loaded_by("churn_platform.definitions")
    assert "dagster" in loaded
    assert loaded & set(HEAVY) == set()


@pytest.mark.parametrize("module", ["cli", "local.up"])
def test_commands_start_without_dagster(module: str) -> None:
    assert loaded_by(f"churn_platform.{module}") & {"dagster", *HEAVY} == set()
