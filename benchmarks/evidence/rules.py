"""Rules: what holding versions back costs, and what letting every one through does, over a company's months.

Here: a candidate each month, and whom each rule would have let serve. Not here: the rule (`modelling.gate`), or what
the platform does by itself (`platform`).

A month's labels are known when the next month's drop comes, so a month is scored by versions that learned from the
months before it. Regret is the AUC of the true hazard minus that of whoever serves, on the month's holdout customers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from benchmarks.evidence.changes import Answers
from benchmarks.evidence.versions import Asked, Versions
from churn_platform.modelling.gate import should_promote
from churn_platform.modelling.metrics import auc

RULES = {"delta 0.01": 0.01, "delta 0.005": 0.005, "delta 0": 0.0, "no gate": -math.inf, "never again": math.inf}
"""By how much a candidate has to exceed the champion on the newest month with labels."""

USUAL, HINDSIGHT = "delta 0.01", "hindsight"


def study(asked: Asked) -> Answers:
    """Each rule's mean regret and its promotions, with a candidate each month, and those of perfect hindsight.

    Whoever is the first to serve is not counted as promoted.
    """
    versions, months = asked.year, asked.world.months
    best = best_aucs(versions, months)
    serving = {name: served(versions, months, delta) for name, delta in RULES.items()}
    serving[HINDSIGHT] = _best_served(versions, months)
    regrets = {name: regret(versions, best, numbers) for name, numbers in serving.items()}
    found: Answers = {f"regret, {name}": lost for name, lost in regrets.items()}
    found |= {f"regret beyond that of {USUAL}, {name}": lost - regrets[USUAL] for name, lost in regrets.items()}
    return found | {f"promotions, {name}": float(promotions(numbers)) for name, numbers in serving.items()}


def regret(versions: Versions, best: Sequence[float], numbers: Sequence[int]) -> float:
    """The mean over the months from the second on, each of which the version of this number serves."""
    return fmean(best[month] - versions.auc(version, month) for month, version in enumerate(numbers, start=1))


def promotions(numbers: Sequence[int]) -> int:
    """How often another version came to serve."""
    return sum(before != now for before, now in pairwise(numbers))


def best_aucs(versions: Versions, months: int) -> list[float]:
    """The true hazard's AUC on each month's holdout customers, which a version exceeds only by luck."""
    course = versions.course
    return [auc(course.hazard(n, course.holdout(n)), course.labels(n)) or 0.0 for n in range(months)]


def served(versions: Versions, months: int, delta: float) -> Sequence[int]:
    """The version that serves each month from the second on, by this rule."""
    champion, numbers = 0, [0]
    for month in range(2, months):
        candidate = known = month - 1
        if should_promote(versions.auc(candidate, known), versions.auc(champion, known), delta):
            champion = candidate
        numbers.append(champion)
    return numbers


def _best_served(versions: Versions, months: int) -> Sequence[int]:
    """The version that ranks each month best of those that there were; the newest where several do."""
    return [max(range(month), key=lambda n: (versions.auc(n, month), n)) for month in range(1, months)]
