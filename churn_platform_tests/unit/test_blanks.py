"""Blanks: what is kept as a secret is taken out of texts, faults, log records and tracebacks."""

from __future__ import annotations

import json
import logging
import sys
import threading
from urllib.parse import quote

import pytest

from churn_platform import secrets, telling
from churn_platform.automation.alerts import Alert, Outbox
from churn_platform.automation.dagster_private import SerializableErrorInfo, blank_errors
from churn_platform.faults import Fault

SECRET = "Kq4\\é\"'xW8@Jt5"


@pytest.fixture(autouse=True)
def _kept() -> None:
    secrets.keep([quote(SECRET, safe=""), "abc", ""])
    telling.watch()


@pytest.mark.parametrize("way", [SECRET, quote(SECRET), quote(SECRET, safe=""), repr(SECRET)[1:-1], json.dumps(SECRET)])
def test_it_is_blanked_however_it_is_written(way: str) -> None:
    assert secrets.blanked(f"a {way} b").replace('"', "") == "a *** b"


def test_what_is_too_short_to_be_one_is_left() -> None:
    assert secrets.blanked("abcd") == "abcd"


def test_faults_hold_none() -> None:
    assert str(Fault(f"the store does not answer: {SECRET}")) == "the store does not answer: ***"


def test_log_records_hold_none(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("a library")
    log.warning("cannot connect to %s", SECRET)
    log.warning("cannot connect to %s as %d", SECRET)  # a mistake
    log.warning("%s is %d", "two", 2)
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("it failed")
    formatted = [logging.Formatter().format(record) for record in caplog.records]
    assert formatted[0] == "cannot connect to ***"
    assert formatted[1] == "cannot connect to %s as %d ('***',)"
    assert (formatted[2], caplog.records[2].args) == ("two is 2", ("two", 2))
    assert formatted[3].endswith("ValueError: ***")
    assert "Kq4" not in "".join(formatted)


def test_tracebacks_hold_none(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError(SECRET) from RuntimeError(SECRET)

    thread = threading.Thread(target=fail, name="a thread")
    thread.start()
    thread.join()
    assert capsys.readouterr().err.startswith("Exception in thread a thread:\nRuntimeError: ***\n")
    try:
        fail()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    told = capsys.readouterr().err
    assert told.startswith("RuntimeError: ***\n")
    assert told.endswith("ValueError: ***\n")


def test_errors_that_dagster_keeps_hold_none() -> None:
    import traceback

    blank_errors()
    blank_errors()
    try:
        raise ValueError(SECRET) from RuntimeError(SECRET)
    except ValueError as error:
        found = traceback.TracebackException.from_exception(error)
    kept = SerializableErrorInfo.from_traceback(found)
    assert kept.cause is not None
    assert (kept.message, kept.cause.message, kept.cls_name) == (
        "ValueError: ***\n",
        "RuntimeError: ***\n",
        "ValueError",
    )
    assert "Kq4" not in str(kept)


def test_apprise_says_nothing(caplog: pytest.LogCaptureFixture, tmp_path_factory: pytest.TempPathFactory) -> None:
    outbox = Outbox(
        tmp_path_factory.mktemp("alerts"), "nosuchservice://ann:hidden@here, hidden, json://ann:hidden@127.0.0.1:1"
    )
    assert outbox.send([Alert("event", "title", "body")]).failed == 1
    assert caplog.text == ""
