"""Promotion: champion and ledger agree, whoever asks, however often, and whatever dies in between."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from churn_platform.bundle import BundleError
from churn_platform.champion.agreement import findings
from churn_platform.champion.promotion import PausedError, PromotionError, paused
from churn_platform.champion.registry import RegistryError
from churn_platform.modelling.evaluation import Evaluation
from churn_platform_tests.decision_cases import Desk, evaluation


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
def test_what_an_earlier_version_left_between_champion_and_receipt_is_mended(before: int | None, desk: Desk) -> None:
    if before:
        desk.settle(evaluation(before))
    receipts = len(desk.ledger.all())
    desk.registry.appoint(desk.registry.version(2))  # it moved the champion first, and died before the receipt
    assert findings(desk.registry, desk.ledger) != []
    receipt = desk.settle(evaluation(2, before))
    assert (receipt.verdict, receipt.champion_before, receipt.champion) == ("promoted", before, 2)
    assert desk.champion == 2
    assert findings(desk.registry, desk.ledger) == []
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


def test_a_broken_bundle_leaves_nothing_open(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", broken=(2,))
    desk.settle(evaluation(1))
    with pytest.raises(BundleError):
        desk.appoint(2)
    assert desk.ledger.intent() is None
    assert findings(desk.registry, desk.ledger) == []
    assert desk.appoint(3).champion_before == 1


@pytest.mark.parametrize("decide", ["settle", "appoint", "roll_back", "pause"])
def test_the_newest_receipt_is_anchored(decide: str, desk: Desk) -> None:
    desk.appoint(1)
    desk.appoint(2)
    newest = {
        "settle": lambda: desk.settle(evaluation(3, 2)),
        "appoint": lambda: desk.appoint(3),
        "roll_back": desk.roll_back,
        "pause": desk.pause,
    }[decide]()
    assert findings(desk.registry, desk.ledger) == []
    path = Path(desk.ledger.place(newest.number))
    path.write_text(path.read_text().replace(newest.decided_by, "somebody else"))
    assert findings(desk.registry, desk.ledger) == [f"{path.name}: is not the one that the registry knows"]


@pytest.mark.parametrize("champions", [[], [1]], ids=["no champion", "the first champion"])
def test_nothing_to_roll_back_to(champions: list[int], desk: Desk) -> None:
    for number in champions:
        desk.appoint(number)
    with pytest.raises(PromotionError, match="nothing to roll back to"):
        desk.roll_back()
    assert desk.champion == (champions[-1] if champions else None)
    assert len(desk.ledger.all()) == len(champions)


# A pause


def test_a_pause_keeps_the_gate_from_promoting_and_nothing_else(desk: Desk) -> None:
    desk.settle(evaluation(1))
    receipt = desk.pause()
    assert (receipt.verdict, receipt.version, receipt.champion_before, receipt.champion) == ("paused", 0, 1, 1)
    why = f"promotions and retrainings are paused since {receipt.decided_at} by ann: an incident"
    assert (paused(desk.ledger) or "").startswith(why)
    with pytest.raises(PausedError, match=re.escape(f"version 2 is not promoted now: {why}")):
        desk.settle(evaluation(2, 1))
    assert desk.champion == 1
    assert desk.ledger.intent() is None
    assert desk.settle(evaluation(3, 1, auc=0.7)).verdict == "kept"
    assert desk.appoint(4).champion == 4  # a person may
    assert desk.roll_back().champion == 1
    assert desk.resume().verdict == "resumed"
    assert paused(desk.ledger) is None
    assert desk.settle(evaluation(2, 1)).verdict == "promoted"
    assert desk.ledger.champions() == [1, 2]
    assert findings(desk.registry, desk.ledger) == []


def test_a_pause_is_one(desk: Desk) -> None:
    with pytest.raises(PromotionError, match="nothing is paused"):
        desk.resume()
    first = desk.pause("one")
    assert desk.pause("one") == first
    with pytest.raises(PromotionError, match="are paused since"):
        desk.pause("two")
    assert len(desk.ledger.all()) == 1
    assert first.champion is None


# A person's decision is made once


def test_a_decision_that_has_its_receipt_is_not_made_again(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.appoint(number, f"appoint {number}")
    assert desk.appoint(2, "appoint 2").number == 2
    assert desk.champion == 3
    first = desk.roll_back("back")
    assert desk.roll_back("back") == first
    assert desk.champion == 2
    assert len(desk.ledger.all()) == 4
