"""Refreshing: delivering the newest month again where that is called for, and measuring a new champion.

Here: the decisions, as pure functions. Not here: gathering the facts (`watch`), or starting anything (`sensors`,
`replay`).
"""

from __future__ import annotations

from collections.abc import Mapping

from churn_platform.automation.triggers import MEASURE, REFRESH, Action, History, Launch, Wait, event_of, launch
from churn_platform.months import Month

PUBLISHED_SECONDS = 300.0
"""How long after a publication its store is not published again: one that is empty after that has been lost anew."""


def next_refresh(
    month: Month | None, champion: int | None, stale: bool, unpublished: str | None, history: History
) -> Action:
    """Deliver the newest closed month again where its scores are not the champion's, or serving cannot look it up.

    `unpublished` says what the online store has in its place, in words, and is None where it holds the month.
    """
    if month is not None and unpublished:
        why = f"serving cannot look up {month}: {unpublished}"
        return launch(REFRESH, month, event_of(month, champion, unpublished), why, history(month), PUBLISHED_SECONDS)
    if month is None or champion is None or not stale:
        return Wait("the scores of the newest month are the champion's" if champion else "there is no champion yet")
    why = f"scores of {month} are not version {champion}'s"
    return launch(REFRESH, month, event_of(month, champion), why, history(month))


def next_measure(unmeasured: Mapping[Month, str], champion: int, history: History) -> Action:
    """Measure the champion on the newest month where it has not been, by the month's content (features and labels)."""
    notes: list[str] = []
    for month in sorted(unmeasured, reverse=True):
        why = f"version {champion} has not been measured on {month}"
        answer = launch(MEASURE, month, event_of(month, champion, unmeasured[month]), why, history(month))
        if isinstance(answer, Launch):
            return answer
        notes.append(answer.why)
    return Wait("; ".join(notes) or "the champion is measured on every month where it can be")
