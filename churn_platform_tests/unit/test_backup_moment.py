"""Taking files at one moment while others write."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from churn_platform.backup import moment
from churn_platform.backup.moment import MomentError, taken
from churn_platform.files import replacing


def put(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def contents(home: Path) -> dict[str, str]:
    with taken(home) as found:
        return {one.name: one.path.read_text() for one in found}


def test_a_home_is_untouched(tmp_path: Path) -> None:
    put(tmp_path / "lake/a", "1")
    assert contents(tmp_path) == {"lake/a": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


def test_files_that_are_replaced_together_are_taken_together(tmp_path: Path) -> None:
    names = [f"lake/{letter}" for letter in "abcdefgh"]
    for name in names:
        put(tmp_path / name, "0")
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.wait(0.01):
            number += 1
            for name in names:  # each tells of the one before it
                put(tmp_path / name, str(number))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(40):
            found = [int(text) for _, text in sorted(contents(tmp_path).items())]
            assert found == sorted(found, reverse=True), found
            assert found[0] - found[-1] <= 1, found
    finally:
        over.set()
        writer.join()


def test_a_file_that_is_replaced_later_is_as_it_was(tmp_path: Path) -> None:
    put(tmp_path / "lake/a", "before")
    with taken(tmp_path) as [found]:
        put(tmp_path / "lake/a", "after")
        (tmp_path / "lake/a").unlink()
        assert found.path.read_text() == "before"


def test_where_a_disk_has_no_second_names_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "lake/a", "1")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with taken(tmp_path) as [found]:
        assert found.path.read_text() == "1"
        assert found.path.stat().st_nlink == 1


def test_files_behind_links_are_taken_once(tmp_path: Path) -> None:
    put(tmp_path / "big/lake/a", "1")
    home = tmp_path / "home"
    home.mkdir()
    (home / "lake").symlink_to(tmp_path / "big/lake")
    (tmp_path / "big/lake/again").symlink_to(home)
    assert contents(home) == {"lake/a": "1"}


def test_what_is_half_made_and_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    put(tmp_path / "lake/a", "1")
    (tmp_path / "lake/.a.123.abc").write_text("half")
    os.mkfifo(tmp_path / "lake/pipe")
    assert contents(tmp_path) == {"lake/a": "1"}


def test_a_database_in_use_is_as_of_its_last_transaction(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (n)")
        database.execute("INSERT INTO t VALUES (1)")
        database.commit()
        database.execute("INSERT INTO t VALUES (2)")
        with taken(tmp_path) as [found], closing(sqlite3.connect(found.path)) as copy:
            assert (found.name, copy.execute("SELECT n FROM t").fetchall()) == ("some.db", [(1,)])


def test_who_tells_of_others_is_taken_first(tmp_path: Path) -> None:
    for name in ("history/runs/one.db", "history/runs.db", "schedules/schedules.db", "history/runs/index.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(tmp_path / name)) as database:
            database.execute("CREATE TABLE t (n)")
    put(tmp_path / "lake/a", "1")
    with taken(tmp_path) as found:
        names = [one.name for one in found]
    assert names[:2] == ["schedules/schedules.db", "history/runs.db"]
    assert names[-1] == "lake/a"


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(MomentError, match=r"some\.db cannot be copied"), taken(tmp_path):
        pass


def test_files_that_never_rest_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a", "1")
    pin = moment._Pins.pin

    def replaced(pins: moment._Pins, found: moment._Seen) -> Path | None:
        pinned = pin(pins, found)
        put(tmp_path / "a", "2")
        return pinned

    monkeypatch.setattr(moment._Pins, "pin", replaced)
    monkeypatch.setattr(moment, "_SECONDS", 0.2)
    with pytest.raises(MomentError, match="run this again later"), taken(tmp_path):
        pass


def test_a_folder_that_cannot_be_read_is_not_missing_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "lake/a", "1")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("lake"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError), taken(tmp_path):
        pass


def test_a_link_to_what_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "lake").symlink_to(tmp_path / "unmounted")
    with pytest.raises(MomentError, match="lake is a link to what is not there"), taken(tmp_path):
        pass


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_text("1")
    with pytest.raises(MomentError, match="rename it"), taken(tmp_path):
        pass
