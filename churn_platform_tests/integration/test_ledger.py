"""The ledger in both of its homes: a chain that shows what was changed, removed or swapped, and one at a time."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from churn_platform.champion import postgres as postgres_books
from churn_platform.champion.books import Book, BookError, FileBook
from churn_platform.champion.postgres import PostgresBook
from churn_platform.champion.receipts import Ledger, Receipt, ReceiptError, digest_of
from churn_platform.champion.registry import Version
from churn_platform.months import Month
from churn_platform_tests.decision_cases import evaluation
from churn_platform_tests.published_cases import ask, empty_database


@pytest.fixture(params=["files", "postgres"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Book]:
    """An empty book in either home."""
    files = FileBook(tmp_path / "receipts")
    if request.param == "files":
        yield files
        return
    with empty_database(request.getfixturevalue("postgres")) as url:
        yield PostgresBook(url, earlier=files)


def version(number: int) -> Version:
    return Version(number, Month(2024, 1), 0.8, "run", "uri", f"digest {number}")


def add(ledger: Ledger, number: int, before: int | None = None, **more: object) -> Receipt:
    facts: dict = {"verdict": "appointed", "by": "ann", "reason": "a test", "run_id": "run 1", "after": number, **more}
    with ledger.locked():
        receipt = ledger.intend(version=version(number), before=before, **facts)
        ledger.confirm()
    return receipt


def put(book: Book, number: int, data: bytes | None) -> None:
    """Do to a receipt what nobody should, past the platform; None takes it away."""
    if isinstance(book, FileBook):
        book.path(number).unlink(missing_ok=True)
        if data is not None:
            book.path(number).write_bytes(data)
        return
    assert isinstance(book, PostgresBook)
    book._ask("DELETE FROM receipts WHERE number = %s", (number,))
    if data is not None:
        book._ask("INSERT INTO receipts VALUES (%s, %s)", (number, data.decode("latin-1")))


@pytest.fixture
def ledger(book: Book) -> Ledger:
    """Four decisions."""
    ledger = Ledger(book)
    add(ledger, 1, evaluation=evaluation(1), verdict="promoted")
    add(ledger, 2, 1, after=1, evaluation=evaluation(2, 1, auc=0.7), verdict="kept")
    add(ledger, 3, 1)
    add(ledger, 1, 3, verdict="rolled back")
    return ledger


def test_an_empty_ledger(book: Book) -> None:
    ledger = Ledger(book)
    assert ledger.all() == ()
    assert ledger.faults() == []
    assert ledger.champions() == []
    assert ledger.newest() is None
    assert not ledger.appointed(1)


def test_a_receipt_holds_the_decision(ledger: Ledger, book: Book) -> None:
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


def test_an_evaluation_finds_its_receipt(ledger: Ledger, book: Book) -> None:
    assert ledger.of_evaluation(evaluation(2, 1, auc=0.7)) == ledger.all()[1]
    assert ledger.of_evaluation(evaluation(2, 1, auc=0.7001)) is None


def test_who_was_ever_appointed(ledger: Ledger, book: Book) -> None:
    assert [ledger.appointed(number) for number in (1, 2, 3, 4)] == [True, False, True, False]


def test_each_carries_the_hash_of_the_one_before(ledger: Ledger, book: Book) -> None:
    links = [receipt.previous_sha256 for receipt in ledger.all()]
    assert links[0] is None
    assert len(set(links)) == 4
    assert ledger.faults() == []


def change(book: Book, number: int, before: str, after: str) -> None:
    text = book.receipts()[number].decode()
    assert text.count(before) >= 1
    put(book, number, text.replace(before, after, 1).encode())


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(("before", "after"), [("ann", "bob"), ("a test", "a text"), ('"run 1"', '"run 2"')])
def test_a_change_is_found(number: int, before: str, after: str, ledger: Ledger, book: Book) -> None:
    change(book, number, before, after)
    assert ledger.faults() == [
        f"00000{number + 1}.json: does not follow from the receipt before it: that one was changed"
    ]


def test_a_changed_evaluation_is_found_even_in_the_last(book: Book) -> None:
    ledger = Ledger(book)
    add(ledger, 1, evaluation=evaluation(1, auc=0.8125), verdict="promoted")
    change(book, 1, "0.8125", "0.9125")
    assert ledger.faults() == ["000001.json: its evaluation is not the one that was decided on"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_removal_is_found(number: int, ledger: Ledger, book: Book) -> None:
    put(book, number, None)
    assert any(f"is number {number + 1}, expected {number}: one is missing" in fault for fault in ledger.faults())


def test_a_swap_is_found(ledger: Ledger, book: Book) -> None:
    second, third = book.receipts()[2], book.receipts()[3]
    put(book, 2, third)
    put(book, 3, second)
    assert len(ledger.faults()) >= 2


def test_what_is_no_receipt_is_found(ledger: Ledger, book: Book) -> None:
    for data in (b"{}", b"\xff"):
        put(book, 2, data)
        assert any(fault.startswith("000002.json: is not a receipt") for fault in ledger.faults())
        with pytest.raises(ReceiptError, match=r"is not a receipt: .* restore it from a backup"):
            ledger.all()


def test_champions_are_those_that_no_rollback_took_back(book: Book) -> None:
    ledger = Ledger(book)
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
def test_a_change_of_the_newest_is_found_by_its_anchor(before: str, after: str, ledger: Ledger, book: Book) -> None:
    anchor = ledger.newest()
    assert ledger.faults(anchor) == []
    change(book, 4, before, after)
    assert ledger.faults() == []
    assert ledger.faults(anchor) == ["000004.json: is not the one that the registry knows"]


def test_taking_out_the_newest_is_found_by_its_anchor(ledger: Ledger, book: Book) -> None:
    anchor = ledger.newest()
    put(book, 4, None)
    assert ledger.faults(anchor) == ["000004.json: is not the one that the registry knows"]
    for number in (1, 2, 3):
        put(book, number, None)
    assert ledger.faults(anchor) == ["000004.json: is not the one that the registry knows"]


def test_an_anchor_that_a_crash_left_behind_accuses_nobody(ledger: Ledger, book: Book) -> None:
    anchor = ledger.newest()
    add(ledger, 5, 1)
    assert ledger.faults(anchor) == []


# An intent, and the lock


def test_an_intent_becomes_the_receipt_or_is_withdrawn(ledger: Ledger, book: Book) -> None:
    for number in (5, 6):
        with ledger.locked():
            intent = ledger.intend(
                verdict="appointed", by="ann", reason="x", version=version(7), before=1, after=7, run_id="run 1"
            )
            assert ledger.intent() == intent
            assert len(ledger.all()) == number - 1
            assert (anchor := ledger.intended()) is not None
            ledger.withdraw()
            assert ledger.intent() is None
            ledger.confirm()  # there is nothing to confirm
            assert len(ledger.all()) == number - 1
        assert add(ledger, 7, 1).number == anchor.number == number
        assert ledger.intent() is None
    assert ledger.faults() == []


def test_a_receipt_has_the_same_bytes_in_every_home(ledger: Ledger, book: Book) -> None:
    first = book.receipts()[1].decode()
    assert first.startswith('{\n  "number": 1,\n  "decided_at": "')
    assert first.endswith('\n  "previous_sha256": null\n}')  # what is not there is not written, as before


def test_one_decision_at_a_time(book: Book) -> None:
    ledger, order = Ledger(book), list[str]()
    inside = threading.Event()

    def second() -> None:
        inside.wait(10)
        with ledger.locked():
            order.append("second")

    other = threading.Thread(target=second)
    other.start()
    with ledger.locked():
        inside.set()
        other.join(0.3)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"]


def test_a_numbered_gap_is_never_filled_again(ledger: Ledger, book: Book) -> None:
    last = book.receipts()[4]
    put(book, 2, None)
    assert add(ledger, 7, 1).number == 5
    assert book.receipts()[4] == last


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(FileBook(tmp_path))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(BookError, match="cannot be written: no space left on device"):
        patch.setattr(Path, "write_bytes", full)
        add(ledger, 1)
    assert ledger.intent() is None
    assert ledger.all() == ()
    assert add(ledger, 1).number == 1


# PostgreSQL


def test_files_of_an_earlier_version_are_taken_over_once(tmp_path: Path, postgres: str) -> None:
    files = FileBook(tmp_path)
    before = Ledger(files)
    for number in (1, 2):
        add(before, number)
    with before.locked():
        before.intend(verdict="appointed", by="ann", reason="x", version=version(3), before=2, after=3, run_id="run 1")
    with empty_database(postgres) as url:
        book = PostgresBook(url, earlier=files)
        assert book.receipts() == files.receipts()
        assert book.intent() == files.intent()
        with Ledger(book).locked():
            Ledger(book).confirm()
        add(before, 9)  # somebody has gone on with files: the database is what counts
        assert [receipt.champion for receipt in Ledger(PostgresBook(url, earlier=files)).all()] == [1, 2, 3]
        assert [number for (number,) in ask(url, "SELECT number FROM receipts ORDER BY number")] == [1, 2, 3]


def test_many_may_come_first(tmp_path: Path, postgres: str) -> None:
    files = FileBook(tmp_path)
    add(Ledger(files), 1)
    with empty_database(postgres) as url:
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.append(len(PostgresBook(url, earlier=files).receipts())))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert found == [1] * 6


def test_who_has_lost_the_connection_has_lost_the_lock_and_writes_nothing(tmp_path: Path, postgres: str) -> None:
    with empty_database(postgres) as url:
        ledger = Ledger(PostgresBook(url, earlier=FileBook(tmp_path)))
        with pytest.raises(BookError, match="cannot be used now"), ledger.locked():
            ledger.intend(
                verdict="appointed", by="ann", reason="x", version=version(1), before=None, after=1, run_id="run 1"
            )
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname"
            ask(url, f"{others} = current_database()")
            other = Ledger(PostgresBook(url, earlier=FileBook(tmp_path)))
            with other.locked():
                other.confirm()  # finishes what was begun
            ledger.confirm()
        assert len(ledger.all()) == 1


def test_a_postgres_that_never_answers_is_hung_up_on(tmp_path: Path, postgres: str) -> None:
    with empty_database(postgres) as url:
        book = PostgresBook(url, earlier=FileBook(tmp_path))
        with book._connected() as connection, pytest.raises(BookError, match="cannot be used now"):
            book._run(connection, "SELECT pg_sleep(60)", seconds=0.2)


def test_a_statement_that_is_late_is_ended_by_the_server(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with empty_database(postgres) as url:
        book = PostgresBook(url, earlier=FileBook(tmp_path))
        monkeypatch.setattr(postgres_books, "LOCK_SECONDS", 1)
        with book.locked():
            other = PostgresBook(url, earlier=FileBook(tmp_path))
            with pytest.raises(BookError, match="statement timeout"), other.locked():
                pass
