"""Receipts: the ledger of who made which version champion, when, and on what grounds.

Here: writing, reading and proving receipts. Not here: deciding (`promotion`, `modelling.gate`).
Each receipt carries the SHA-256 of the one before it, and the registry keeps that of the newest, its anchor: a receipt
that was changed or removed is noticed, unless somebody rewrites both places.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from churn_platform.champion.registry import Version
from churn_platform.files import replacing, sha256
from churn_platform.modelling.evaluation import Evaluation

Verdict = Literal["promoted", "kept", "appointed", "rolled back"]


class Receipt(msgspec.Struct, frozen=True):
    """One decision about the champion.

    `verdict` is `promoted` or `kept` where the gates decided, `appointed` or `rolled back` where a person did.
    `evaluation` holds the facts that the gates saw, and `evaluation_sha256` names them. `champion` is the version
    that serves after the decision. Times are UTC, ISO 8601.
    """

    number: int
    decided_at: str
    verdict: Verdict
    decided_by: str
    reason: str
    version: int
    month: str
    champion_before: int | None
    champion: int | None
    bundle_sha256: str
    dagster_run_id: str
    evaluation: Evaluation | None
    evaluation_sha256: str | None
    previous_sha256: str | None


class Anchor(msgspec.Struct, frozen=True):
    """Which receipt is the newest: its number, and the SHA-256 of its file."""

    number: int
    sha256: str


def digest_of(evaluation: Evaluation) -> str:
    """The SHA-256 that names an evaluation."""
    return sha256(msgspec.json.encode(evaluation))


class Ledger:
    """The receipts in one folder, numbered from 1, one JSON file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one decision at a time on this machine, across processes; a killed process releases the lock."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def all(self) -> tuple[Receipt, ...]:
        """Every receipt, oldest first."""
        return tuple(msgspec.json.decode(path.read_bytes(), type=Receipt) for path in self._paths())

    def of_evaluation(self, evaluation: Evaluation) -> Receipt | None:
        """The receipt of the decision on one evaluation, or None where nothing was decided yet."""
        digest = digest_of(evaluation)
        return next((receipt for receipt in self.all() if receipt.evaluation_sha256 == digest), None)

    def appointed(self, version: int) -> bool:
        """Whether any receipt made this version champion."""
        return any(receipt.champion == version != receipt.champion_before for receipt in self.all())

    def champions(self) -> list[int]:
        """The versions that were made champion and not taken back by a rollback, in order."""
        champions: list[int] = []
        for receipt in self.all():
            if receipt.champion is None or receipt.champion == receipt.champion_before:
                continue
            if receipt.verdict == "rolled back":
                champions = champions[:-1]
            if champions[-1:] != [receipt.champion]:
                champions.append(receipt.champion)
        return champions

    def newest(self) -> Anchor | None:
        """What the registry has to keep, None before the first receipt."""
        paths = self._paths()
        return Anchor(len(paths), sha256(paths[-1].read_bytes())) if paths else None

    def add(
        self,
        *,
        verdict: Verdict,
        by: str,
        reason: str,
        version: Version,
        before: int | None,
        after: int | None,
        run_id: str,
        evaluation: Evaluation | None = None,
    ) -> Receipt:
        """Write the next receipt: numbered, dated and linked to the one before. Call inside `locked`."""
        paths = self._paths()
        receipt = Receipt(
            number=len(paths) + 1,
            decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
            verdict=verdict,
            decided_by=by,
            reason=reason,
            version=version.number,
            month=str(version.month),
            champion_before=before,
            champion=after,
            bundle_sha256=version.bundle_sha256,
            dagster_run_id=run_id,
            evaluation=evaluation,
            evaluation_sha256=digest_of(evaluation) if evaluation else None,
            previous_sha256=sha256(paths[-1].read_bytes()) if paths else None,
        )
        with replacing(self.path(receipt.number)) as temporary:
            temporary.write_bytes(msgspec.json.format(msgspec.json.encode(receipt)))
        return receipt

    def faults(self, anchor: Anchor | None = None) -> list[str]:
        """What is wrong with the ledger, a sentence each; empty where every receipt is as it was written.

        `anchor` is what the registry keeps. A crash may have left it behind the newest receipt, which nothing proves
        then.
        """
        found: list[str] = []
        digests: list[str] = []
        previous: str | None = None
        for position, path in enumerate(self._paths(), start=1):
            data = path.read_bytes()
            try:
                receipt = msgspec.json.decode(data, type=Receipt)
            except msgspec.DecodeError as error:
                found.append(f"{path.name}: is not a receipt: {error}")
            else:
                if receipt.number != position:
                    found.append(f"{path.name}: is number {receipt.number}, expected {position}: one is missing")
                elif receipt.previous_sha256 != previous:
                    found.append(f"{path.name}: does not follow from the receipt before it: that one was changed")
                if receipt.evaluation is not None and digest_of(receipt.evaluation) != receipt.evaluation_sha256:
                    found.append(f"{path.name}: its evaluation is not the one that was decided on")
            previous = sha256(data)
            digests.append(previous)
        if anchor is not None and digests[anchor.number - 1 : anchor.number] != [anchor.sha256]:
            found.append(f"{self.path(anchor.number).name}: is not the one that the registry knows")
        return found

    def path(self, number: int) -> Path:
        """Where a receipt is."""
        return self.folder / f"{number:06d}.json"

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.json"))
