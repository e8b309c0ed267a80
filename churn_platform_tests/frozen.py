"""Frozen folders: what tests share and may only read, and how a change to it is found.

Here: remembering files, and saying which of them have changed. Not here: which folders are shared (`conftest`),
or making a copy that may be changed (`homes.copied`).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from churn_platform.files import sha256_of

_COME_AND_GO = ("-journal", "-shm", "-wal")
"""What SQLite has beside a database while anybody reads it, in whichever of the workers."""


class _File(NamedTuple):
    stamp: tuple[int, int, int]
    mode: int
    digest: str

    @property
    def kept(self) -> tuple[int, str]:
        """What has to stay as it is: when it was written need not."""
        return self.mode, self.digest


class Frozen:
    """Files, and those of folders, as they are now. Looking is cheap: a file with an old stamp is not read again."""

    def __init__(self, *places: Path) -> None:
        self._places = places
        self._files: dict[Path, _File] = {}
        self._files = self._look()

    def check(self) -> None:
        """Fail if a file was changed, added or removed since the last look, so that only one test is blamed."""
        before, self._files = self._files, self._look()
        changes = [
            f"{path} {'was added' if path not in before else 'is gone' if path not in self._files else 'has changed'}"
            for path in sorted(before.keys() | self._files.keys())
            if path not in before or path not in self._files or before[path].kept != self._files[path].kept
        ]
        assert not changes, "\n".join(["a test has changed what all tests share; let it change a copy:", *changes])

    def _look(self) -> dict[Path, _File]:
        found = {}
        for path in (path for place in self._places for path in (place, *place.rglob("*"))):
            if path.name.endswith(_COME_AND_GO) or not path.is_file():
                continue
            status, known = path.stat(), self._files.get(path)
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            digest = known.digest if known and known.stamp == stamp else sha256_of(path)
            found[path] = _File(stamp, status.st_mode, digest)
        return found
