"""Alerts: what happens is reported once, to a webhook on this machine, and no trouble with alerts can fail a run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from churn_platform.automation import history, news
from churn_platform.automation.alerts import MOST_AT_ONCE, Alert, Outbox, Round
from churn_platform.champion import promotion
from churn_platform.champion.registry import CHAMPION, MODEL
from churn_platform.home import Home
from churn_platform.settings import Settings
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.daemon import Daemon

Status = dg.DagsterRunStatus


class Webhook(ThreadingHTTPServer):
    """Accepts Apprise's JSON messages, or refuses them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: list[dict[str, Any]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server_port}/alerts"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.messages.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def listening() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with listening() as server:
        yield server


def alert(number: int) -> Alert:
    return Alert(f"event {number}", f"title {number}", f"body {number}")


# The outbox


def test_an_event_is_told_once_even_by_another_process(tmp_path: Path, webhook: Webhook) -> None:
    assert Outbox(tmp_path, webhook.url).send([alert(1), alert(2)]) == Round(2, 0)
    assert Outbox(tmp_path, webhook.url).send([alert(1), alert(2), alert(3)]) == Round(1, 0)
    assert webhook.titles == ["title 1", "title 2", "title 3"]
    assert webhook.messages[0]["message"] == "body 1"


def test_an_event_is_told_once_though_two_find_it_new_at_once(tmp_path: Path, webhook: Webhook) -> None:
    both = threading.Barrier(2)

    def found(number: int) -> Iterator[Alert]:
        yield alert(number)
        both.wait(20)

    with ThreadPoolExecutor() as pool:
        rounds = list(pool.map(lambda _: Outbox(tmp_path, webhook.url).send(found(1)), range(2)))
    assert webhook.titles == ["title 1"]
    assert sorted(done.sent for done in rounds) == [0, 1]


def test_what_could_not_be_sent_is_tried_again(tmp_path: Path, webhook: Webhook) -> None:
    webhook.status = 500
    assert Outbox(tmp_path, webhook.url).send([alert(1)]) == Round(0, 1)
    webhook.status = 200
    assert Outbox(tmp_path, webhook.url).send([alert(1)]) == Round(1, 0)
    assert webhook.titles == ["title 1"]


def test_several_services_are_told(tmp_path: Path, webhook: Webhook) -> None:
    with listening() as other:
        assert Outbox(tmp_path, f"{webhook.url}, {other.url}").send([alert(1)]) == Round(1, 0)
        assert webhook.titles == other.titles == ["title 1"]


def test_a_flood_is_told_in_rounds(tmp_path: Path, webhook: Webhook) -> None:
    flood = [alert(number) for number in range(MOST_AT_ONCE + 2)]
    assert Outbox(tmp_path, webhook.url).send(flood) == Round(MOST_AT_ONCE, 0)
    assert Outbox(tmp_path, webhook.url).send(flood) == Round(2, 0)
    assert webhook.titles == [alert.title for alert in flood]


def test_whoever_sets_a_url_later_is_not_told_old_news(tmp_path: Path, webhook: Webhook) -> None:
    assert Outbox(tmp_path, "").send([alert(1)]) == Round(0, 0)
    assert Outbox(tmp_path, webhook.url).send([alert(1), alert(2)]) == Round(1, 0)
    assert webhook.titles == ["title 2"]


@pytest.mark.parametrize("urls", ["nonsense", "nosuchservice://here", "json://127.0.0.1:1/closed"])
def test_a_url_that_cannot_work_raises_nothing(tmp_path: Path, urls: str) -> None:
    assert Outbox(tmp_path, urls).send([alert(1)]) == Round(0, 1)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("text", r"1 < 2 \x3cimg src=x onerror=alert(1)> ![x](http://a)"),
        ("html", r"1&nbsp;&lt;&nbsp;2&nbsp;\x3cimg&nbsp;src=x&nbsp;onerror=alert(1)&gt;&nbsp;![x](http://a)"),
        ("markdown", r"1 < 2 \\x3cimg src\=x onerror\=alert\(1\)\> \!\[x\]\(http://a\)"),
    ],
)
def test_a_service_that_shows_markup_is_sent_text(tmp_path: Path, webhook: Webhook, wanted: str, told: str) -> None:
    outbox = Outbox(tmp_path / "alerts", f"{webhook.url}?format={wanted}")
    outbox.send([Alert("event", "title", "1 < 2 <img src=x onerror=alert(1)> ![x](http://a)")])
    assert webhook.messages[0]["message"] == told


def test_urls_are_secret(webhook: Webhook) -> None:
    settings = Settings(alert_urls=webhook.url)
    assert webhook.url not in f"{settings!r} {settings.model_dump_json()}"


# The news


def told(settings: Settings, instance: dg.DagsterInstance, today: date) -> dict[str, str]:
    return {found.title: found.body for found in news.alerts(Home(settings), instance, today)}


def test_nothing_is_told_of_an_empty_platform(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    assert told(homes.settings_of(tmp_path), instance, date(2024, 1, 1)) == {}


def test_a_month_that_stops_is_told_with_its_reason_once(
    tmp_path: Path, webhook: Webhook, instance: dg.DagsterInstance
) -> None:
    settings = homes.settings_of(tmp_path, settle_seconds=0, alert_urls=webhook.url)
    drop = homes.deliver(settings.drops)
    (drop / "users.csv").write_text("nonsense\n")
    daemon = Daemon(settings, instance)
    assert daemon.skipped("alerts") == "nothing new to report"
    assert not daemon.launch(daemon.requested("drops")).success
    assert daemon.skipped("alerts") == "1 alert sent"
    assert daemon.skipped("alerts") == "nothing new to report"
    (message,) = webhook.messages
    assert message["title"] == "2024-01 stopped"
    assert "users" in message["message"]
    assert "/runs/" in message["message"]


def test_a_service_that_is_down_fails_nothing(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = homes.settings_of(tmp_path, settle_seconds=0, alert_urls="json://127.0.0.1:1/closed")
    (homes.deliver(settings.drops) / "users.csv").write_text("nonsense\n")
    daemon = Daemon(settings, instance)
    daemon.launch(daemon.requested("drops"))
    assert "could not be sent" in daemon.skipped("alerts")
    assert [run.status for run in instance.get_runs()] == [Status.FAILURE]


def test_retrainings_decisions_and_failures_are_told(
    trained: Platform, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = trained.copy(tmp_path).settings
    daemon = Daemon(settings, instance)
    cause = {"churn/cause": "RETRAINING_TRIGGERED no champion yet"}
    request = dg.RunRequest("key", job_name="retrain", partition_key="2024-03", tags=cause)
    daemon.pretend(request, Status.STARTED)
    daemon.pretend(request, Status.FAILURE)
    daemon.pretend(dg.RunRequest("other", job_name="refresh", partition_key="2024-03"), Status.FAILURE)
    found = told(settings, instance, date(2024, 4, 1))
    assert found["Retraining for 2024-03 started"].startswith("RETRAINING_TRIGGERED no champion yet\n")
    assert "retrain 2024-03 failed" in found
    assert "refresh 2024-03 failed" in found
    ledger = Home(settings).ledger.all()
    assert {f"Version {receipt.version} {receipt.verdict}" for receipt in ledger} <= found.keys()
    assert ledger[0].reason in found["Version 1 promoted"]
    skipped = [title for title in found if title.endswith("not promoted")]
    assert skipped  # version 3 is version 2's twin
    assert "stays" in found[skipped[0]] or "serves" in found[skipped[0]]


def test_a_failure_that_is_retried_is_no_news_unless_the_retry_was_lost(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = homes.settings_of(tmp_path)
    request = dg.RunRequest("key", job_name="month_close", partition_key="2024-01")
    Daemon(settings, instance).pretend(request, Status.FAILURE, dagster__will_retry="true")
    assert told(settings, instance, date(2024, 1, 1)) == {}
    monkeypatch.setattr(history, "PATIENCE", -1.0)
    assert list(told(settings, instance, date(2024, 1, 1))) == ["2024-01 stopped"]


def test_a_failure_that_was_retried_is_no_news(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = homes.settings_of(tmp_path)
    request = dg.RunRequest("key", job_name="month_close", partition_key="2024-01")
    retried = {"dagster__will_retry": "true", "dagster__auto_retry_run_id": "another"}
    Daemon(settings, instance).pretend(request, Status.FAILURE, **retried)
    assert told(settings, instance, date(2024, 1, 1)) == {}


def test_what_fails_again_and_again_in_the_same_way_is_told_once_a_day(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = homes.settings_of(tmp_path)
    daemon = Daemon(settings, instance)
    event = {"churn/event": "2024-02 digest"}
    for attempt in range(3):
        request = dg.RunRequest(f"{attempt}", job_name="promote", partition_key="2024-02", tags=event)
        daemon.pretend(request, Status.FAILURE)
    found = list(news.alerts(Home(settings), instance, date(2024, 1, 1)))
    assert [alert.title for alert in found] == ["promote 2024-02 failed"] * 3
    assert len({alert.event for alert in found}) == 1
    assert "It is tried again by itself." in found[0].body


def test_a_champion_that_receipts_do_not_know_and_a_pause_are_told(
    trained: Platform, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = trained.copy(tmp_path).settings
    home = Home(settings)
    assert "Champion and receipts disagree" not in told(settings, instance, date(2024, 4, 1))
    home.registry.client.set_registered_model_alias(MODEL, CHAMPION, "3")
    found = told(settings, instance, date(2024, 4, 1))
    assert found["Champion and receipts disagree"].startswith("the registry serves version 3, but receipt ")
    promotion.pause(home.registry, home.ledger, promotion.Request("ann", "an incident", "run", "this"))
    body = told(settings, instance, date(2024, 4, 1))["Promotions and retrainings paused"]
    assert body.startswith("an incident\nDecided by ann.\nAt that time the registry serves version 3, but receipt ")


def test_receipts_that_cannot_be_read_keep_no_other_news_back(
    closed: Platform, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = closed.copy(tmp_path).settings
    (settings.home / "receipts").mkdir()
    (settings.home / "receipts" / "000001.json").write_text("{")
    found = told(settings, instance, date(2024, 5, 11))
    assert found.keys() == {"Champion and receipts disagree", "The features are still those of 2024-03"}
    assert found["Champion and receipts disagree"].startswith("000001.json: is not a receipt: ")


def test_features_are_missed_some_days_after_their_month(
    closed: Platform, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = closed.copy(tmp_path).settings
    assert told(settings, instance, date(2024, 5, 10)) == {}
    assert told(settings, instance, date(2024, 5, 11)) == {
        "The features are still those of 2024-03": (
            "2024-04 ended on 2024-04-30 and is not closed yet; scores and predictions are still for 2024-03."
        )
    }
