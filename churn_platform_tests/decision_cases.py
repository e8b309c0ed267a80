"""Decisions without models: evaluations made up from two AUCs, a registry that is a folder, and a desk with both."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec

from churn_platform.bundle import BundleError
from churn_platform.champion import promotion
from churn_platform.champion.books import Book, FileBook
from churn_platform.champion.receipts import Ledger, Receipt
from churn_platform.champion.registry import NoVersionError, Registry, Version
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Contender, Facts
from churn_platform.modelling.gate import decide
from churn_platform.months import Month


def evaluation(
    candidate: int, champion: int | None = None, *, auc: float = 0.8, champion_auc: float = 0.7, parity: float = 0.0
) -> Evaluation:
    """Version `candidate` compared with the champion of the time; it wins unless the AUCs say otherwise."""
    facts = Facts(
        month="2024-01",
        candidate=Contender(candidate, "2024-01", {"auc": auc}),
        champion=None if champion is None else Contender(champion, "2024-01", {"auc": champion_auc}),
        delta=0.01,
        interval=None if champion is None else (auc - champion_auc - 0.005, auc - champion_auc + 0.005),
        parity=parity,
        segments=(),
        rows=100,
        positives=25,
    )
    return Evaluation(**msgspec.structs.asdict(facts), **msgspec.structs.asdict(decide(facts, champion)))


class Shelf(Registry):
    """Has any version up to `highest`; a file says which is champion, so that processes can share it."""

    highest = 99

    def __init__(self, folder: Path, broken: tuple[int, ...] = ()) -> None:
        super().__init__("shelf://", folder)
        self.broken = broken
        self._file = folder / "champion"
        self._anchor = folder / "anchor"

    def champion(self) -> Version | None:
        """The version that was appointed last."""
        return self.version(int(self.moves()[-1])) if self.moves() else None

    def anchor(self) -> str | None:
        """What was kept last."""
        return self._anchor.read_text() if self._anchor.exists() else None

    def keep_anchor(self, text: str) -> None:
        """Keep it in a file."""
        self._anchor.write_text(text)

    def keep_decision(self, number: int, receipt: str) -> None:
        """Keep it in a file."""
        (self.artifacts / f"receipt of version {number}").write_text(receipt)

    def moves(self) -> list[str]:
        """Every version that was appointed, in order."""
        return self._file.read_text().split() if self._file.exists() else []

    def version(self, number: int) -> Version:
        """Any up to the highest."""
        if number > self.highest:
            raise NoVersionError(f"there is no version {number}")
        return Version(number, Month(2024, 1), 0.8, "run", "shelf", f"digest {number}")

    def appoint(self, version: Version) -> None:
        """Move the champion, unless the version's bundle is broken."""
        if version.number in self.broken:
            raise BundleError(f"bundle of version {version.number}: golden rows differ")
        with self._file.open("a") as file:
            file.write(f"{version.number}\n")


class Desk:
    """A registry and its ledger, with shortcuts for asking them. A request is a new one unless it has an id."""

    _ids = itertools.count()

    def __init__(
        self, folder: Path, broken: tuple[int, ...] = (), shelf: type[Shelf] = Shelf, book: Book | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.registry = folder, shelf(folder, broken)
        self.book = book or FileBook(folder / "receipts")
        self.ledger = Ledger(self.book)

    def settle(self, compared: Evaluation) -> Receipt:
        return promotion.settle(self.registry, self.ledger, compared, by="the gate", run_id="run 1")

    def appoint(self, number: int, id: str = "") -> Receipt:
        return promotion.appoint(self.registry, self.ledger, number, self._request("a test", id))

    def roll_back(self, id: str = "") -> Receipt:
        return promotion.roll_back(self.registry, self.ledger, self._request("it was worse", id))

    def pause(self, id: str = "") -> Receipt:
        return promotion.pause(self.registry, self.ledger, self._request("an incident", id))

    def resume(self, id: str = "") -> Receipt:
        return promotion.resume(self.registry, self.ledger, self._request("it is over", id))

    def _request(self, reason: str, id: str) -> promotion.Request:
        return promotion.Request("ann", reason, run_id="run 2", id=id or f"request {next(self._ids)}")

    @property
    def champion(self) -> int | None:
        champion = self.registry.champion()
        return champion.number if champion else None
