"""Faults: what a run says when it stops for a reason that a person can put right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from churn_platform.faults import Fault

LASTING = "lasting"
"""Where a failed step keeps whether its fault is a lasting one, which nothing starts again by itself."""


@contextmanager
def told_plainly() -> Iterator[None]:
    """Fail the run with a fault's own sentence: its stack trace would only hide it, and a retry would not help.

    What another library raised before it stays in the run's log. Any other exception is a bug, and passes.
    """
    try:
        yield
    except Fault as fault:
        raise dg.Failure(str(fault), metadata={LASTING: fault.lasting}, allow_retries=False) from fault.__cause__
