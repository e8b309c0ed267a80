"""Texts: a home's files that people read, without mentions of some customers.

Here: logs, pages, reports, documents beside the lake's tables, MLflow's artifacts. Not here: tables, SQLite's files
(`sqlite`), the prediction log (`predictions`), exports, settings, and what nobody may change: receipts, which name each
other's hash, and bundles, which are named by theirs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from churn_platform.erasure.mentions import Mentions
from churn_platform.erasure.places import files
from churn_platform.erasure_requests import FOLDER
from churn_platform.faults import placing
from churn_platform.files import replacing

_KEPT = ("receipts", "exports", "serving/bundles", "serving/prediction_log", f"serving/{FOLDER}", "api_token")
"""What is left alone in a home, besides those of MLflow's folders that hold a model."""
_MODELS = ("bundle", "models")

_NO_TEXTS = frozenset({".parquet", ".db", ".db-wal", ".db-shm", ".db-journal", ".lock", ".onnx", ".png", ".yaml"})
_LOG = re.compile(r"\.(log|out|err)(\.\d+)?\Z")
_AT_ONCE = 32 * 1024 * 1024


def erase(home: Path, mentions: Mentions) -> list[Path]:
    """Take the mentions out of all texts in a home, and return the files that had some. Raises PlaceError.

    A file that is replaced as a whole, as all but logs are, is so here. A log is open in the program that writes it,
    which may hold it for as long as it runs: there the mention's own bytes are overwritten, with as many asterisks.
    """
    found = list[Path]()
    for path in files(home, _keeping(home)):
        with suppress(FileNotFoundError), placing(path):  # it has been removed or replaced
            if _mask(path, mentions) if _LOG.search(path.name) else _replace(path, mentions):
                found.append(path)
    return found


def receipts_that_mention(receipts: Mapping[int, bytes], mentions: Mentions) -> list[int]:
    """The numbers of the receipts that mention one of them, as in a reason that a person gave.

    They cannot be changed: each holds the hash of the one before it, and somebody may have written that down.
    """
    return [number for number, data in receipts.items() if mentions.in_bytes(data)]


def _keeping(home: Path) -> Callable[[Path], bool]:
    """What is no text of this home's, or is not to be changed."""
    kept, mlflow = {home / name for name in _KEPT}, home / "mlflow"

    def keeps(path: Path) -> bool:
        return path in kept or path.suffix in _NO_TEXTS or (path.name in _MODELS and path.is_relative_to(mlflow))

    return keeps


def _replace(path: Path, mentions: Mentions) -> bool:
    """Replace a file by one without the mentions. Whoever replaces it meanwhile may write them again: so look again."""
    found = False
    while True:
        with path.open("rb") as file:
            data, inode = file.read(), os.fstat(file.fileno()).st_ino
        text = data.decode(errors="surrogateescape")
        if b"\0" in data or (without := mentions.without(text)) == text:
            return found
        with replacing(path) as temporary:
            temporary.write_bytes(without.encode(errors="surrogateescape"))
            temporary.chmod(path.stat().st_mode & 0o777)
            if path.stat().st_ino != inode:
                temporary.write_bytes(path.read_bytes())
        found = True


def _mask(path: Path, mentions: Mentions) -> bool:
    """Overwrite the mentions in a log, which only grows: nobody else changes the bytes that are there."""
    found, at = False, 0
    with path.open("r+b") as file:
        while lines := _lines(file.fileno(), at):
            if (masked := mentions.masked(lines)) != lines:
                os.pwrite(file.fileno(), masked, at)
                found = True
            at += len(lines)
        if found:
            os.fsync(file.fileno())
    return found


def _lines(file: int, at: int) -> bytes:
    """Whole lines of a file from here; of the last one, or of a very long one, what is there."""
    data = os.pread(file, _AT_ONCE, at)
    end = data.rfind(b"\n") + 1
    return data[:end] if end and len(data) == _AT_ONCE else data
