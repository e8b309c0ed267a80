"""What tests of the triggers share: runs so far, and what a decision says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from churn_platform.automation.triggers import Action, Launch, Run, RunState, Wait
from churn_platform.months import Month


def failed(event: str, fault: str = "the disk is full", *, lasting: bool = False, ago: float = 0.0) -> Run:
    """A run for this event that failed some seconds ago."""
    return Run("a", event, RunState.FAILED, fault, lasting, ago)


def none(_: Month) -> Sequence[Run]:
    return ()


def only(*runs: Run) -> Callable[[Month], Sequence[Run]]:
    return lambda _: runs


def launched(decision: Action) -> Launch:
    assert isinstance(decision, Launch), decision
    return decision


def waits(decision: Action) -> str:
    assert isinstance(decision, Wait), decision
    return decision.why
