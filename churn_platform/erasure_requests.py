"""Erasure requests: whom to erase, handed from whoever asks to the run that does it, in a file of mode 600.

Here: the file, which is the only place where their keys stand meanwhile, and which goes when all is done. Not here:
what is done (`erasure`), or who may ask (`cli`, `serving`).

The files lie in a folder whose name begins with a dot, as that of work under way: no backup packs them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from churn_platform.faults import Fault
from churn_platform.files import replacing
from churn_platform.files.modes import OWNER_ALONE

FOLDER = ".erasures"
"""Below serving's folder, which all may write who may ask."""

_NAME = re.compile(r"[0-9a-f]{32}")
_TELLING = 4
"""How many digits a customer's number has at least that is no day or count in a sentence."""


class ErasureRequestError(Fault):
    """A request that is not there, or cannot be read; the message says what to do."""

    lasting = True


class Held(msgspec.Struct, frozen=True):
    """What customers had a part in, before anything was erased: the words are those of a receipt's `Erasure`.

    `known` says how many of them any table had.
    """

    known: int
    trained: tuple[int, ...]
    judged: tuple[int, ...]
    shown: tuple[int, ...]
    rows: dict[str, int]


class ErasureRequest(msgspec.Struct, frozen=True):
    """Whom to erase, and why; who asked, and when (UTC, ISO 8601). `held` is None until it has been looked for."""

    customers: tuple[str, ...]
    reason: str
    by: str
    asked_at: str
    held: Held | None = None


def names_any(reason: str, customers: Iterable[str]) -> bool:
    """Whether a reason, which receipts keep for ever, names one of the customers; a small number may mean anything."""
    named = (one for one in customers if one and not (one.isdecimal() and len(one) < _TELLING))
    return any(re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", reason) for one in named)


def new_name() -> str:
    """A name for a request, which tells nothing about it."""
    return secrets.token_hex(16)


def write(folder: Path, name: str, request: ErasureRequest) -> None:
    """Write a request, or replace it by one that knows more. Only its owner can read it."""
    with replacing(folder / f"{name}.json") as temporary:
        temporary.chmod(OWNER_ALONE)
        temporary.write_bytes(msgspec.json.encode(request))


def read(folder: Path, name: str) -> ErasureRequest:
    """The request of this name. Raises ErasureRequestError."""
    if not _NAME.fullmatch(name):
        raise ErasureRequestError("that is not the name of an erasure request: ask with churn forget")
    file = folder / f"{name}.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=ErasureRequest)
    except FileNotFoundError:
        raise ErasureRequestError(
            f"the erasure request {name[:8]} is not there: it was done, or was withdrawn (churn receipts)"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise ErasureRequestError(f"{file} cannot be read: ask again with churn forget, and remove it") from error


def waiting(folder: Path) -> tuple[str, ...]:
    """The names of the requests that are not done yet, oldest first."""
    found = []
    for path in folder.glob("*.json"):
        with suppress(FileNotFoundError):  # it is done meanwhile
            if _NAME.fullmatch(path.stem):
                found.append((path.stat().st_mtime_ns, path.stem))
    return tuple(name for _, name in sorted(found))


def asked(folder: Path, name: str) -> float:
    """When a request was written last, in seconds since the epoch; 0 where it is done."""
    with suppress(FileNotFoundError):
        return (folder / f"{name}.json").stat().st_mtime
    return 0.0


def remove(folder: Path, name: str) -> None:
    """It is done, or withdrawn."""
    (folder / f"{name}.json").unlink(missing_ok=True)
