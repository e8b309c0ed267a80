"""Cautions: whether a win can be trusted, asked beside the delta rule.

Here: each question's answer from the facts, in a sentence. Not here: which of them block, or the decision (`gate`).
"""

from __future__ import annotations

from statistics import NormalDist

from churn_platform.modelling.facts import Facts
from churn_platform.shown import counted

SEGMENT_MARGIN = 0.1
"""How far a group's AUC may lie below everyone's before it is worth a warning."""

MIN_PER_CLASS = 30
"""How many customers of each class a group needs for its AUC to be compared: with fewer, its standard error is
more than half the margin, at an AUC of 0.8 (Hanley and McNeil, Radiology 143, 1982)."""

WORST_MARGIN = 0.05
"""How far a group's AUC may lie below the champion's in the same group."""

BRIER_MARGIN = 0.01
"""How much worse a candidate's Brier score may be than the champion's."""

LUCK = 0.05
"""How likely the best of a month's candidates wins by luck alone, at most."""

_INTERVAL = 2 * NormalDist().inv_cdf(0.975)  # standard errors across a 95 % interval

Finding = tuple[bool, str]
"""Whether a candidate passes a gate, and why in one sentence: people read it in the UI and in the receipt."""


def in_words(interval: tuple[float, float] | None) -> str:
    """An interval for the end of a sentence; nothing where there is none."""
    return "" if interval is None else f" (95 % interval {' to '.join(ends(interval))})"


def ends(interval: tuple[float, float]) -> tuple[str, str]:
    """An interval's ends, with four digits like an AUC, or as many as show on which side of zero each of them is."""
    digits = next((n for n in range(4, 8) if all(round(end, n) or not end for end in interval)), 8)
    low, high = (f"{round(end, digits) + 0.0:.{digits}f}" for end in interval)  # + 0.0: no minus before zeros
    return low, high


def interval_above_zero(facts: Facts) -> Finding:
    """Whether the interval of the difference lies above zero."""
    if facts.interval is None:
        return True, "there is no champion to compare with"
    (low, high), (least, most) = facts.interval, ends(facts.interval)
    where = "above zero" if low > 0 else "below zero" if high < 0 else "around zero, so it may be chance"
    return low > 0, f"the AUC difference lies between {least} and {most} (95 %): {where}"


def looks(facts: Facts) -> Finding:
    """Whether a win exceeds what the best of so many candidates would reach by luck, on so many customers.

    One candidate that is no better exceeds z(1 - LUCK) standard errors of the difference once in 1 / LUCK months. Of k
    candidates each gets an equal part of that (Bonferroni): z(1 - LUCK / k). The interval gives the standard error.
    """
    if facts.champion is None or facts.interval is None:
        return True, "there is no champion to compare with"
    gain = facts.candidate.metrics["auc"] - facts.champion.metrics["auc"]
    count = max(facts.looks, 1)
    error = (facts.interval[1] - facts.interval[0]) / _INTERVAL
    needed = NormalDist().inv_cdf(1 - LUCK / count) * error
    looked = f"{counted(count, 'candidate')} compared on {facts.month}, {counted(facts.rows, 'customer')}"
    if not gain > facts.delta:  # also where either is unknown
        return True, f"{looked}: there is no win to doubt"
    if needed <= facts.delta:
        return True, f"{looked}: luck alone stays below {needed:.4f} (95 %), and delta asks for more"
    passed = gain > needed
    bound = f"luck alone stays below {needed:.4f} (95 %)"
    return passed, f"{looked}: {bound}, and the win, {gain:.4f}, is {'' if passed else 'not '}above that"


def calibration(facts: Facts) -> Finding:
    """Whether the candidate's probabilities are about as true as the champion's."""
    new, old = (who.metrics.get("brier") if who else None for who in (facts.candidate, facts.champion))
    if new is None or old is None:
        return True, "there is no champion to compare with"
    passed = new <= old + BRIER_MARGIN
    return passed, (
        f"its Brier score is {new:.4f}, the champion's {old:.4f}: "
        f"{'within' if passed else 'worse by more than'} {BRIER_MARGIN:g}"
    )


def worst_segment(facts: Facts) -> Finding:
    """Whether any group of customers is surely ranked worse than by the champion, and by more than WORST_MARGIN."""
    both = [
        (s.auc - s.champion_auc, s.change, s)
        for s in facts.segments
        if s.auc is not None and s.champion_auc is not None and s.change is not None
    ]
    if not both:
        return True, "no group of customers to compare with the champion"
    sure = [found for found in both if found[1][1] < 0] or both
    change, (low, high), segment = min(sure, key=lambda found: found[0])
    passed = change >= -WORST_MARGIN or high >= 0
    words = f"within {WORST_MARGIN:g}" if change >= -WORST_MARGIN else "it may be chance"
    return passed, (
        f"{segment.column} {segment.value} has AUC {segment.auc:.4f}, {segment.champion_auc:.4f} by the champion, a "
        f"difference of {low:.4f} to {high:.4f}: {words if passed else f'worse by more than {WORST_MARGIN:g}'}"
    )


def segments(facts: Facts) -> Finding:
    """Whether the candidate ranks every group about as well as everyone."""
    overall = facts.candidate.metrics["auc"]
    measured = [(segment.auc, segment) for segment in facts.segments if segment.auc is not None]
    left_out = [f"{segment.column} {segment.value}" for segment in facts.segments if segment.auc is None]
    note = f"; too few customers of a class to tell: {', '.join(left_out)}" if left_out else ""
    if not measured:
        return True, f"no group of customers to compare{note}"
    worst, segment = min(measured, key=lambda pair: pair[0])
    passed = worst >= overall - SEGMENT_MARGIN
    return passed, (
        f"the worst group is {segment.column} {segment.value} with AUC {worst:.4f}, {overall:.4f} over all: "
        f"{'within' if passed else 'more than'} {SEGMENT_MARGIN:g}{'' if passed else ' below'}{note}"
    )
