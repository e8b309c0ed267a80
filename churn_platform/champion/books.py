"""Books: where the ledger's receipts are kept, and the lock under which they are written.

Here: what every home of the receipts can do, and the one of files. Not here: PostgreSQL (`postgres`), or what a receipt
says (`receipts`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from churn_platform.faults import Fault
from churn_platform.files import replacing


class BookError(Fault):
    """Receipts that cannot be read or written now; the message says where and why."""


class Book(Protocol):
    """Numbered receipts, and at most one intent: the next one, whose decision is not finished. All are bytes."""

    def locked(self) -> AbstractContextManager[None]:
        """Holds the book's lock, which all who decide wait for; it ends with the process that holds it."""

    def receipts(self) -> dict[int, bytes]:
        """Every receipt by its number, ascending."""

    def intent(self) -> bytes | None:
        """The intent, or None."""

    def intend(self, data: bytes) -> None:
        """Write the intent; once this returns, a crash does not lose it. Call inside `locked`, like the next two."""

    def confirm(self, number: int) -> None:
        """Turn the intent into the receipt of this number, in one step."""

    def withdraw(self) -> None:
        """Take the intent away."""

    def name(self, number: int) -> str:
        """A receipt's name, for a sentence about it."""

    def place(self, number: int) -> str:
        """Where a person finds a receipt."""


class FileBook:
    """One folder: `000001.json` and so on, and `intent.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._intent = folder / "intent.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The lock is one machine's."""
        with self._written():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def receipts(self) -> dict[int, bytes]:
        """The numbers are those of the files' names; a copy under another name is nobody's receipt."""
        numbers = sorted(int(path.stem) for path in self.folder.glob("[0-9]*.json") if path.stem.isdecimal())
        return {number: path.read_bytes() for number in numbers if (path := self.path(number)).exists()}

    def intent(self) -> bytes | None:
        """It is there between `intend` and `confirm`."""
        try:
            return self._intent.read_bytes()
        except FileNotFoundError:
            return None

    def intend(self, data: bytes) -> None:
        """The intent takes the space that the receipt will need: confirming it needs no more."""
        with self._written():
            with replacing(self._intent) as temporary:
                temporary.write_bytes(data)
            self._sync()

    def confirm(self, number: int) -> None:
        """A rename, so that there is never both or neither."""
        with self._written():
            self._intent.rename(self.path(number))
            self._sync()

    def withdraw(self) -> None:
        """The next decision may take its number."""
        with self._written():
            self._intent.unlink(missing_ok=True)
            self._sync()

    def name(self, number: int) -> str:
        """The file's name."""
        return self.path(number).name

    def place(self, number: int) -> str:
        """The file's path."""
        return str(self.path(number))

    def path(self, number: int) -> Path:
        """Where a receipt is."""
        return self.folder / f"{number:06d}.json"

    def _sync(self) -> None:
        """Make the folder's names outlive a loss of power."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise BookError(
                f"the receipts in {self.folder} cannot be written: {reason} (mend that, then run this again)"
            ) from error
