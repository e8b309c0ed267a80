"""Day: the day on which labels are judged to be known: today's date, or the one that a backtest lives through.

Here: that one day. Not here: what follows from it (`tables.maturity`). Whether a month is over, and what a sensor waits
for, is asked of the real calendar: no backtest can close a month that is not over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

_lived: date | None = None


def today() -> date:
    """The day."""
    return _lived or date.today()


@contextmanager
def living_on(day: date) -> Iterator[None]:
    """In this process, let it be that day; one at a time."""
    global _lived  # Dagster runs steps in threads of their own, which a context variable does not reach
    assert _lived is None, "another day is being lived through"
    _lived = day
    try:
        yield
    finally:
        _lived = None
