"""Faults: how a program ends with one, and with a bug."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from churn_platform.faults import Fault, PlaceError, entrance, placing


def test_a_fault_ends_a_program_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, entrance():
        raise Fault("users.csv: it has no line: deliver it again")
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", "Error: users.csv: it has no line: deliver it again\n")


def test_a_bug_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), entrance():
        _ = 1 / 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EACCES, "/a/b may not be used by this user"),
        (errno.EPERM, "/a/b may not be used by this user"),
        (errno.EROFS, "/a/b cannot be written, since its disk is read-only"),
        (errno.ENOSPC, "/a/b cannot be written, since its disk is full"),
        (errno.ELOOP, "/a/b cannot be used, since its name is too long or it is a loop of links"),
        (errno.ENAMETOOLONG, "/a/b cannot be used, since its name is too long or it is a loop of links"),
        (errno.EIO, "/a/b cannot be read or written, since its disk fails"),
        (errno.ESTALE, "/a/b cannot be read or written, since its disk fails"),
    ],
)
def test_a_place_that_cannot_be_used_is_told(number: int, told: str) -> None:
    with pytest.raises(PlaceError) as raised, placing():
        raise OSError(number, "whatever the system says", "/a/b")
    assert str(raised.value).startswith(told)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no folders")
def test_a_place_where_nothing_can_be_made_is_told() -> None:
    with pytest.raises(PlaceError, match=r"^/proc/home cannot be made, since nothing can be made in /proc"), placing():
        Path("/proc/home").mkdir()


def test_a_file_where_a_folder_is_needed_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(PlaceError) as raised, placing():
            place.mkdir(parents=True, exist_ok=True)
        assert str(raised.value).startswith(f"{tmp_path / 'file'} is a file where a folder is needed")


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "", "/a/b"),
        FileExistsError(errno.EEXIST, "", "/"),
        OSError(errno.ENOSPC, "without a file"),
        OSError("without a number"),
    ],
)
def test_what_may_be_a_bug_passes(error: OSError) -> None:
    with pytest.raises(OSError) as raised, placing():
        raise error
    assert raised.value is error
