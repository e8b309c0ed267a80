"""Loading: what starting the platform's programs imports, and so what every run and command waits for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from churn_platform.cli.closing import close, retrain
from churn_platform_tests.conftest import Platform

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


COMPLETED = """
import atexit, sys
atexit.register(lambda: print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr))
sys.argv = ["churn"]
from churn_platform.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("churn close ", ["2024-01", "2024-02"]),
        ("churn close 2024-02", ["2024-02"]),
        ("churn close 2025", []),
        ("churn retrain ", ["2024-01"]),
    ],
)
def test_a_shell_is_offered_months_at_once(typed: str, offered: list[str], begun: Platform) -> None:
    environment = {
        "CHURN_HOME": str(begun.settings.home),
        "CHURN_DROPS": str(begun.settings.drops),
        "_CHURN_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [sys.executable, "-c", COMPLETED],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.split() == [f"plain,{month}" for month in offered]
    assert set(done.stderr.split()) & {"dagster", *HEAVY} == set()


def test_a_shell_is_offered_nothing_where_nothing_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_HOME", str(tmp_path / "new"))
    monkeypatch.setenv("CHURN_DROPS", str(tmp_path / "nowhere"))
    for command in (close, retrain):
        (month,) = (each for each in command.params if each.name == "month")
        assert month.type.shell_complete(click.Context(command), month, "") == []
        with monkeypatch.context() as wrong:
            wrong.setenv("CHURN_FIRST_MONTH", "January")
            assert month.type.shell_complete(click.Context(command), month, "") == []


def test_reasons_need_no_heavy_library() -> None:
    loaded = loaded_by("churn_platform.reasons.telling") | loaded_by("churn_platform.reasons.change")
    assert loaded & {"sklearn", "pandas", "skl2onnx", "onnx", "matplotlib", "dagster", "mlflow"} == set()


def test_the_simulation_runs_without_heavy_libraries(tmp_path: Path) -> None:
    program = (
        "import runpy, sys; sys.argv[1:] = ['--out', sys.argv[1], '--customers', '20']\n"
        "try: runpy.run_module('churn_platform.simulation', run_name='__main__')\n"
        "except SystemExit as ended: assert ended.code == 0, ended.code\n"
        "assert not {'pandas', 'duckdb', 'ibis', 'sklearn', 'dagster'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["folder"] == "month_000"
