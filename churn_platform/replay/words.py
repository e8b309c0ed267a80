"""Words: what a replay or a backtest says of its months, for people.

Here: why versions were trained, why a figure is missing, and whether there are enough months to judge by. Not here:
columns on a terminal (`screen`), or HTML (`backtesting_page`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from churn_platform.replay.worth import BacktestedMonth, Comparison
from churn_platform.shown import counted

ENOUGH = 3
"""From how many months on their means say something."""

_CAUSES = (
    (r"no champion yet", "first training"),
    (
        r"drift_share=(?P<share>\S+) >= (?P<limit>\S+) month=(?P<month>\S+)(?P<beyond>.*)",
        "trained again: the share of features that drifted in {month}{beyond} was {share}, and {limit} is enough",
    ),
    (
        r"target_drift (?P<before>\S+) -> (?P<now>\S+) month=(?P<month>\S+)",
        "trained again: the share of customers who left went from {before} to {now} in {month}",
    ),
    (
        r"realised_auc=(?P<auc>\S+) < (?P<promised>\S+) - \S+ month=(?P<month>\S+)",
        "trained again: the AUC was {auc} in {month}, and {promised} was promised",
    ),
)
"""How `automation.retraining` says a cause on one line, for logs, and how people would."""


def cause(told: str) -> str:
    """Why a version was trained; a cause of another kind as it is."""
    plain = told.removeprefix("RETRAINING_TRIGGERED ")
    for pattern, words in _CAUSES:
        if found := re.fullmatch(pattern, plain):
            return words.format(**found.groupdict())
    return plain


def happened(causes: Sequence[str], faults: Sequence[str]) -> str:
    """Why versions were trained in a month, and what has failed."""
    return "; ".join((*map(cause, causes), *faults))


def missing(month: BacktestedMonth) -> str:
    """Why a month has no figure, in a word or two: its labels are to come, or nobody served, or all or none left."""
    return "not yet" if not month.customers else "none"


def few(found: Comparison) -> str | None:
    """A sentence where too few months can be compared; None where there are enough."""
    if found.compared >= ENOUGH:
        return None
    return (
        f"{counted(found.compared, 'month')} can be compared: too few to say which way is better. A month counts once "
        "its labels are known and a version that had learned from earlier months served it."
    )
