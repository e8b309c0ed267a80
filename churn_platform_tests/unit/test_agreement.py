"""Agreement: whatever parts the registry from the ledger is told, and recorded in the decision that ends it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from churn_platform.champion.agreement import findings, unproven
from churn_platform.champion.receipts import Receipt
from churn_platform.files import sha256
from churn_platform_tests.decision_cases import Desk, evaluation


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Versions 1 and 2 were appointed."""
    desk = Desk(tmp_path / "desk")
    desk.appoint(1)
    desk.appoint(2)
    return desk


def found(desk: Desk) -> list[str]:
    return findings(desk.registry, desk.ledger)


def move(desk: Desk, number: int) -> None:
    """Move the alias past the ledger, as anybody can who reaches MLflow."""
    desk.registry.appoint(desk.registry.version(number))


MOVED = (
    "the registry serves version 1, but receipt 2 made version 2 champion: `churn promote 2 --reason TEXT` restores"
    " version 2, `churn promote 1 --reason TEXT` confirms version 1"
)


def test_nothing_is_found_where_nothing_is_wrong(desk: Desk, tmp_path: Path) -> None:
    assert found(desk) == []
    desk.settle(evaluation(3, 2, auc=0.7))
    desk.pause()
    assert found(desk) == []
    assert found(Desk(tmp_path / "another")) == []


def test_a_moved_alias_is_told(desk: Desk) -> None:
    move(desk, 1)
    assert found(desk) == [MOVED]


@pytest.mark.parametrize("number", [1, 2], ids=["confirmed", "restored"])
def test_promoting_either_ends_it_and_says_what_was_wrong(number: int, desk: Desk) -> None:
    move(desk, 1)
    receipt = desk.appoint(number)
    assert (receipt.champion_before, receipt.champion, receipt.despite) == (2, number, (MOVED,))
    assert desk.champion == desk.ledger.champion() == number
    assert found(desk) == []


def test_the_gate_asks_who_serves_by_the_receipts(desk: Desk) -> None:
    move(desk, 1)
    kept = desk.settle(evaluation(3, 1))  # compared with what the registry served
    assert (kept.verdict, kept.champion_before, kept.champion, kept.despite) == ("kept", 2, 2, (MOVED,))
    assert kept.reason == "evaluated against version 1, but version 2 serves now: evaluate again"
    promoted = desk.settle(evaluation(4, 2))
    assert (promoted.verdict, promoted.champion_before, promoted.champion) == ("promoted", 2, 4)
    assert found(desk) == []


def test_a_rollback_leaves_the_version_that_the_receipts_name(desk: Desk) -> None:
    move(desk, 1)  # somebody has helped themselves: going back to version 2 would undo just that
    receipt = desk.roll_back()
    assert (receipt.champion_before, receipt.champion, receipt.despite) == (2, 1, (MOVED,))
    assert found(desk) == []


def test_a_champion_that_no_receipt_made_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    move(desk, 5)
    (told,) = found(desk)
    assert told.startswith("the registry serves version 5, but no receipt made it champion: confirm it with")
    assert desk.appoint(5).despite == (told,)
    assert found(desk) == []


def test_an_older_registry_is_told(desk: Desk) -> None:
    before = {path: path.read_bytes() for path in (desk.folder / "champion", desk.folder / "anchor")}
    desk.appoint(3)
    for path, data in before.items():
        path.write_bytes(data)
    older, moved = found(desk)
    assert older.startswith("the registry knows receipt 2 as the newest, but there are 3: the registry is older")
    assert moved.startswith("the registry serves version 2, but receipt 3 made version 3 champion: ")
    assert desk.appoint(3).despite == (older, moved)
    assert found(desk) == []


def test_a_version_that_an_older_registry_does_not_have_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.folder / "champion").write_text("1\n")
    monkeypatch.setattr(type(desk.registry), "highest", 1)
    (told,) = found(desk)
    assert told.startswith(
        "the registry serves version 1, but receipt 2 made version 2 champion, which the registry does not have: "
    )
    assert desk.appoint(1).champion == 1  # what is there may serve
    assert found(desk) == []


def test_an_older_ledger_is_told(desk: Desk) -> None:
    desk.appoint(3)
    Path(desk.ledger.place(3)).unlink()
    older, moved = found(desk)
    assert older.startswith("the registry knows receipt 3 as the newest, but there are only 2: receipts were removed,")
    assert moved.startswith("the registry serves version 3, but receipt 2 made version 2 champion: ")
    assert desk.appoint(3).despite == (older, moved)
    assert found(desk) == []


def test_a_changed_receipt_is_told_before_all_else(desk: Desk) -> None:
    move(desk, 1)
    path = Path(desk.ledger.place(1))
    path.write_text("{}")
    first, second = found(desk)
    assert first.startswith("000001.json: is not a receipt")
    assert second == "000002.json: does not follow from the receipt before it: that one was changed"


def test_a_receipt_is_proved_by_those_after_it_or_by_the_registry(desk: Desk) -> None:
    assert [unproven(desk.registry, desk.ledger, number) for number in (1, 2)] == [[], []]
    move(desk, 1)  # who serves is another question
    assert unproven(desk.registry, desk.ledger, 2) == []
    desk.registry.keep_anchor('{"number":1,"sha256":"' + _digest(desk, 1) + '"}')
    assert unproven(desk.registry, desk.ledger, 1) == []
    (told,) = unproven(desk.registry, desk.ledger, 2)
    assert told == "nothing proves receipt 2: the registry does not know it (churn receipts)"


def test_a_decision_that_was_cut_off_leaves_the_receipts_before_it_proved(desk: Desk) -> None:
    with desk.ledger.locked():
        begin(desk)
        assert unproven(desk.registry, desk.ledger, 2) == []
        desk.registry.keep_anchor(msgspec.json.encode(desk.ledger.intended()).decode())
        assert unproven(desk.registry, desk.ledger, 2) == []


def begin(desk: Desk) -> None:
    """Write an intent, and do nothing of it yet."""
    facts = {"verdict": "appointed", "by": "ann", "reason": "a test", "run_id": "run 3", "before": 2, "after": 1}
    desk.ledger.intend(version=desk.registry.version(1), **facts)  # type: ignore[arg-type]


def forge(desk: Desk) -> None:
    """Write all receipts again with another reason, each following from the one before."""
    previous = None
    for number, data in desk.book.receipts().items():
        receipt = msgspec.json.decode(data, type=Receipt)
        forged = msgspec.structs.replace(receipt, reason="forged", previous_sha256=previous)
        Path(desk.ledger.place(number)).write_bytes(data := msgspec.json.encode(forged))
        previous = sha256(data)


@pytest.mark.parametrize("anchor", ["", "1", "intent"])
def test_forged_receipts_are_not_proved_whatever_the_registry_knows(desk: Desk, anchor: str) -> None:
    if anchor == "intent":  # a decision was cut off
        with desk.ledger.locked():
            facts = {
                "verdict": "appointed",
                "by": "ann",
                "reason": "a test",
                "run_id": "run 3",
                "before": 2,
                "after": 1,
            }
            desk.ledger.intend(version=desk.registry.version(1), **facts)  # type: ignore[arg-type]
            desk.registry.keep_anchor(msgspec.json.encode(desk.ledger.intended()).decode())
    known = _digest(desk, 1)
    forge(desk)
    if anchor == "1":
        desk.registry.keep_anchor('{"number":1,"sha256":"' + known + '"}')
    elif not anchor:
        (desk.folder / "anchor").unlink()
    assert all(unproven(desk.registry, desk.ledger, number) for number in (1, 2))


def _digest(desk: Desk, number: int) -> str:
    return sha256(desk.book.receipts()[number])
