"""Forgetting customers: nothing keeps their key, the others stay as they are, and nothing brings them back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from churn_platform import erasure_requests
from churn_platform.automation import forgetting, jobs
from churn_platform.automation.instance import open_instance
from churn_platform.champion import promotion
from churn_platform.erasure import erasing, kept_rows, predictions, sqlite, tables, texts
from churn_platform.erasure_requests import ErasureRequest
from churn_platform.months import Month
from churn_platform.online import store
from churn_platform.tables import lineage
from churn_platform.tables.names import CHURN_SCORES, FEATURES, TRAINING_ROWS
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform, done
from churn_platform_tests.frozen import Frozen

FIRST, LAST = Month.parse("2024-01"), Month.parse("2024-03")


@pytest.fixture(scope="module")
def customer(_trained: tuple[Platform, Frozen]) -> str:
    """Whom versions learned from, who is active in every month."""
    lake = _trained[0].home.lake
    learned = {key for path in (lake.root / TRAINING_ROWS).glob("?" * 64 + ".parquet") for key in keys_in(path)}
    active = set.intersection(*({*lake.frame(FEATURES, month)["user_id"]} for month in lake.months(FEATURES)))
    return min(learned & active)


@pytest.fixture(scope="module")
def spoiled(_trained: tuple[Platform, Frozen], customer: str, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Three months, of which the first was delivered with broken rows of the customer, and what serving has logged."""
    platform = _trained[0].copy(tmp_path_factory.mktemp("spoiled"))
    spoil(platform.settings.drops / "month_000" / "users.csv", customer)
    done(platform, "close", str(FIRST))
    log = platform.settings.prediction_log / "2024-04-01-host-1.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text("".join(json.dumps({"user_id": one, "probability": 0.5}) + "\n" for one in (customer, "another")))
    return platform


@pytest.fixture
def platform(spoiled: Platform, tmp_path: Path) -> Platform:
    """The same, free to be changed."""
    return spoiled.copy(tmp_path)


def keys_in(path: Path) -> list[str]:
    found: list[str] = pq.read_table(path, partitioning=None)["user_id"].to_pylist()
    return found


def spoil(file: Path, customer: str) -> None:
    """A second row of the customer that contradicts the first: both are broken, and told with their key."""
    lines = file.read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{customer},")]
    date = line.split(",")[1]
    file.write_text("\n".join([*lines, line.replace(date, "2020-01-01")]) + "\n")


def holding(home: Path, word: str) -> Iterator[str]:
    """The files under a folder that hold the word: in their bytes, in Parquet's values, and in SQLite's."""
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        data = path.read_bytes()
        texts = "".join(decoded(path, data))
        if word in texts or word.encode() in data or word.encode("utf-16-le") in data:
            yield str(path.relative_to(home))


def decoded(path: Path, data: bytes) -> Iterator[str]:
    if path.suffix == ".parquet":
        yield str(pq.read_table(path, partitioning=None).to_pylist())
    elif data.startswith(b"SQLite format 3\0"):
        with closing(sqlite3.connect(path)) as database:
            yield from database.iterdump()


def rows(platform: Platform, *without: str) -> dict[str, list[str]]:
    """The rows of all tables of customers, but for some customers'."""
    lake = platform.home.lake
    found = {}
    for path in sorted(path for path in lake.root.rglob("????-??.parquet")):
        table = pq.read_table(path, partitioning=None)
        if "user_id" in table.column_names:
            told = [str(row) for row in table.to_pylist() if row["user_id"] not in without]
            found[str(path.relative_to(lake.root))] = told
    return found


def test_nothing_keeps_a_customer_who_is_forgotten_and_all_others_stay(platform: Platform, customer: str) -> None:
    settings = platform.settings
    before, others = list(holding(settings.home, customer)), rows(platform, customer)
    places = " ".join(before)
    for place in ("dagster/", "quarantine/", "landed/", "training_rows/", "exports/", "online_store.db"):
        assert place in places, f"the test does not try {place}"
    told = done(platform, "forget", customer, "--reason", "asked by letter")
    assert "receipt 3: 1 customer erased\n" in told
    assert "3 versions learned from them and cannot be rebuilt to the bit: 1, 2, 3" in told
    assert list(holding(settings.home, customer)) == []
    assert list(holding(settings.tombstones_folder, customer)) == []
    assert rows(platform) == others
    assert '"another"' in next(settings.prediction_log.glob("*.jsonl")).read_text()
    receipt = platform.home.ledger.all()[-1]
    assert receipt.erasure is not None
    assert receipt.erasure.customers == platform.home.tombstones.of([customer])
    assert receipt.erasure.trained == (1, 2, 3)
    assert receipt.erasure.found == 1
    assert done(platform, "receipts").endswith("3 receipts, each as it was written\n")


def test_what_was_built_from_erased_tables_counts_as_current(platform: Platform, customer: str) -> None:
    done(platform, "forget", customer, "--reason", "a test")
    kept, scores = homes.contents(platform.settings.lake), platform.home.lake.frame(CHURN_SCORES, LAST)
    first = platform.settings.first
    assert not any(lineage.is_stale(platform.home.lake, month, first) for month in platform.home.lake.months(FEATURES))
    done(platform, "close", "--all")
    again, rescored = homes.contents(platform.settings.lake), platform.home.lake.frame(CHURN_SCORES, LAST)
    # To the byte, from the drops, which have the customer. Deciles depend on who is there, and were what was served.
    assert {name for name in kept | again if kept.get(name) != again.get(name)} <= {f"{CHURN_SCORES}/{LAST}.parquet"}
    assert rescored.drop(columns="decile").equals(scores.drop(columns="decile"))
    assert list(holding(platform.settings.home, customer)) == []


def test_a_kill_anywhere_is_finished_by_the_next_one(
    platform: Platform, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = (
        (erasing, "known"), (tables, "rename"), (kept_rows, "erase"), (erasing, "_export_again"), (store, "erase"),
        (predictions, "erase"), (texts, "erase"), (sqlite, "erase"), (promotion, "_carry_out"),
        (erasure_requests, "remove"),
    )  # fmt: skip
    arguments: tuple[str, ...] = (customer, "--reason", "a test", "--anyway")
    for module, name in places:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, killed)
            assert platform.churn("forget", *arguments).exit_code != 0, name
        arguments = (customer, "--reason", "a test")  # the same again, though by now no table may have them
        assert len(erasure_requests.waiting(platform.settings.erasure_requests)) == 1
        assert "1 erasure was asked for and is not finished: churn forget finishes" in done(platform, "status")
    assert "1 customer erased" in done(platform, "forget")
    assert list(holding(platform.settings.home, customer)) == []
    erased = [receipt for receipt in platform.home.ledger.all() if receipt.erasure]
    assert len(erased) == 1
    assert erased[0].erasure is not None and {1, 2} <= set(erased[0].erasure.trained)
    assert done(platform, "forget") == "nothing was left to finish\n"


def test_what_another_run_writes_meanwhile_is_erased_too(
    platform: Platform, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was at work during the first pass has written a table back, from what it had read before."""
    path, erase, passes = platform.home.lake.path(FEATURES, LAST), erasing.erase, []
    before = path.read_bytes()

    def beside(*arguments: Any) -> dict[str, int]:
        found = erase(*arguments)
        passes.append(found)
        if len(passes) == 1:
            path.write_bytes(before)
        return found

    monkeypatch.setattr(erasing, "erase", beside)
    at_work = iter([{"another"}, set[str]()])
    monkeypatch.setattr(forgetting, "_at_work_since", lambda *_: next(at_work))
    done(platform, "forget", customer, "--reason", "a test")
    assert len(passes) == 2
    assert list(holding(platform.settings.home, customer)) == []


def test_runs_that_were_at_work_are_known(trained: Platform, tmp_path: Path) -> None:
    with open_instance(trained.copy(tmp_path).settings) as instance:
        began = datetime.now(UTC)
        config = {"ops": {"pause": {"config": {"by": "a test", "reason": "a test"}}}}
        own, other, over = (instance.create_run_for_job(jobs.pause_automation, run_config=config) for _ in range(3))
        for run in (own, other, over):
            instance.report_engine_event("begun", run)
            instance.report_run_canceling(run)
        instance.report_run_canceled(over)
        assert forgetting._running(instance, own.run_id) == {other.run_id}
        assert forgetting._at_work_since(instance, began, own.run_id) == {other.run_id, over.run_id}
        assert forgetting._at_work_since(instance, datetime.now(UTC) + timedelta(1), own.run_id) == {other.run_id}


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_backup_from_before_brings_nobody_back(platform: Platform, customer: str, tmp_path: Path) -> None:
    done(platform, "backup", str(tmp_path / "backup"))
    done(platform, "forget", customer, "--reason", "a test")
    new = Platform(platform.settings.model_copy(update={"home": tmp_path / "new"}))
    shutil.copytree(platform.settings.tombstones_folder, new.settings.tombstones_folder)
    done(new, "restore", str(tmp_path / "backup"))
    assert list(holding(new.settings.home, customer)) == []
    receipt = new.home.ledger.all()[-1]
    assert (receipt.decided_by, receipt.title) == ("churn restore", "1 customer erased")


def test_a_backup_waits_for_an_erasure(platform: Platform, tmp_path: Path) -> None:
    folder, name = platform.settings.erasure_requests, erasure_requests.new_name()
    erasure_requests.write(folder, name, ErasureRequest(("nobody",), "a test", "a test", "2024-03-01T00:00:00+00:00"))
    told = done(platform, "backup", str(tmp_path / "backup"), exit_code=1)
    assert "an erasure is not finished: wait for it, or finish it with churn forget" in told


def test_a_request_that_cannot_be_read_stops_no_other(platform: Platform, customer: str) -> None:
    (folder := platform.settings.erasure_requests).mkdir(parents=True)
    (folder / f"{'0' * 32}.json").write_text("{")
    told = done(platform, "forget", customer, "--reason", "a test", exit_code=1)
    assert "1 customer erased" in told
    assert "cannot be read: ask again with churn forget, and remove it" in told
    assert list(holding(platform.settings.home, customer)) == []


def test_what_another_process_has_done_counts_as_done(
    platform: Platform, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(platform, "forget", customer, "--reason", "a test")
    receipt = platform.home.ledger.all()[-1]
    monkeypatch.setattr(erasure_requests, "waiting", lambda _: (receipt.decision,))  # it looked before that was done
    assert f"receipt {receipt.number}: 1 customer erased" in done(platform, "forget")
    assert platform.home.ledger.all()[-1] == receipt


def test_without_its_tombstones_a_month_is_not_closed(platform: Platform, customer: str) -> None:
    done(platform, "forget", customer, "--reason", "a test")
    (platform.settings.tombstones_folder / "tombstones.json").unlink()
    told = done(platform, "close", str(LAST), exit_code=1)
    assert "(CHURN_TOMBSTONES) lacks 1 of the customers who were erased, as the receipts say: put that folder" in told
    told = done(platform, "forget", "nobody", "--reason", "a test", "--anyway", exit_code=1)
    assert "(CHURN_TOMBSTONES) lacks 1 of the customers who were erased" in told  # it would begin another list


def test_several_are_forgotten_at_once_and_named_in_a_file(platform: Platform, tmp_path: Path) -> None:
    customers = sorted(platform.home.lake.frame(CHURN_SCORES, LAST)["user_id"])[:40]
    (tmp_path / "list").write_text("\n".join(customers[1:]) + "\n")
    told = done(platform, "forget", customers[0], "--from", str(tmp_path / "list"), "--reason", "a test")
    assert "40 customers erased" in told
    assert "rows of them, which nothing takes in any more" in told
    left = set(platform.home.lake.frame(CHURN_SCORES, LAST)["user_id"])
    assert left.isdisjoint(customers)
    assert left


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["nobody", "--reason", "a test"],
            "no table has 'nobody': is that written as in the drops? Nothing was erased.",
        ),
        (["nobody", "--reason", "nobody asked"], "the reason names a customer whom it is about to erase"),
        (["nobody"], "Say why, with --reason"),
    ],
)
def test_what_is_refused_changes_nothing(trained: Platform, tmp_path: Path, arguments: list[str], told: str) -> None:
    platform = trained.copy(tmp_path)
    result = platform.churn("forget", *arguments)
    assert result.exit_code in (1, 2)
    assert told in result.output
    assert not platform.settings.tombstones_folder.exists()
    assert erasure_requests.waiting(platform.settings.erasure_requests) == ()


def test_who_is_in_no_table_is_kept_out_where_that_is_wanted(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    done(platform, "forget", "nobody", "--reason", "a test", "--anyway")
    assert platform.home.tombstones.among(["nobody"]) == {"nobody"}
    assert "  0 of them in tables before\n" in done(platform, "receipt", "3")
    assert "erased already: 'nobody'" in done(platform, "forget", "nobody", "--reason", "again", exit_code=1)
