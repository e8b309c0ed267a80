"""Interrupted decisions: wherever one dies, the next attempt finishes it, and each decision has one receipt."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from churn_platform.champion.agreement import findings
from churn_platform.champion.books import Book, BookError, FileBook
from churn_platform.champion.postgres import PostgresBook
from churn_platform.champion.receipts import Receipt
from churn_platform.champion.registry import RegistryError, Version
from churn_platform_tests.decision_cases import Desk, evaluation
from churn_platform_tests.published_cases import empty_database


class KilledError(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


@pytest.fixture(params=["files", "postgres"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A desk with either home of receipts, at which versions 1 and then 2 were promoted."""
    files = FileBook(tmp_path / "receipts")
    if request.param == "files":
        yield _with_two(Desk(tmp_path / "desk", book=files))
        return
    with empty_database(request.getfixturevalue("postgres")) as url:
        yield _with_two(Desk(tmp_path / "desk", book=PostgresBook(url, earlier=files)))


def _with_two(desk: Desk) -> Desk:
    desk.settle(evaluation(1))
    desk.settle(evaluation(2, 1))
    return desk


STEPS = [
    (place, name, after)
    for place, name in (
        ("book", "intend"),
        ("registry", "appoint"),
        ("registry", "keep_anchor"),
        ("registry", "keep_decision"),
        ("book", "confirm"),
    )
    for after in (False, True)
]

DECISIONS: dict[str, tuple[Callable[[Desk], Receipt], tuple[str, int, int]]] = {
    "roll back": (lambda desk: desk.roll_back("this one"), ("rolled back", 2, 1)),
    "appoint": (lambda desk: desk.appoint(1, "this one"), ("appointed", 2, 1)),
    "promote": (lambda desk: desk.settle(evaluation(3, 2)), ("promoted", 2, 3)),
    "keep": (lambda desk: desk.settle(evaluation(3, 2, auc=0.7)), ("kept", 2, 2)),
    "pause": (lambda desk: desk.pause("this one"), ("paused", 2, 2)),
}


UNTOUCHED = {"appoint": ("keep", "pause"), "keep_decision": ("pause",)}
"""Steps that some decisions do not take: the champion does not move, or no version is meant."""


def killed_at(holder: Any, name: str, *, after: bool, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call of a method ends there, before it begins or after it is done."""
    whole = getattr(holder, name)

    def dying(*arguments: Any) -> None:
        if after:
            whole(*arguments)
        raise error

    monkeypatch.setattr(holder, name, dying)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{'after' if step[2] else 'before'} {step[1]}")
@pytest.mark.parametrize("decision", DECISIONS)
def test_killed_and_made_again(
    decision: str, step: tuple[str, str, bool], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, (verdict, before, champion) = DECISIONS[decision]
    place, name, after = step
    with monkeypatch.context() as patch:
        killed_at(getattr(desk, place), name, after=after, error=KilledError(), monkeypatch=patch)
        if decision in UNTOUCHED.get(name, ()):
            decide(desk)
        else:
            with pytest.raises(KilledError):
                decide(desk)
    intent = desk.ledger.intent()
    if intent is not None:
        (told,) = findings(desk.registry, desk.ledger)
        assert told.startswith(f"receipt 3 was begun at {intent.decided_at} and not finished ({intent.title}")
    for _ in range(2):
        receipt = decide(desk)
        assert (receipt.number, receipt.verdict, receipt.champion_before, receipt.champion) == (
            3, verdict, before, champion,
        )  # fmt: skip
    assert intent in (None, receipt)
    assert desk.champion == champion
    assert desk.ledger.all()[2:] == (receipt,)
    assert desk.ledger.intent() is None
    assert findings(desk.registry, desk.ledger) == []


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{'after' if step[2] else 'before'} {step[1]}")
def test_killed_and_somebody_else_decides_next(
    step: tuple[str, str, bool], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, name, after = step
    with monkeypatch.context() as patch:
        killed_at(getattr(desk, place), name, after=after, error=KilledError(), monkeypatch=patch)
        with pytest.raises(KilledError):
            desk.roll_back("this one")
    begun = (name, after) != ("intend", False)
    desk.appoint(7)
    made = [(receipt.verdict, receipt.champion_before, receipt.champion) for receipt in desk.ledger.all()[2:]]
    assert made == ([("rolled back", 2, 1), ("appointed", 1, 7)] if begun else [("appointed", 2, 7)])
    assert findings(desk.registry, desk.ledger) == []


def test_a_registry_that_breaks_off_leaves_it_open_until_it_answers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = RegistryError("the MLflow store does not answer")
    with monkeypatch.context() as patch:
        whole = desk.registry.appoint

        def break_off(version: Version) -> None:
            whole(version)
            killed_at(desk.registry, "champion", after=False, error=away, monkeypatch=patch)
            raise away

        patch.setattr(desk.registry, "appoint", break_off)
        with pytest.raises(RegistryError):
            desk.roll_back("this one")
        with pytest.raises(RegistryError):
            desk.roll_back("this one")
    assert desk.roll_back("this one").champion == 1
    assert len(desk.ledger.all()) == 3


def test_an_answer_that_got_lost_after_the_move_is_no_failure(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_at(desk.registry, "appoint", after=True, error=RegistryError("timed out"), monkeypatch=monkeypatch)
    assert desk.roll_back().champion == 1
    assert findings(desk.registry, desk.ledger) == []


def test_what_cannot_be_done_any_more_is_withdrawn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        killed_at(desk.registry, "appoint", after=False, error=KilledError(), monkeypatch=patch)
        desk.appoint(5)
    desk.registry.broken = (5,)
    receipt = desk.roll_back()
    assert (receipt.number, receipt.champion_before, receipt.champion) == (3, 2, 1)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_disk_that_fills_up(call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book: Book = FileBook(tmp_path / "receipts")
    desk = _with_two(Desk(tmp_path / "desk", book=book))
    name, whole = {1: "write_bytes", 2: "replace", 3: "rename"}[call], Path.__dict__

    def full(path: Path, *arguments: Any) -> Any:
        if path.parent == tmp_path / "receipts":
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, *arguments)

    original = whole[name]
    with monkeypatch.context() as patch:
        patch.setattr(Path, name, full)
        with pytest.raises(BookError, match=r"receipts cannot be written: no space left on device \(mend that"):
            desk.roll_back("this one")
        assert desk.champion == (1 if name == "rename" else 2)
    assert desk.roll_back("this one").champion == desk.champion == 1
    assert len(desk.ledger.all()) == 3
    assert findings(desk.registry, desk.ledger) == []
