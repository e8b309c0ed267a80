"""Scratch: temporary folders end with their block, and those of dead processes when the next one is made."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from churn_platform.owners import own_process
from churn_platform.scratch import all_scratch, scratch


def left(place: Path, owner: list[object], days: int = 0) -> Path:
    """A folder that such a process has left."""
    folder = place / f"{json.dumps(owner).encode().hex()}.abc"
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
    host, number, started = json.loads(own_process())
    dead = [left(tmp_path, [host, number, started - 1]), left(tmp_path, ["elsewhere", number, started], days=2)]
    alive = [left(tmp_path, [host, number, started]), left(tmp_path, ["elsewhere", number, started + 1])]
    (tmp_path / "of.somebody_else").mkdir()
    with scratch(tmp_path):
        assert not any(folder.exists() for folder in dead)
    assert sorted(tmp_path.iterdir()) == sorted([*alive, tmp_path / "of_somebody_else"])


def test_two_folders_of_one_process(tmp_path: Path) -> None:
    with scratch(tmp_path) as one, scratch(tmp_path) as other:
        assert one != other
        assert one.exists()


def test_other_libraries_folders_are_there_too(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    with all_scratch(tmp_path), tempfile.TemporaryDirectory() as folder:
        assert Path(folder).is_relative_to(tmp_path)
        assert Path(folder).parent.name.startswith(own_process().encode().hex())
    assert tempfile.gettempdir() == before
