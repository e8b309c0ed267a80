"""Refreshing: whether to deliver the newest month again, because its scores are not the champion's.

Here: the decision, as a pure function. Not here: gathering the facts (`watch`), or starting anything (`sensors`,
`replay`).
"""

from __future__ import annotations

from churn_platform.automation.triggers import REFRESH, Action, History, Wait, event_of, launch
from churn_platform.months import Month


def next_refresh(month: Month | None, champion: int | None, stale: bool, history: History) -> Action:
    """Score the newest closed month again where its scores are not the champion's."""
    if month is None or champion is None or not stale:
        return Wait("the scores of the newest month are the champion's" if champion else "there is no champion yet")
    why = f"scores of {month} are not version {champion}'s"
    return launch(REFRESH, month, event_of(month, champion), why, history(month))
