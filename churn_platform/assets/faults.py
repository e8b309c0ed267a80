"""Faults: what a run says when it stops for a reason that a person can put right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from churn_platform.faults import Fault


@contextmanager
def told_plainly(*also: type[Exception]) -> Iterator[None]:
    """Fail the run with a fault's own sentence: a stack trace would only hide it, and a retry would not help."""
    try:
        yield
    except Exception as fault:
        if not isinstance(fault, (Fault, *also)):
            raise
        raise dg.Failure(str(fault), allow_retries=False) from None
