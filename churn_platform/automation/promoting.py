"""Promoting: which evaluation is settled next.

Here: the decision, as a pure function. Not here: gathering the facts (`watch`), the gate that a promotion asks again
(`modelling.gate`), or starting anything (`sensors`, `replay`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from churn_platform.automation.triggers import PROMOTE, Action, History, Launch, Wait, event_of, launch
from churn_platform.months import Month


@dataclass(frozen=True)
class WonFacts:
    """An evaluation that says promote and that no receipt settles: its month, candidate and SHA-256.

    `failed` are its blocking checks that Dagster shows as failed all the same, as when a person reports one.
    """

    month: Month
    version: int
    digest: str
    failed: tuple[str, ...] = ()


def next_promotion(won: Sequence[WonFacts], history: History) -> Action:
    """Settle the newest month's evaluation that was won. Ask only while none is being settled.

    An older one waits for it: promoted first, it would void the comparison of the newer one. Only a newer one that is
    blocked or has stopped for good holds nobody up.
    """
    notes: list[str] = []
    for facts in sorted(won, key=lambda facts: facts.month, reverse=True):
        why = f"version {facts.version} won the evaluation of {facts.month}"
        if facts.failed:
            notes.append(f"{why}, but a check blocks its promotion: {', '.join(facts.failed)}")
            continue
        runs, event = history(facts.month), event_of(facts.month, facts.digest)
        answer = launch(PROMOTE, facts.month, event, why, runs)
        if isinstance(answer, Launch):
            return answer
        notes.append(answer.why)
        if not (runs and runs[0].event == event and runs[0].lasting):
            break
    return Wait("; ".join(notes) or "every evaluation that was won is settled")
