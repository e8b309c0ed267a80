"""Modes: files are their owner's alone, or their group's too, whoever writes them and whenever."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from churn_platform.files import modes, replacing
from churn_platform.settings import Settings, SettingsError, begin


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("files", "folders"), [("600", 0o700), ("640", 0o750)])
def test_what_a_program_writes_has_the_mode_that_is_set(
    files: str, folders: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURN_FILE_MODE", files)
    monkeypatch.setenv("CHURN_HOME", str(tmp_path / "home"))
    settings = begin()
    with replacing(settings.lake / "features" / "a.parquet") as temporary:
        temporary.touch()
    (settings.lake / "b").write_text("b")
    database = sqlite3.connect(settings.lake / "c.db")
    database.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (a)")
    found = list(settings.home.rglob("*"))
    assert {path.name for path in found} >= {"a.parquet", "b", "c.db", "c.db-wal", "c.db-shm"}
    assert {mode(path) for path in found if path.is_file()} == {int(files, 8)}
    assert {mode(path) for path in (settings.home, *found) if path.is_dir()} == {folders}
    database.close()


def test_nobody_else_comes_into_a_home_of_an_earlier_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "lake").mkdir(parents=True)
    home.chmod(0o755)
    monkeypatch.setenv("CHURN_HOME", str(home))
    begin()
    assert mode(home) == 0o700


@pytest.mark.parametrize(("files", "folders"), [(0o600, 0o700), (0o640, 0o750)])
def test_what_an_earlier_version_wrote_is_corrected(files: int, folders: int, tmp_path: Path) -> None:
    home = tmp_path / "home"
    lake = home / "lake"
    lake.mkdir(parents=True)
    for path in (lake / "a.parquet", home / "api_token", home / "script"):
        path.touch()
    (home / "script").chmod(0o777)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    (home / "link").symlink_to(elsewhere)
    (home / "gone").symlink_to(tmp_path / "nowhere")
    lake.chmod(0o2755)  # what is written there belongs to its group
    modes.correct(home, files, secret=[home / "api_token"])
    assert {mode(lake / "a.parquet"), mode(home / "script")} == {files}
    assert (mode(home / "api_token"), mode(home), mode(lake)) == (0o600, folders, 0o2000 | folders)
    assert mode(elsewhere) == 0o644
    assert stat.S_ISLNK((home / "gone").lstat().st_mode)


def test_other_modes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_FILE_MODE", "644")
    with pytest.raises(SettingsError, match="CHURN_FILE_MODE: Input should be '600' or '640'"):
        Settings()


def test_every_program_begins_with_it() -> None:
    """The synthetic company's drops are for whoever reads drops, and hold nobody's data; completion writes nothing."""
    root = Path(__file__).parents[2]
    others = {
        str(path.relative_to(root))
        for folder in ("churn_platform", "serving")
        for path in (root / folder).rglob("*.py")
        if " Settings()" in path.read_text() or "(Settings()" in path.read_text()
    }
    assert others == {
        "churn_platform/settings/__init__.py",
        "churn_platform/simulation/command.py",
        "churn_platform/cli/months.py",
    }
    assert os.umask(0o022) == 0o022  # tests do not leave it changed
