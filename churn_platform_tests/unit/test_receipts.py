"""Receipts: a chain that shows what was changed, removed or swapped, and stays numbered when several write at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from churn_platform.champion.receipts import Ledger, Receipt, digest_of
from churn_platform.champion.registry import Version
from churn_platform.months import Month
from churn_platform_tests.decision_cases import evaluation


def version(number: int) -> Version:
    return Version(number, Month(2024, 1), 0.8, "run", "uri", f"digest {number}")


def add(ledger: Ledger, number: int, before: int | None = None, **more: object) -> Receipt:
    facts: dict = {"verdict": "appointed", "by": "ann", "reason": "a test", "run_id": "run 1", "after": number, **more}
    with ledger.locked():
        return ledger.add(version=version(number), before=before, **facts)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Four decisions."""
    ledger = Ledger(tmp_path / "receipts")
    add(ledger, 1, evaluation=evaluation(1), verdict="promoted")
    add(ledger, 2, 1, after=1, evaluation=evaluation(2, 1, auc=0.7), verdict="kept")
    add(ledger, 3, 1)
    add(ledger, 1, 3, verdict="rolled back")
    return ledger


def test_an_empty_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "nowhere")
    assert ledger.all() == ()
    assert ledger.faults() == []
    assert ledger.champions() == []
    assert ledger.newest() is None
    assert not ledger.appointed(1)


def test_a_receipt_holds_the_decision(ledger: Ledger) -> None:
    first, second, third, _ = ledger.all()
    assert [receipt.number for receipt in ledger.all()] == [1, 2, 3, 4]
    assert (first.verdict, first.version, first.champion_before, first.champion) == ("promoted", 1, None, 1)
    assert (second.verdict, second.version, second.champion_before, second.champion) == ("kept", 2, 1, 1)
    assert first.evaluation == evaluation(1)
    assert first.evaluation_sha256 == digest_of(evaluation(1))
    assert third.evaluation is None
    assert third.evaluation_sha256 is None
    assert (third.decided_by, third.reason, third.dagster_run_id) == ("ann", "a test", "run 1")
    assert (third.bundle_sha256, third.month) == ("digest 3", "2024-01")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(third.decided_at)).total_seconds() < 60
    assert ledger.path(3).name == "000003.json"


def test_an_evaluation_finds_its_receipt(ledger: Ledger) -> None:
    assert ledger.of_evaluation(evaluation(2, 1, auc=0.7)) == ledger.all()[1]
    assert ledger.of_evaluation(evaluation(2, 1, auc=0.7001)) is None


def test_who_was_ever_appointed(ledger: Ledger) -> None:
    assert [ledger.appointed(number) for number in (1, 2, 3, 4)] == [True, False, True, False]


def test_each_carries_the_hash_of_the_one_before(ledger: Ledger) -> None:
    links = [receipt.previous_sha256 for receipt in ledger.all()]
    assert links[0] is None
    assert len(set(links)) == 4
    assert ledger.faults() == []


def change(ledger: Ledger, number: int, before: str, after: str) -> None:
    path = ledger.path(number)
    text = path.read_text()
    assert text.count(before) >= 1
    path.write_text(text.replace(before, after, 1))


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(("before", "after"), [("ann", "bob"), ("a test", "a text"), ('"run 1"', '"run 2"')])
def test_a_change_is_found(number: int, before: str, after: str, ledger: Ledger) -> None:
    change(ledger, number, before, after)
    assert ledger.faults() == [
        f"00000{number + 1}.json: does not follow from the receipt before it: that one was changed"
    ]


def test_a_changed_evaluation_is_found_even_in_the_last(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    add(ledger, 1, evaluation=evaluation(1, auc=0.8125), verdict="promoted")
    change(ledger, 1, "0.8125", "0.9125")
    assert ledger.faults() == ["000001.json: its evaluation is not the one that was decided on"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_removal_is_found(number: int, ledger: Ledger) -> None:
    ledger.path(number).unlink()
    assert any(f"is number {number + 1}, expected {number}: one is missing" in fault for fault in ledger.faults())


def test_a_swap_is_found(ledger: Ledger) -> None:
    second, third = ledger.path(2).read_bytes(), ledger.path(3).read_bytes()
    ledger.path(2).write_bytes(third)
    ledger.path(3).write_bytes(second)
    assert len(ledger.faults()) >= 2


def test_what_is_no_receipt_is_found(ledger: Ledger) -> None:
    ledger.path(2).write_text("{}")
    assert any(fault.startswith("000002.json: is not a receipt") for fault in ledger.faults())
    ledger.path(2).write_bytes(b"\xff")
    assert any(fault.startswith("000002.json: is not a receipt") for fault in ledger.faults())


def test_champions_are_those_that_no_rollback_took_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    add(ledger, 1)
    add(ledger, 2, 1)
    add(ledger, 3, 2)
    add(ledger, 4, 3, after=3, verdict="kept")
    assert ledger.champions() == [1, 2, 3]
    add(ledger, 2, 3, verdict="rolled back")
    assert ledger.champions() == [1, 2]
    add(ledger, 1, 2, verdict="rolled back")
    add(ledger, 5, 1)
    assert ledger.champions() == [1, 5]


@pytest.mark.parametrize(("before", "after"), [("ann", "bob"), ('"digest 1"', '"digest 2"')])
def test_a_change_of_the_newest_is_found_by_its_anchor(before: str, after: str, ledger: Ledger) -> None:
    anchor = ledger.newest()
    assert ledger.faults(anchor) == []
    change(ledger, 4, before, after)
    assert ledger.faults() == []
    assert ledger.faults(anchor) == ["000004.json: is not the one that the registry knows"]


def test_taking_out_the_newest_is_found_by_its_anchor(ledger: Ledger) -> None:
    anchor = ledger.newest()
    ledger.path(4).unlink()
    assert ledger.faults(anchor) == ["000004.json: is not the one that the registry knows"]
    for number in (1, 2, 3):
        ledger.path(number).unlink()
    assert ledger.faults(anchor) == ["000004.json: is not the one that the registry knows"]


def test_an_anchor_that_a_crash_left_behind_accuses_nobody(ledger: Ledger) -> None:
    anchor = ledger.newest()
    add(ledger, 5, 1)
    assert ledger.faults(anchor) == []
