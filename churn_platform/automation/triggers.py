"""Triggers: what the platform may start by itself, and the rule that starts nothing twice.

Here: a launch, a reason to wait, a run so far, and when an event is worth an attempt. Not here: what calls for a launch
(`closing`, `retraining`, `refreshing`), gathering the facts (`watch`), or starting anything (`sensors`, `replay`).

Every decision follows from the lake and the runs so far, never from a memory of its own: whoever asks again after a
crash gets the same answer. A launch's `run_key` names the event and the attempt, and Dagster starts no key twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from churn_platform.files import sha256
from churn_platform.months import Month

CLOSE = "month_close"
MATURE = "month_mature"
RETRAIN = "retrain"
PROMOTE = "promote"
REFRESH = "refresh"

EVENT_TAG = "churn/event"
ATTEMPT_TAG = "churn/attempt"
CAUSE_TAG = "churn/cause"

ATTEMPTS = 3
"""How often a retraining or a refresh is tried. A closing is tried once: a broken drop stays so until it changes."""


class RunState(StrEnum):
    """The state of a run. A failed one that Dagster is about to retry is still under way."""

    UNDER_WAY = "under way"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Run:
    """A run so far: the event that it was started for, empty where a person started it, and its fault if it failed."""

    run_id: str
    event: str
    state: RunState
    fault: str = ""


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


def launch(job: str, month: Month, event: str, why: str, runs: Sequence[Run], most: int = ATTEMPTS) -> Action:
    """Start the job, unless a run is under way, or the newest `most` runs were for this very event and failed.

    A run for this event that succeeded without the effect that it should have is not repeated either.
    """
    if runs and runs[0].state == RunState.UNDER_WAY:
        return Wait(f"{job} of {month} is under way")
    newest = runs[:most]
    if newest and all(run.event == event for run in newest):
        if newest[0].state == RunState.SUCCEEDED:
            return Wait(f"{job} of {month} has already run for this and changed nothing: run it by hand")
        if len(newest) == most and all(run.state == RunState.FAILED for run in newest):
            times = "" if most == 1 else f" {most} times"
            return Wait(f"{month} stopped because {job} failed{times}: {newest[0].fault}")
    return Launch(job, month, event, sum(run.event == event for run in runs) + 1, why)
