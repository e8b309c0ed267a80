"""Deadline: a call that waits for another machine ends in time, whatever that machine does.

Here: not waiting any longer. Not here: how long (`registry`). MLflow's own timeout starts anew with every byte, so a
server that sends one now and then would be waited for without end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """What the call returns or raises, or TimeoutError. A call that is too slow is left to itself, in its thread."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    # A daemon: it does not hold up the end of the program.
    threading.Thread(target=copy_context().run, args=(run,), name="within", daemon=True).start()
    return answer.result(seconds)
