"""Scratch: temporary folders end with their block, and those of dead processes when the next one is made."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from churn_platform.files.owners import mark
from churn_platform.files.scratch import all_scratch, scratch


def left(place: Path, owner: str, days: int = 0) -> Path:
    """A folder that such a process has left."""
    folder = place / f".{owner}.abc"
    folder.mkdir(parents=True)
    (folder / "bundle").touch()
    then = folder.stat().st_mtime - days * 86_400
    os.utime(folder, (then, then))
    return folder


def test_a_folder_ends_with_its_block(tmp_path: Path) -> None:
    with scratch(tmp_path / "tmp") as folder:
        (folder / "file").touch()
        assert folder.parent == tmp_path / "tmp"
    with pytest.raises(ZeroDivisionError), scratch(tmp_path / "tmp"):
        _ = 1 / 0
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    number, started, host = mark().split("-")
    dead = [left(tmp_path, f"{number}-1-{host}"), left(tmp_path, f"{number}-{started}-00000000", days=2)]
    alive = [left(tmp_path, mark()), left(tmp_path, f"{number}-1-00000000")]
    (tmp_path / ".ipynb_checkpoints").mkdir()
    with scratch(tmp_path):
        assert not any(folder.exists() for folder in dead)
    assert sorted(tmp_path.iterdir()) == sorted([*alive, tmp_path / ".ipynb_checkpoints"])


def test_two_folders_of_one_process(tmp_path: Path) -> None:
    with scratch(tmp_path) as one, scratch(tmp_path) as other:
        assert one != other
        assert one.exists()


def test_other_libraries_folders_are_there_too(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    with all_scratch(tmp_path), tempfile.TemporaryDirectory() as folder:
        assert Path(folder).is_relative_to(tmp_path)
        assert Path(folder).parent.name.startswith(f".{mark()}.")
    assert tempfile.gettempdir() == before
