"""Loading: what starting the platform's programs imports, and so what every run and command waits for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

HEAVY = (
    "pandas", "ibis", "duckdb", "sklearn", "mlflow", "great_expectations", "evidently", "matplotlib", "onnx",
    "skl2onnx", "scipy", "pyarrow", "onnxruntime", "dagster_mlflow",
)  # fmt: skip


def test_loading_the_definitions_imports_nothing_heavy() -> None:
    code = "import sys, churn_platform.definitions; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "dagster" in loaded
    assert loaded & set(HEAVY) == set()
