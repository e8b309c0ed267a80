"""Triggers: what the platform starts by itself, decided from plain facts.

Here: which month is closed or matured next, whether a retraining is due and why, whether scores are refreshed. Not
here: gathering the facts (`automation.watch`), or starting anything (`automation.sensors`, `replay`).

Every decision follows from the lake and the runs so far, never from a memory of its own: whoever asks again after a
crash gets the same answer. A launch's `run_key` names the event and the attempt, and Dagster starts none twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from churn_platform.months import Month

CLOSE = "month_close"
MATURE = "month_mature"
RETRAIN = "retrain"
REFRESH = "refresh"

EVENT_TAG = "churn/event"
ATTEMPT_TAG = "churn/attempt"
CAUSE_TAG = "churn/cause"

ATTEMPTS = 3
"""How often a retraining or a refresh is tried. A closing is tried once: a broken drop stays so until it changes."""


class State(StrEnum):
    """How a run stands. A failed one that Dagster is about to retry is still under way."""

    UNDER_WAY = "under way"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Run:
    """A run so far: the event that it was started for, empty where a person started it, and its fault if it failed."""

    run_id: str
    event: str
    state: State
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
    """Start nothing now; `why` is for the person who wonders."""

    why: str


Decision = Launch | Wait
History = Callable[[Month], Sequence[Run]]
"""A month's runs of the jobs that a decision is about, newest first."""


def _event(month: Month, *content: object) -> str:
    """Names a month and what it is about: another content, another event."""
    return f"{month} {hashlib.sha256(repr(content).encode()).hexdigest()[:16]}"


def _launch(job: str, month: Month, event: str, why: str, runs: Sequence[Run], most: int = ATTEMPTS) -> Decision:
    """Start the job, unless a run is under way, or the newest `most` runs were for this very event and failed.

    A run for this event that succeeded, and has still not made the difference that it should, is not repeated either.
    """
    if runs and runs[0].state == State.UNDER_WAY:
        return Wait(f"{job} of {month} is under way")
    newest = runs[:most]
    if newest and all(run.event == event for run in newest):
        if newest[0].state == State.SUCCEEDED:
            return Wait(f"{job} of {month} has run for this already and settled nothing: run it by hand")
        if len(newest) == most and all(run.state == State.FAILED for run in newest):
            times = "" if most == 1 else f" {most} times"
            return Wait(f"{month} stopped, {job} failed{times}: {newest[0].fault}")
    return Launch(job, month, event, sum(run.event == event for run in runs) + 1, why)


# Closing and maturing


@dataclass(frozen=True)
class MonthFacts:
    """A month as delivered and as it is in the lake.

    `unready` says why its drop cannot be taken in now. `state` and `labels` are what the drop holds, `landed` and
    `landed_labels` what was landed: content hashes, see `intake`. `basis` names what it is built upon, the snapshots of
    the month before. `stale`: some table of it was built from what has changed since.
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

    @property
    def to_close(self) -> bool:
        """Whether the month has to be closed, for the first time or again."""
        return not self.closed or self.stale or (self.unready is None and self.state != self.landed)

    @property
    def to_mature(self) -> bool:
        """Whether only its labels have to be landed."""
        return not self.to_close and self.unready is None and self.labels not in (None, self.landed_labels)

    @property
    def why(self) -> str:
        """What has happened to the month, in words."""
        if self.to_mature:
            return f"labels of {self.month} {'have arrived' if self.landed_labels is None else 'were corrected'}"
        if not self.closed:
            return f"{self.month} was delivered"
        return f"the drop of {self.month} was corrected" if self.state != self.landed else f"{self.month} is stale"


def next_closing(months: Sequence[MonthFacts], first: Month, today: Month, history: History) -> Decision:
    """The next month to close or to mature, the oldest first. Ask only while none is being closed or matured.

    `months` are the delivered ones, `today` the month that is not over. A month waits until the one before it is
    closed; one that stopped holds later ones up only if there is no sound state of it to go on from.
    """
    notes: list[str] = []
    sound = first - 1  # the newest month that the next one can be built upon
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


def _closing(facts: MonthFacts, sound: Month, today: Month, history: History) -> Decision:
    month = facts.month
    if facts.unready:
        return Wait(facts.unready)
    if month >= today:
        return Wait(f"{month} ends on {month.as_of}: it can be closed after that day")
    if facts.to_close and month - 1 != sound:
        return Wait(f"{month} waits for {month - 1} to be closed")
    event = _event(month, facts.state, facts.labels, facts.basis)
    return _launch(MATURE if facts.to_mature else CLOSE, month, event, facts.why, history(month), most=1)


# Retraining


@dataclass(frozen=True)
class Champion:
    """The version that serves, the newest month that it was trained on, and the AUC that it promised."""

    version: int
    month: Month
    auc: float


@dataclass(frozen=True)
class DriftFacts:
    """A month against the champion's reference: `drifted` of `columns` feature columns.

    `target` says in words how the share of churned customers changed, None where it did not or is not known.
    """

    month: Month
    drifted: frozenset[str]
    columns: int
    target: str | None


@dataclass(frozen=True)
class Realised:
    """How well the scores that `version` gave to a month turned out."""

    month: Month
    version: int
    auc: float


@dataclass(frozen=True)
class ModelFacts:
    """What a retraining is decided from.

    `matured` is the newest month that can be trained for, `content` the hashes of its rows. `drifts` are the closed
    months' since the champion's, oldest first; `realised` is the newest matured month's. `trained` are the months that
    a candidate was compared for.
    """

    champion: Champion | None
    matured: Month | None
    content: str
    drifts: tuple[DriftFacts, ...]
    realised: Realised | None
    trained: frozenset[Month]


@dataclass(frozen=True)
class Limits:
    """The settings that decide on causes, see `Settings`: shares, AUC, months."""

    drift_share: float
    realised_margin: float
    cooldown: int


def cause(facts: ModelFacts, limits: Limits) -> str | None:
    """Why a retraining is due, in one line; None where nothing calls for one.

    Drift that a candidate has been trained on and lost is answered: only what drifts beyond that is a new cause, or a
    lasting change that no training can use would start one every month.
    """
    champion = facts.champion
    if champion is None:
        return "no champion yet"
    since = [drift for drift in facts.drifts if drift.month > champion.month]
    if since:
        newest, trained = since[-1], max(facts.trained, default=champion.month)
        answered = [drift for drift in since if drift.month <= trained]
        new = newest.drifted.difference(*(drift.drifted for drift in answered))
        share = len(new) / max(newest.columns, 1)
        if new and share >= limits.drift_share:
            beyond = "" if new == newest.drifted else f" beyond the {len(newest.drifted - new)} columns seen before"
            return f"drift_share={share:.2f} >= {limits.drift_share:g} month={newest.month}{beyond}"
        with_target = [drift for drift in since if drift.target]
        if with_target and not any(drift.target for drift in answered):
            return f"target_drift {with_target[-1].target} month={with_target[-1].month}"
    realised = facts.realised
    if realised and realised.version == champion.version and realised.auc < champion.auc - limits.realised_margin:
        return (
            f"realised_auc={realised.auc:.4f} < {champion.auc:.4f} - {limits.realised_margin:g} month={realised.month}"
        )
    return None


def next_retraining(facts: ModelFacts, limits: Limits, history: History) -> Decision:
    """Retrain on the newest matured month if something calls for it, once. Ask only while nothing is being trained.

    A month is trained for once: the same rows would give the same candidate. With the cooldown, later months wait too.
    """
    month = facts.matured
    event = _event(month, facts.content) if month else ""
    runs = history(month) if month else ()
    if runs and (runs[0].event, runs[0].state) == (event, State.FAILED):
        facts = replace(facts, trained=facts.trained - {month})  # it may have come as far as the comparison
    found, champion = cause(facts, limits), facts.champion
    if found is None:
        return Wait("nothing calls for a retraining")
    if month is None:
        return Wait(f"{found}, but no month has labels yet")
    if champion and month <= champion.month:
        return Wait(f"{found}, but no month after {champion.month}, the champion's, has labels yet")
    last = max(facts.trained, default=None)
    if champion and last and month.since(last) < limits.cooldown:
        return Wait(f"{found}, but {last} was trained for: the next can be {last + limits.cooldown}")
    return _launch(RETRAIN, month, event, f"RETRAINING_TRIGGERED {found}", runs)


# Refreshing


def next_refresh(month: Month | None, champion: int | None, stale: bool, history: History) -> Decision:
    """Score the newest closed month again where its scores are not the champion's."""
    if month is None or champion is None or not stale:
        return Wait("the scores of the newest month are the champion's" if champion else "there is no champion yet")
    why = f"scores of {month} are not version {champion}'s"
    return _launch(REFRESH, month, _event(month, champion), why, history(month))
