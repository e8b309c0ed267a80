"""Broken stores: where one is cut, emptied or overwritten, a command works, or ends with a sentence that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from churn_platform.cli import main
from churn_platform_tests.conftest import Platform

COMMANDS = (
    ("status",),
    ("receipts",),
    ("close", "2024-02"),
    ("retrain", "2024-02"),
    ("promote", "2", "--reason", "a test"),
    ("rollback",),
)


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()  # it may be a hard link
    path.write_bytes(data[: len(data) // 2])


def empty(path: Path) -> None:
    path.unlink()
    path.touch()


def overwrite(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"not a store\n" * 2000)


def sentence(result: Result) -> str:
    """The one sentence of a refusal, after the lines of steps that were done before."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception  # no traceback
    *steps, said = result.stderr.splitlines(keepends=True)
    assert all(": step " in step for step in steps), result.stderr
    assert said.startswith("Error: ")
    return said


@pytest.mark.parametrize("damage", [cut, overwrite, empty], ids=lambda damage: damage.__name__)
def test_a_broken_registry_is_told_by_every_command(
    damage: Callable[[Path], None], trained: Platform, tmp_path: Path
) -> None:
    platform = trained.copy(tmp_path)
    damage(platform.settings.mlflow_home / "mlflow.db")
    for command in COMMANDS:
        said = sentence(platform.churn(*command))
        assert f"{platform.settings.mlflow_home / 'mlflow.db'}" in said
        assert "from a backup" in said


@pytest.mark.parametrize("damage", [cut, overwrite], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("file", ["history/runs.db", "history/runs/index.db", "schedules/schedules.db"])
def test_a_broken_storage_of_dagsters_is_told(
    file: str, damage: Callable[[Path], None], trained: Platform, tmp_path: Path
) -> None:
    platform = trained.copy(tmp_path)
    damage(platform.settings.dagster_home / file)
    for command in COMMANDS:
        result = platform.churn(*command)
        if command in (("status",), ("receipts",)):
            assert result.exit_code == 0, result.output
            continue
        said = sentence(result)
        assert f"Dagster's storage in {platform.settings.dagster_home} cannot be used" in said
        assert "restore it from a backup" in said


@pytest.mark.parametrize("damage", [cut, overwrite, empty], ids=lambda damage: damage.__name__)
def test_a_broken_table_is_told_and_made_again_as_it_says(
    damage: Callable[[Path], None], trained: Platform, tmp_path: Path
) -> None:
    platform = trained.copy(tmp_path)
    table = platform.settings.lake / "features" / "2024-02.parquet"
    damage(table)
    for command in (("status",), ("retrain", "2024-02")):
        said = sentence(platform.churn(*command))
        assert f"{table} is damaged: " in said
        assert said.endswith("make it again with churn close 2024-02\n")
    assert platform.churn("close", "2024-02").exit_code == 0
    assert platform.churn("status").exit_code == 0


@pytest.mark.parametrize("damage", [cut, overwrite, empty], ids=lambda damage: damage.__name__)
def test_a_broken_evaluation_is_told(damage: Callable[[Path], None], trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    evaluation = platform.settings.lake / "evaluation" / "2024-02.json"
    damage(evaluation)
    said = sentence(platform.churn("status"))
    assert f"{evaluation} cannot be read: " in said
    assert said.endswith("make it again with churn retrain 2024-02\n")


@pytest.mark.parametrize("command", [*COMMANDS, ("close", "--all"), ("up",)], ids=" ".join)
def test_a_home_that_is_a_file_is_told(command: tuple[str, ...], trained: Platform, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("not a folder")
    environment = {"CHURN_HOME": str(home), "CHURN_DROPS": str(trained.settings.drops)}
    said = sentence(CliRunner().invoke(main, command, env=environment))
    assert said == f"Error: {home} is a file where a folder is needed: move it away, or set another folder\n"


def test_drops_below_a_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, ["simulate", "--customers", "20", "--out", str(tmp_path / "file" / "drops")])
    assert f"{tmp_path / 'file'} is a file where a folder is needed" in sentence(result)
