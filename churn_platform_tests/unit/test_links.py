"""Links: paths with meaningful characters get one that has none, kept where only this user can change it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from churn_platform.files import links
from churn_platform.files.links import LinkError, plain


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's temporary folder."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(links, "_TEMPORARY", tmp_path / "tmp")
    yield tmp_path / "tmp"


@pytest.mark.parametrize("name", ["home", "with blanks", "a=b", "münchen", "{a,b}"])
def test_a_path_that_means_nothing_stays(name: str, temporary: Path) -> None:
    assert plain(temporary / name) == temporary / name
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", ["[a]", "a*", "a?b", "a%20b", "a#b"])
def test_a_path_that_means_something_gets_a_link(name: str, temporary: Path, tmp_path: Path) -> None:
    folder = tmp_path / name / "dagster"
    link = plain(folder)
    assert not set("*?[%#") & set(str(link.relative_to(temporary)))
    assert link.readlink() == folder
    assert plain(folder) == link
    assert plain(tmp_path / name / "mlflow") != link
    link.unlink()  # as a cleaner of old files would
    assert plain(folder) == link
    assert link.is_symlink()
    assert [path.stat(follow_symlinks=False).st_mode & 0o077 for path in temporary.iterdir()] == [0]


def test_a_link_that_others_could_change_is_refused(temporary: Path) -> None:
    place = temporary / f"churn-{os.getuid()}"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(LinkError, match="can be changed by others"):
        plain(temporary / "[a]")
    place.rmdir()
    place.symlink_to(temporary)
    with pytest.raises(LinkError, match="can be changed by others"):
        plain(temporary / "[a]")
