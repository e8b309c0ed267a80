"""Files: replacing one atomically, holding a lock, and naming a file's content.

Here: what every file that the platform writes needs. Not here: which files there are (`lake`, and what writes them).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from churn_platform.files.owners import is_left, mark


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends well, and is removed otherwise.

    A reader sees the old file or the new one, never half of one; so does a restart after a crash.
    """
    with replacing_all([path]) as [temporary]:
        yield temporary


@contextmanager
def replacing_all(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """The same for several files: none is replaced before all of them are written in full."""
    wanted = list(paths)
    with ExitStack() as made:
        temporaries = [made.enter_context(_beside(path)) for path in wanted]
        yield temporaries
        for temporary in temporaries:
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        for temporary, path in zip(temporaries, wanted, strict=True):
            temporary.replace(path)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, gone when the block ends; what killed processes left of theirs goes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}."
    for file in path.parent.iterdir():
        if file.name.startswith(prefix):
            with suppress(FileNotFoundError):  # its owner, or whoever else removes it, was faster
                if is_left(file.name.removeprefix(prefix), file.stat()):
                    file.unlink()
    temporary = path.with_name(f"{prefix}{mark()}.{secrets.token_hex(8)}")
    temporary.touch(exist_ok=False)  # with the mode that `modes` leaves to new files, as mkstemp's have not
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that is this file while the block runs; wait for whoever holds it.

    It works between the processes of one machine, and the system releases it when its holder is killed.
    """
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sha256(data: bytes) -> str:
    """The SHA-256 of these bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
