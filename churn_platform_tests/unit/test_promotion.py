"""Promotion: champion and ledger agree, whoever asks, however often, and whatever dies in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from churn_platform.bundle import BundleError
from churn_platform.champion.promotion import PromotionError, faults
from churn_platform.champion.receipts import Ledger, Receipt
from churn_platform.champion.registry import RegistryError
from churn_platform.modelling.evaluation import Evaluation
from churn_platform_tests.decision_cases import Desk, Shelf, evaluation


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


def test_the_first_candidate_wins(desk: Desk) -> None:
    receipt = desk.settle(evaluation(1))
    assert desk.champion == 1
    assert (receipt.verdict, receipt.champion_before, receipt.champion) == ("promoted", None, 1)
    assert receipt.evaluation == evaluation(1)
    assert (receipt.decided_by, receipt.dagster_run_id) == ("the gate", "run 1")


def test_a_better_one_replaces_it_and_a_lesser_one_does_not(desk: Desk) -> None:
    desk.settle(evaluation(1))
    kept = desk.settle(evaluation(2, 1, auc=0.705))
    assert desk.champion == 1
    assert (kept.verdict, kept.champion_before, kept.champion) == ("kept", 1, 1)
    promoted = desk.settle(evaluation(3, 1, auc=0.72))
    assert desk.champion == 3
    assert (promoted.verdict, promoted.champion_before, promoted.champion) == ("promoted", 1, 3)


def test_a_failed_parity_blocks_a_winner(desk: Desk) -> None:
    receipt = desk.settle(evaluation(1, parity=0.5))
    assert (receipt.verdict, receipt.champion) == ("kept", None)
    assert desk.champion is None


@pytest.mark.parametrize("compared", [evaluation(2, 1), evaluation(2, 1, auc=0.705)], ids=["promoted", "kept"])
def test_asked_again_nothing_happens(compared: Evaluation, desk: Desk) -> None:
    desk.settle(evaluation(1))
    first, moves = desk.settle(compared), desk.registry.moves()
    assert desk.settle(compared) == first == desk.ledger.all()[-1]
    assert desk.registry.moves() == moves
    assert len(desk.ledger.all()) == 2


def test_asked_again_after_others_were_promoted_nothing_happens(desk: Desk) -> None:
    first = desk.settle(evaluation(1))
    desk.settle(evaluation(2, 1))
    assert desk.settle(evaluation(1)) == first
    assert desk.champion == 2


def test_a_comparison_with_another_champion_promotes_nobody(desk: Desk) -> None:
    desk.settle(evaluation(1))
    stale = evaluation(3, 1)
    desk.settle(evaluation(2, 1))
    receipt = desk.settle(stale)
    assert desk.champion == 2
    assert (receipt.verdict, receipt.champion) == ("kept", 2)
    assert receipt.reason == "evaluated against version 1, but version 2 serves now: evaluate again"


def test_a_comparison_with_nobody_does_not_replace_a_champion(desk: Desk) -> None:
    stale = evaluation(2)
    desk.settle(evaluation(1))
    assert desk.settle(stale).verdict == "kept"
    assert desk.champion == 1


@pytest.mark.parametrize("before", [None, 1])
def test_a_crash_between_champion_and_receipt_is_mended(before: int | None, desk: Desk) -> None:
    if before:
        desk.settle(evaluation(before))
    receipts = len(desk.ledger.all())

    class Crashing(Ledger):
        def add(self, **_: Any) -> Receipt:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Desk(desk.folder, ledger=Crashing).settle(evaluation(2, before))
    assert desk.champion == 2
    assert len(desk.ledger.all()) == receipts
    receipt = desk.settle(evaluation(2, before))
    assert (receipt.verdict, receipt.champion_before, receipt.champion) == ("promoted", before, 2)
    assert desk.champion == 2
    assert desk.ledger.faults() == []
    assert len(desk.ledger.all()) == receipts + 1


def test_a_bundle_that_fails_never_becomes_champion(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", broken=(2,))
    desk.settle(evaluation(1))
    with pytest.raises(BundleError):
        desk.settle(evaluation(2, 1))
    with pytest.raises(BundleError):
        desk.appoint(2)
    assert desk.champion == 1
    assert len(desk.ledger.all()) == 1


def test_an_unknown_version_moves_nothing(desk: Desk) -> None:
    with pytest.raises(RegistryError, match="no version 100"):
        desk.appoint(100)
    assert desk.champion is None
    assert desk.ledger.all() == ()


def test_a_person_decides_without_the_gate(desk: Desk) -> None:
    desk.settle(evaluation(1))
    receipt = desk.appoint(7)
    assert desk.champion == 7
    assert (receipt.verdict, receipt.champion_before, receipt.champion) == ("appointed", 1, 7)
    assert (receipt.decided_by, receipt.reason, receipt.evaluation) == ("ann", "a test", None)


def test_roll_back_gives_the_version_that_served_before(desk: Desk) -> None:
    desk.settle(evaluation(1))
    desk.settle(evaluation(2, 1))
    receipt = desk.roll_back()
    assert desk.champion == 1
    assert (receipt.verdict, receipt.champion_before, receipt.champion) == ("rolled back", 2, 1)
    assert receipt.reason == "it was worse"


def test_rolling_back_twice(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.appoint(number)
    desk.roll_back()
    desk.roll_back()
    with pytest.raises(PromotionError, match="nothing to roll back to"):
        desk.roll_back()
    served = [receipt.champion for receipt in desk.ledger.all()]
    assert [receipt.champion_before for receipt in desk.ledger.all()] == [None, *served[:-1]]  # an unbroken story
    assert desk.ledger.faults() == []
    assert served == [1, 2, 3, 2, 1]


def test_a_champion_that_no_receipt_knows_is_rolled_back_to_the_last_that_one_does(desk: Desk) -> None:
    desk.appoint(1)
    desk.registry.appoint(desk.registry.version(9))
    assert desk.roll_back().champion == 1


@pytest.mark.parametrize("decide", ["settle", "appoint", "roll_back"])
def test_the_newest_receipt_is_anchored(decide: str, desk: Desk) -> None:
    desk.appoint(1)
    desk.appoint(2)
    newest = {
        "settle": lambda: desk.settle(evaluation(3, 2)),
        "appoint": lambda: desk.appoint(3),
        "roll_back": desk.roll_back,
    }[decide]()
    assert faults(desk.registry, desk.ledger) == []
    path = desk.ledger.path(newest.number)
    path.write_text(path.read_text().replace(newest.decided_by, "somebody else"))
    assert faults(desk.registry, desk.ledger) == [f"{path.name}: is not the one that the registry knows"]


def test_a_crash_before_the_anchor_is_mended(desk: Desk) -> None:
    desk.settle(evaluation(1))

    class Crashing(Shelf):
        def keep_anchor(self, text: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Desk(desk.folder, shelf=Crashing).settle(evaluation(2, 1))
    assert faults(desk.registry, desk.ledger) == []
    desk.settle(evaluation(2, 1))
    assert len(desk.ledger.all()) == 2
    desk.ledger.path(2).write_text(desk.ledger.path(2).read_text().replace("the gate", "nobody"))
    assert faults(desk.registry, desk.ledger) != []


@pytest.mark.parametrize("champions", [[], [1]], ids=["no champion", "the first champion"])
def test_nothing_to_roll_back_to(champions: list[int], desk: Desk) -> None:
    for number in champions:
        desk.appoint(number)
    with pytest.raises(PromotionError, match="nothing to roll back to"):
        desk.roll_back()
    assert desk.champion == (champions[-1] if champions else None)
    assert len(desk.ledger.all()) == len(champions)
