"""Telling: a log record is one record and a traceback only text, whatever they quote."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from churn_platform import telling
from churn_platform.automation.dagster_private import SerializableErrorInfo, blank_errors
from churn_platform.faults import Fault
from churn_platform_tests.hostile_values import HOSTILE, dangers

FORGING = "a\n2024-01-01 00:00:00 ERROR forged: b"


@pytest.fixture(autouse=True)
def _watched() -> None:
    telling.watch()
    blank_errors()


def test_no_value_makes_a_record_or_moves_a_terminal(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("a library")
    for value in HOSTILE:
        log.warning("%s is unknown", value)
        try:
            raise ValueError(value) from RuntimeError(value)
        except ValueError:
            log.exception("it failed")
    formatted = [logging.Formatter("%(levelname)s %(message)s").format(record) for record in caplog.records]
    assert [found for text in formatted for found in dangers(text, markup=False) if found[0] != "A"] == []
    assert all(len(text) < 20_000 for text in formatted)


def test_lines_of_a_message_stay_below_its_first(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("a library").warning("it said\r\n%s", FORGING)
    assert caplog.records[0].getMessage() == "it said \n    a\n    2024-01-01 00:00:00 ERROR forged: b"


def test_an_error_of_one_line_is_left_to_whoever_formats_it(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("plain")
    except ValueError:
        logging.getLogger("a library").exception("it failed")
    assert caplog.records[0].exc_info is not None


def test_an_error_that_cannot_be_told_or_led_to_itself_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class SilentError(ValueError):
        def __str__(self) -> str:
            raise RuntimeError

    error = SilentError()
    error.__cause__ = error
    logging.getLogger("a library").error("it failed", exc_info=error)
    assert "SilentError: <exception str() failed>" in logging.Formatter().format(caplog.records[0])


def test_tracebacks_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("\x1b]0;owned\x07" + "A" * 9000)
    sys.excepthook(ValueError, error, None)
    told = capsys.readouterr().err
    assert told.startswith(r"ValueError: \x1b]0;owned\x07AAA")
    assert told.endswith("... (9,022 characters)\n")


def test_an_error_that_nobody_caught_forges_no_record(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("a\n2024-01-01 00:00:00 ERROR forged: b")
    sys.excepthook(ValueError, error, None)
    thread = threading.Thread(target=_raise, args=[error])
    thread.start()
    thread.join()
    told = capsys.readouterr().err
    assert told.count("ERROR forged: b") == 2
    assert "\n2024" not in told


def _raise(error: Exception) -> None:
    raise error


def test_errors_that_dagster_keeps_are_text() -> None:
    import traceback

    kept = SerializableErrorInfo.from_traceback(
        traceback.TracebackException.from_exception(ValueError("\x1b[2J\u202e"))
    )
    assert kept.message == "ValueError: \\x1b[2J\\u202e\n"


def test_a_fault_is_one_short_line() -> None:
    assert str(Fault(f"the store says {FORGING}\x1b[2J")) == (
        r"the store says a 2024-01-01 00:00:00 ERROR forged: b\x1b[2J"
    )
    assert len(str(Fault("A" * 10**6))) < 5000
