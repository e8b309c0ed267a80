"""Triggers: what the platform may start by itself, and the rule that starts nothing twice.

Here: a launch, a reason to wait, a run so far, and when an event is worth an attempt. Not here: what calls for a launch
(`closing`, `retraining`, `refreshing`), gathering the facts (`watch`), or starting anything (`sensors`, `replay`).

Every decision follows from the lake and the runs so far, never from a memory of its own: whoever asks again after a
crash gets the same answer. A launch's `run_key` names the event and the attempt, and Dagster starts no key twice.
What is called for is tried until it is done, after pauses that grow; only a lasting fault waits for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from churn_platform.champion.tags import CAUSE_TAG
from churn_platform.files import sha256
from churn_platform.months import Month

CLOSE = "month_close"
MATURE = "month_mature"
RETRAIN = "retrain"
PROMOTE = "promote"
REFRESH = "refresh"
MEASURE = "measure"

EVENT_TAG = "churn/event"
ATTEMPT_TAG = "churn/attempt"

PAUSES = (10.0, 60.0, 300.0, 1800.0, 3600.0)
"""Seconds from the end of a failed attempt to the next one, the last of them from then on."""


class RunState(StrEnum):
    """The state of a run. A failed one that Dagster is about to retry is still under way."""

    UNDER_WAY = "under way"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Run:
    """A run so far: the event that it was started for, empty where a person started it, and its fault if it failed.

    `lasting` says whether that fault comes back however often it is tried, `ago` how many seconds ago the run ended.
    """

    run_id: str
    event: str
    state: RunState
    fault: str = ""
    lasting: bool = False
    ago: float = 0.0


@dataclass(frozen=True)
class Launch:
    """Start a job for a month. `why` is one line, for the log and the run's tags."""

    job: str
    month: Month
    event: str
    attempt: int
    why: str

    @property
    def run_key(self) -> str:
        """The same for the same attempt at the same event, whoever decides and when."""
        return f"{self.event} #{self.attempt}"

    @property
    def tags(self) -> dict[str, str]:
        """What the run keeps of its trigger."""
        return {EVENT_TAG: self.event, ATTEMPT_TAG: str(self.attempt), CAUSE_TAG: self.why}


@dataclass(frozen=True)
class Wait:
    """Start nothing now; `why` tells a person the reason."""

    why: str


Action = Launch | Wait
"""What the platform does about the facts now."""
History = Callable[[Month], Sequence[Run]]
"""A month's runs of the jobs that a decision is about, newest first."""


def event_of(month: Month, *content: object) -> str:
    """Identifies a month and the content that the event is about: different content, different event."""
    return f"{month} {sha256(repr(content).encode())[:16]}"


def launch(job: str, month: Month, event: str, why: str, runs: Sequence[Run], holds: float | None = None) -> Action:
    """Start the job, unless a run is under way, or the newest one was for this very event.

    If that one failed, the job is started again after a pause, unless the fault is a lasting one. If it succeeded
    without the effect that it should have, it is not repeated either. Where its effect may be lost later, `holds` is
    for how many seconds the success counts: what is called for after that has happened anew.
    """
    newest = runs[0] if runs else None
    start = Launch(job, month, event, sum(run.event == event for run in runs) + 1, why)
    if newest and newest.state == RunState.UNDER_WAY:
        return Wait(f"{job} of {month} is under way")
    if newest and newest.event == event:
        if newest.state == RunState.SUCCEEDED:
            if holds is not None and newest.ago >= holds:
                return start
            later = "" if holds is None else f", or wait: it is run again {_within(holds)}"
            return Wait(f"{job} of {month} has already run for this and changed nothing: run it by hand{later}")
        if newest.lasting:
            return Wait(f"{month} stopped because {job} failed: {newest.fault}")
        failed = len(list(takewhile(lambda run: (run.event, run.state) == (event, RunState.FAILED), runs)))
        pause = PAUSES[min(failed, len(PAUSES)) - 1]
        if newest.ago < pause:
            times = "" if failed == 1 else f" {failed} times"
            return Wait(f"{job} of {month} failed{times} and is tried again {_within(pause)}: {newest.fault}")
    return start


def _within(seconds: float) -> str:
    """A pause in words, which do not change while it passes."""
    return f"within {seconds:.0f} seconds" if seconds < 120 else f"within {seconds / 60:.0f} minutes"
