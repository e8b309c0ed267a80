"""Closing: which month is closed or matured next.

Here: a month's facts and the decision on them, as a pure function. Not here: gathering the facts (`watch`), or starting
anything (`sensors`, `replay`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from churn_platform.automation.triggers import CLOSE, MATURE, Action, History, Launch, Wait, event_of, launch
from churn_platform.months import Month
from churn_platform.tables.maturity import is_early, same_labels


@dataclass(frozen=True)
class MonthFacts:
    """A month as delivered and as it is in the lake.

    `unready` says why its drop cannot be taken in now. `state` and `labels` are what the drop holds, `landed` and
    `landed_labels` what was landed, as content hashes. `basis` identifies what it is built on, the snapshots of the
    month before. `stale` says whether any of its tables was built from something that has changed since. `lost` names
    landed files that are gone from the lake; what they were landed from does not count as landed.
    """

    month: Month
    unready: str | None
    state: str
    labels: str | None
    landed: str | None
    landed_labels: str | None
    closed: bool
    stale: bool
    basis: str
    lost: tuple[str, ...] = ()

    @property
    def to_close(self) -> bool:
        """Whether the month has to be closed, for the first time or again."""
        return not self.closed or self.stale or (self.unready is None and self.state != self.landed)

    @property
    def to_mature(self) -> bool:
        """Whether only its labels have to be landed, or withdrawn."""
        return not self.to_close and self.unready is None and (self.labels != self.landed_labels or bool(self.lost))

    @property
    def event(self) -> str:
        """What taking the month in now is about."""
        return event_of(self.month, self.state, self.labels, self.basis, *self.lost)

    @property
    def why(self) -> str:
        """What has happened to the month, in words."""
        if self.lost and not (self.to_mature and self.labels is None):
            return f"files of {self.month} are lost and made again: {', '.join(self.lost)}"
        if self.to_mature and self.labels and same_labels(self.labels, self.landed_labels):
            return f"labels of {self.month} {'do not count yet' if is_early(self.labels) else 'count from today on'}"
        if self.to_mature:
            happened = "have arrived" if self.landed_labels is None else "were corrected"
            return f"labels of {self.month} {happened if self.labels else 'were withdrawn'}"
        if not self.closed:
            return f"{self.month} was delivered"
        return f"the drop of {self.month} has changed" if self.state != self.landed else f"{self.month} is stale"


def not_over(month: Month, today: Month) -> str | None:
    """Why a month cannot be closed yet, or None where it is over; `today` is the month that is not over yet."""
    return f"{month} ends on {month.as_of}: it can be closed after that day" if month >= today else None


def next_closing(months: Sequence[MonthFacts], first: Month, today: Month, history: History) -> Action:
    """The next month to close or to mature, oldest first. Ask only while none is being closed or matured.

    `months` are those that are delivered or landed, `today` the month that is not over yet. A month waits until the one
    before it is closed; one that has stopped holds up later ones only if it has no sound state to go on from.
    """
    notes: list[str] = []
    sound = first - 1  # the newest month that the next one can be built on
    for facts in sorted(months, key=lambda facts: facts.month):
        if not (facts.to_close or facts.to_mature):
            sound = facts.month
            notes += [facts.unready] if facts.unready else []
            continue
        answer = _closing(facts, sound, today, history)
        if isinstance(answer, Launch):
            return answer
        notes.append(answer.why)
        if facts.closed and not facts.stale:
            sound = facts.month
    return Wait("; ".join(notes) or "every delivered month is closed")


def _closing(facts: MonthFacts, sound: Month, today: Month, history: History) -> Action:
    month = facts.month
    if facts.unready:
        return Wait(facts.unready)
    if later := not_over(month, today):
        return Wait(later)
    if facts.to_close and month - 1 != sound:
        return Wait(f"{month} waits for {month - 1} to be closed")
    return launch(MATURE if facts.to_mature else CLOSE, month, facts.event, facts.why, history(month))
