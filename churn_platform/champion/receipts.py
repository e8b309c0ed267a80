"""Receipts: the ledger of who made which version champion, when, and on what grounds.

Here: the record of a decision, the chain of them, and what it says. Not here: where they are kept (`books`,
`postgres`), deciding (`promotion`, `modelling.gate`), or whether the registry agrees (`agreement`).

A decision is written three times over: first as the intent, which is the whole receipt that it will have; then it is
done; then the intent becomes the receipt. A crash leaves an intent that says what to finish. Each receipt carries the
SHA-256 of the one before it, and the registry keeps that of the newest, its anchor: a receipt that was changed or
removed is noticed, unless somebody rewrites both places.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Literal

import msgspec

from churn_platform.champion.books import Book
from churn_platform.champion.registry import Version
from churn_platform.faults import Fault
from churn_platform.files import sha256
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.shown import MOST, as_text, counted

MOST_OF_REASON = 500
"""How many characters of a reason are shown."""

Verdict = Literal["promoted", "kept", "appointed", "rolled back", "paused", "resumed", "erased"]


class ReceiptError(Fault):
    """A receipt that cannot be read; the message says which one."""

    lasting = True


class Erasure(msgspec.Struct, frozen=True):
    """Customers who were erased, by their keyed hashes (`tombstones`), and what they had a part in.

    `trained`, `judged` and `shown` are the versions that learned from them, that were compared on them, and whose
    bundles hold rows with their features, without keys. `rows` counts the kept rows that went, by file, and `found` the
    customers whom any table had.
    """

    customers: tuple[str, ...]
    found: int
    trained: tuple[int, ...]
    judged: tuple[int, ...]
    shown: tuple[int, ...]
    rows: dict[str, int]


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision about the champion, or an erasure.

    `verdict` is `promoted` or `kept` where the gates decided, `appointed` or `rolled back` where a person did; `paused`
    and `resumed`, and `erased`, are about no version: theirs is 0.
    `evaluation` holds the facts that the gates saw, and `evaluation_sha256` names them. `champion_before` and
    `champion` are the versions that receipts made champion before and after the decision. Times are UTC, ISO 8601.
    `decision` is the id of a person's decision, which is made once; the gate's is the evaluation's SHA-256. `despite`
    tells what was wrong between ledger and registry when it was made. Both are left out where there is nothing to say.
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
    decision: str | None = None
    despite: tuple[str, ...] = ()
    erasure: Erasure | None = None

    @property
    def appoints(self) -> bool:
        """Whether the decision was that this version serves."""
        return self.verdict in ("promoted", "appointed", "rolled back")

    @property
    def who(self) -> str:
        """Who decided, as it is shown."""
        return as_text(self.decided_by, MOST)

    @property
    def why(self) -> str:
        """The reason, as it is shown: a person may have typed anything."""
        return as_text(self.reason, MOST_OF_REASON)

    @property
    def title(self) -> str:
        """What was decided, in a few words."""
        if self.verdict in ("paused", "resumed"):
            return f"promotions and retrainings {self.verdict}"
        if self.erasure is not None:
            return f"{counted(len(self.erasure.customers), 'customer')} erased"
        if self.verdict == "rolled back":
            return f"rolled back from version {self.champion_before} to version {self.version}"
        return f"version {self.version} {self.verdict}"


class Anchor(msgspec.Struct, frozen=True):
    """Which receipt is the newest: its number, and the SHA-256 of its bytes."""

    number: int
    sha256: str


def digest_of(evaluation: Evaluation) -> str:
    """The SHA-256 that names an evaluation."""
    return sha256(msgspec.json.encode(evaluation))


class Ledger:
    """The receipts in one book, numbered from 1. Raises BookError where the book cannot be read or written."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def locked(self) -> AbstractContextManager[None]:
        """Only one decision at a time, across processes; a killed process releases the lock."""
        return self._book.locked()

    def all(self) -> tuple[Receipt, ...]:
        """Every receipt, oldest first. Raises ReceiptError."""
        return tuple(self._decoded(number, data) for number, data in self._book.receipts().items())

    def texts(self) -> dict[int, bytes]:
        """Every receipt as it was written, by its number."""
        return self._book.receipts()

    def intent(self) -> Receipt | None:
        """The receipt of a decision that was begun and is not finished yet. Raises ReceiptError."""
        data = self._book.intent()
        return None if data is None else self._decoded(0, data)

    def of_evaluation(self, evaluation: Evaluation) -> Receipt | None:
        """The receipt of the decision on one evaluation, or None where nothing was decided yet."""
        digest = digest_of(evaluation)
        return next((receipt for receipt in self.all() if receipt.evaluation_sha256 == digest), None)

    def of_decision(self, decision: str) -> Receipt | None:
        """The receipt of a person's decision, or None where it was not made."""
        return next((receipt for receipt in self.all() if receipt.decision == decision), None)

    def stands(self, decision: str) -> bool:
        """Whether a person's decision was begun and not finished, or is the newest of its kind that was made."""
        if (intent := self.intent()) is not None:
            return intent.decision == decision
        if (made := self.of_decision(decision)) is None:
            return False
        kinds = {"paused", "resumed"} if not made.appoints else {"promoted", "appointed", "rolled back"}
        return not any(later.number > made.number and later.verdict in kinds for later in self.all())

    def appointed(self, version: int) -> bool:
        """Whether any receipt made this version champion."""
        return any(receipt.champion == version != receipt.champion_before for receipt in self.all())

    def erased_rows(self, file: str) -> int:
        """How many rows of a file of kept rows were erased, as receipts say."""
        return sum(receipt.erasure.rows.get(file, 0) for receipt in self.all() if receipt.erasure)

    def champion(self) -> int | None:
        """The version that receipts say serves."""
        return next((receipt.version for receipt in reversed(self.all()) if receipt.appoints), None)

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

    def pause(self) -> Receipt | None:
        """The receipt of the pause that is in force, or None."""
        of_pauses = [receipt for receipt in self.all() if receipt.verdict in ("paused", "resumed")]
        return of_pauses[-1] if of_pauses and of_pauses[-1].verdict == "paused" else None

    def newest(self) -> Anchor | None:
        """What the registry has to keep, None before the first receipt."""
        return next((Anchor(number, sha256(data)) for number, data in reversed(self._book.receipts().items())), None)

    def intend(
        self,
        *,
        verdict: Verdict,
        by: str,
        reason: str,
        version: Version | None,
        before: int | None,
        after: int | None,
        run_id: str,
        evaluation: Evaluation | None = None,
        decision: str | None = None,
        despite: tuple[str, ...] = (),
        erasure: Erasure | None = None,
    ) -> Receipt:
        """Write what is going to be done, as the next receipt: numbered, dated, linked to the one before.

        Call inside `locked`, then `confirm` or `withdraw`.
        """
        newest = self.newest()
        receipt = Receipt(
            number=newest.number + 1 if newest else 1,
            decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
            verdict=verdict,
            decided_by=by,
            reason=reason,
            version=version.number if version else 0,
            month=str(version.month) if version else "",
            champion_before=before,
            champion=after,
            bundle_sha256=version.bundle_sha256 if version else "",
            dagster_run_id=run_id,
            evaluation=evaluation,
            evaluation_sha256=digest_of(evaluation) if evaluation else None,
            previous_sha256=newest.sha256 if newest else None,
            decision=decision,
            despite=despite,
            erasure=erasure,
        )
        self._book.intend(msgspec.json.format(msgspec.json.encode(receipt)))
        return receipt

    def intended(self) -> Anchor | None:
        """What the registry has to keep once the intent is confirmed."""
        data = self._book.intent()
        return None if data is None else Anchor(self._decoded(0, data).number, sha256(data))

    def confirm(self) -> None:
        """The intent is done: it becomes the next receipt."""
        if (intent := self.intent()) is not None:
            self._book.confirm(intent.number)

    def withdraw(self) -> None:
        """The intent was not done, and is not going to be."""
        self._book.withdraw()

    def faults(self, anchor: Anchor | None = None) -> list[str]:
        """What is wrong with the ledger, a sentence each; empty where every receipt is as it was written.

        `anchor` is what the registry keeps. Where it is not of the newest receipt, nothing proves that one.
        """
        found: list[str] = []
        digests: dict[int, str] = {}
        previous: str | None = None
        for position, (number, data) in enumerate(self._book.receipts().items(), start=1):
            name = self._book.name(number)
            try:
                receipt = msgspec.json.decode(data, type=Receipt)
            except msgspec.DecodeError as error:
                found.append(f"{name}: is not a receipt: {error}")
            else:
                if receipt.number != position:
                    found.append(f"{name}: is number {receipt.number}, expected {position}: one is missing")
                elif receipt.previous_sha256 != previous:
                    found.append(f"{name}: does not follow from the receipt before it: that one was changed")
                if receipt.evaluation is not None and digest_of(receipt.evaluation) != receipt.evaluation_sha256:
                    found.append(f"{name}: its evaluation is not the one that was decided on")
            previous = digests[number] = sha256(data)
        if anchor is not None and digests.get(anchor.number) != anchor.sha256:
            found.append(f"{self._book.name(anchor.number)}: is not the one that the registry knows")
        return found

    def place(self, number: int) -> str:
        """Where a receipt is, for people."""
        return self._book.place(number)

    def _decoded(self, number: int, data: bytes) -> Receipt:
        try:
            return msgspec.json.decode(data, type=Receipt)
        except msgspec.DecodeError as error:
            what = self._book.place(number) if number else "the intent of the next receipt"
            raise ReceiptError(f"{what} is not a receipt: {error}: restore it from a backup") from error
