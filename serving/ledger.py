"""The ledger as serving sees it: which version the receipts made champion, and whether promotions are paused.

Here: reading receipts, from PostgreSQL or from files under CHURN_HOME. Not here: writing or proving them (which is the
platform's business), or what follows from them for who serves (`champion`).
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from churn_platform.faults import Fault
from churn_platform.online.types import StoreUnavailableError
from serving.asking import shown
from serving.registry import Identity

if TYPE_CHECKING:
    from churn_platform.online.connecting import Questions

_APPOINTING = ("promoted", "appointed", "rolled back")
_PAUSING = ("paused", "resumed")
_FILE = re.compile(r"[0-9]{6}\.json")


class LedgerError(Fault):
    """The receipts cannot be read at present; the message says which and why."""


class ReadReceipt(msgspec.Struct, frozen=True):
    """What serving needs of a receipt; the rest is not looked at."""

    verdict: str
    version: int
    month: str
    bundle_sha256: str
    reason: str

    @property
    def made(self) -> Identity | None:
        """The version that it made champion, if any. Raises msgspec.ValidationError where it names none properly."""
        if self.verdict not in _APPOINTING:
            return None
        named = {"version": self.version, "month": self.month, "bundle_sha256": self.bundle_sha256}
        return msgspec.convert(named, Identity)


class Standing(msgspec.Struct, frozen=True):
    """What the receipts say now.

    Receipt number `receipt` made `champion` what it is; before the first such receipt it is None. `champions` are all
    that were ever made so. `paused` is the reason of the pause that is in force.
    """

    champion: Identity | None = None
    receipt: int = 0
    champions: frozenset[Identity] = frozenset()
    paused: str | None = None


class ReceiptReader:
    """The receipts of one CHURN_HOME: in the PostgreSQL's table `receipts` where it has any, otherwise in files.

    A receipt never changes, so each is read once.
    """

    def __init__(self, folder: Path, postgres_url: str, timeout: float) -> None:
        self._folder = folder
        self._questions: Questions | None = None
        if postgres_url:
            from churn_platform.online.connecting import Questions

            self._questions = Questions(postgres_url, timeout, "the PostgreSQL of CHURN_POSTGRES_URL")
        self._in_table = False
        self._read: dict[int, ReadReceipt] = {}

    async def read(self) -> Standing:
        """What the receipts say. Raises LedgerError where the newest that matters cannot be read."""
        try:
            numbers = await self._table_numbers()
            if self._in_table != bool(numbers):
                self._in_table, self._read = bool(numbers), {}
            if not numbers:
                numbers = await asyncio.to_thread(self._file_numbers)
            texts = await self._texts([number for number in numbers if number not in self._read])
        except (StoreUnavailableError, OSError) as error:
            raise LedgerError(f"the receipts cannot be read: {shown(error)}") from error
        self._read |= {number: receipt for number, text in texts.items() if (receipt := _receipt(text)) is not None}
        return _standing({number: self._read.get(number) for number in sorted(numbers, reverse=True)})

    async def close(self) -> None:
        """Close the connection."""
        if self._questions is not None:
            await self._questions.close()

    async def _table_numbers(self) -> list[int]:
        if self._questions is None:
            return []
        return [number for (number,) in await self._questions.ask("SELECT number FROM receipts") or ()]

    def _file_numbers(self) -> list[int]:
        try:
            return [int(path.stem) for path in self._folder.iterdir() if _FILE.fullmatch(path.name)]
        except FileNotFoundError:
            return []

    async def _texts(self, numbers: list[int]) -> dict[int, str | bytes]:
        """These receipts, as they are stored."""
        if not numbers:
            return {}
        if self._in_table and self._questions is not None:
            found = await self._questions.ask("SELECT number, receipt FROM receipts WHERE number = ANY(%s)", (numbers,))
            return dict(found or ())
        return await asyncio.to_thread(self._file_texts, numbers)

    def _file_texts(self, numbers: list[int]) -> dict[int, str | bytes]:
        return {number: (self._folder / f"{number:06d}.json").read_bytes() for number in numbers}


def _receipt(text: str | bytes) -> ReadReceipt | None:
    """A receipt, or None where this is none."""
    try:
        receipt = msgspec.json.decode(text, type=ReadReceipt)
        _ = receipt.made
    except (TypeError, ValueError, RecursionError):
        return None
    return receipt


def _standing(receipts: dict[int, ReadReceipt | None]) -> Standing:
    """What these say, the newest first; None is one that cannot be read. Raises LedgerError."""
    made: dict[int, Identity] = {}
    pause: ReadReceipt | None = None
    for number, receipt in receipts.items():
        if receipt is None:
            if not made:
                raise LedgerError(
                    f"receipt {number} cannot be read, and it may name another champion: restore it from a backup"
                )
            continue
        if receipt.verdict in _PAUSING and pause is None:
            pause = receipt
        if (version := receipt.made) is not None:
            made[number] = version
    paused = shown(pause.reason) if pause is not None and pause.verdict == "paused" else None
    if not made:
        return Standing(paused=paused)
    newest = max(made)
    return Standing(made[newest], newest, frozenset(made.values()), paused)
