"""Frozen folders: a test that changes a file is caught, a test that only reads is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from churn_platform_tests.frozen import Frozen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text("before")
    return tmp_path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "deep" / "file").write_text("after!"), "deep/file has changed"),  # of the same size
        (lambda folder: (folder / "deep" / "file").unlink(), "deep/file is gone"),
        (lambda folder: (folder / "new").touch(), "new was added"),
        (lambda folder: (folder / "deep" / "file").chmod(0o600), "deep/file has changed"),
    ],
)
def test_a_change_is_found_once(folder: Path, change: Callable[[Path], object], told: str) -> None:
    frozen = Frozen(folder)
    change(folder)
    with pytest.raises(AssertionError, match=f"let it change a copy:\n{folder}/{told}"):
        frozen.check()
    frozen.check()


def test_reading_and_writing_the_same_again_is_no_change(folder: Path) -> None:
    frozen = Frozen(folder)
    (folder / "deep" / "file").write_text((folder / "deep" / "file").read_text())
    os.utime(folder / "deep" / "file", (0, 0))
    frozen.check()
