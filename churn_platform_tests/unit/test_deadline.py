"""Deadline: an answer that comes in time is passed on, whatever it is; a late one is not waited for."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from churn_platform.champion.deadline import within

SEEN = ContextVar("seen", default="nothing")


def test_what_is_returned_or_raised_is_passed_on() -> None:
    assert within(60, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: 1 / 0)
    SEEN.set("this")
    assert within(60, SEEN.get) == "this"


def test_what_is_late_is_not_waited_for() -> None:
    over = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, over.wait)
    over.set()


def test_it_does_not_hold_up_the_end_of_a_program() -> None:
    assert within(60, lambda: threading.current_thread().daemon)
