"""Predictions: customers' lines taken out of serving's prediction log, while serving goes on writing it.

Here: that log's files. Not here: what is written there and when it is removed (`serving/prediction_log.py`, which holds
the same lock).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import msgspec

from churn_platform.erasure.mentions import Mentions
from churn_platform.files import locked, replacing

LOCK = ".lock"
"""The file in the log's folder that whoever writes there locks."""

_NO_KEYS = frozenset({"time", "version", "as_of", "probability", "route"})
"""What a line has besides the customer, whatever the key was called when it was written."""

_VALUES = re.compile(rb':\s*("[^"]*"|-?[0-9]+)')
"""What may be values of a line that is no JSON."""


def erase(folder: Path, customers: Collection[str]) -> list[Path]:
    """Take the lines of these customers out of the log in this folder, and return the files that had some.

    All other lines keep their bytes, and those that serving adds meanwhile are kept. It holds what it answers for a
    quarter of a second, so a line of a customer whom it could still look up may come later: erase them there first.
    """
    lines = _Lines(customers)
    return [path for path in sorted(folder.glob("*.jsonl")) if path.is_file() and _erase(path, lines)]


class _Lines:
    """Tells the lines about some customers."""

    def __init__(self, customers: Collection[str]) -> None:
        self._customers = frozenset(customers)
        self._decode = msgspec.json.Decoder(dict[str, object]).decode
        self._mentions = Mentions(customers, "")

    def about(self, line: bytes) -> bool:
        """Whether a line is about one of them, or may be, since it was torn."""
        try:
            found = self._decode(line)
        except (ValueError, RecursionError):
            values = (value.strip(b'"').decode(errors="replace") for value in _VALUES.findall(line))
            return self._mentions.touched(line) or any(value in self._customers for value in values)
        return any(str(value) in self._customers for name, value in found.items() if name not in _NO_KEYS)


def _erase(path: Path, lines: _Lines) -> bool:
    while True:
        try:
            return _erased(path, lines)
        except FileNotFoundError:
            if not path.exists():  # serving has removed it
                return False


def _erased(path: Path, lines: _Lines) -> bool:
    """Whether the file had such lines. Raises FileNotFoundError where it is gone, or replaced by another erasure.

    Most of it is copied without the lock, since a file only grows; serving waits for the rest alone.
    """
    with path.open("rb") as source:
        if not any(map(lines.about, source)):
            return False
        source.seek(0)
        # The lock is released last, when the file has been replaced.
        with ExitStack() as held, replacing(path) as temporary, temporary.open("wb") as target:
            target.writelines(_others(source, lines, os.fstat(source.fileno()).st_size))
            held.enter_context(locked(path.parent / LOCK))
            if path.stat().st_ino != os.fstat(source.fileno()).st_ino:
                raise FileNotFoundError
            target.writelines(_others(source, lines))
    return True


def _others(source: BinaryIO, lines: _Lines, size: int | None = None) -> Iterator[bytes]:
    """The other lines from here; up to the last one that ends within `size` bytes, if that is given."""
    while size is None or source.tell() < size:
        at, line = source.tell(), source.readline()
        if not line or (size is not None and not line.endswith(b"\n")):
            source.seek(at)
            return
        if not lines.about(line):
            yield line
