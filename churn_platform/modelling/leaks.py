"""Leaks: whether a candidate knows what nobody could know on the day that it scores.

Here: the gates' answers from the facts, in a sentence. Not here: how well features tell by themselves (`alone`), or
gathering these facts (`tripwires`).

A column that carries the label makes a candidate shine on every holdout, since the holdout's column carries it too. It
shows in three ways: the candidate ranks better than any version did before; one feature alone tells more than it ever
did; or a column is filled, or empty, mostly for those who left. A real change in who leaves makes a feature tell more
as well, but then others tell less than they did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from churn_platform.modelling.cautions import Finding
from churn_platform.modelling.facts import Contender, Facts, Lone, Marked
from churn_platform.modelling.metrics import approximate_auc_error
from churn_platform.shown import as_text, counted

LUCK = 1 / 240
"""How likely each of these gates stops a month in which nothing leaks, at most: all together one month in eighty."""

JUMP = 0.03
"""How far above every version before a candidate may always rank: more data and better features do that."""

ALONE = 0.9
"""The AUC that one feature alone does not reach where no earlier month tells what is usual."""

MOST_NAMED = 3

GATES = ("implausible_jump", "lone_feature", "telling_gaps")
"""The names of the gates that look for leaks."""


def implausible_jump(facts: Facts) -> Finding:
    """Whether the candidate ranks much better than any version did in earlier months, and surely so."""
    if not facts.earlier:
        return True, "no earlier month to compare with"
    best = max(facts.earlier, key=lambda month: month.auc)
    new = facts.candidate.metrics["auc"]
    allowed = max(JUMP, _z(LUCK) * math.hypot(_error(facts.candidate, facts), best.error))
    passed = not new - best.auc > allowed
    said = f"its AUC is {new:.4f}, the best of {counted(len(facts.earlier), 'earlier month')} was {best.auc:.4f}"
    if passed:
        return True, f"{said} ({best.month}): plausible up to {best.auc + allowed:.4f}"
    suspects = [found.feature for found in facts.watched.lone if _has_risen(found)]
    where = f"look at {_named(suspects)} first" if suspects else "look at what came into the features last"
    return False, f"{said} ({best.month}): more than {allowed:.4f} above it is implausible; {where}"


def lone_feature(facts: Facts) -> Finding:
    """Whether one feature alone tells more than it did before, though nothing else says that customers have changed."""
    if not facts.watched.lone:
        return True, "no feature was measured by itself"
    suspects = [found for found in facts.watched.lone if _has_risen(found)]
    if not suspects:
        return True, f"{_said(facts.watched.lone[0])}: no more than chance allows"
    others = f" ({_named([s.feature for s in suspects[1:]])} too)" if suspects[1:] else ""
    said = f"{_said(suspects[0])}{others}: more than chance allows"
    if any(_tells_most(lone, facts.watched.highest) for lone in suspects):
        said = f"{said}, and more than any feature did"
    elif (faded := facts.watched.faded) and _has_faded(faded):
        told = f"{as_text(faded.feature)} tells less, {faded.auc:.4f} after at least {faded.before:.4f}"
        return True, f"{said}; but {told}: customers have changed"
    return False, f"{said}; {_what_to_do(facts)}"


def telling_gaps(facts: Facts) -> Finding:
    """Whether a feature is known, or unknown, mostly for customers who left, and was not so before."""
    suspects = [found for found in facts.watched.marked if _is_mostly_of_leavers(found)]
    if not suspects:
        return True, "no feature is known, or unknown, mostly for customers who left"
    found, *others = suspects
    state = "known" if found.known else "unknown"
    said = (
        f"{as_text(found.feature)} is {state} for {counted(found.rows, 'customer')}, and {found.churned:,} of them left"
    )
    more = f"; look at {_named([other.feature for other in others])}" if others else ""
    return False, f"{said}{more}; {_what_to_do(facts)}"


def _has_risen(lone: Lone) -> bool:
    """Whether a feature tells more than it did, in one month in 1 / LUCK by chance over all features (Bonferroni)."""
    if lone.before is None:
        return lone.auc >= ALONE
    return lone.auc - lone.before > _z(LUCK / max(lone.of, 1)) * lone.error


def _tells_most(lone: Lone, highest: tuple[float, float] | None) -> bool:
    """Whether a feature surely tells more than any did in earlier months, as no change of customers made one yet."""
    if highest is None:
        return False
    auc, error = highest
    return lone.auc - auc > _z(LUCK / max(lone.of, 1)) * math.hypot(lone.error, error)


def _has_faded(lone: Lone) -> bool:
    """Whether a feature surely tells less than in every earlier month, see `_has_risen`."""
    if lone.before is None:
        return False
    return lone.before - lone.auc > _z(LUCK / max(lone.of, 1)) * lone.error


def _is_mostly_of_leavers(marked: Marked) -> bool:
    """Whether surely more than half of the way from everyone's churn share to all of them left, and not so before."""
    bar = (1 + marked.everyone) / 2
    was_so = _surely_above(marked.churned_before, marked.rows_before, bar, 1)
    return _surely_above(marked.churned, marked.rows, bar, marked.of) and not was_so


def _surely_above(churned: int, rows: int, share: float, of: int) -> bool:
    """Whether so many of so many happen with this share in one month in 1 / LUCK, in any `of` groups (binomial)."""
    from scipy.stats import binom

    return float(binom.sf(churned - 1, rows, share)) < LUCK / max(of, 1)


def error_of(contender: Contender, rows: int, positives: int) -> float:
    """The standard error of a version's AUC: as measured or, where an earlier platform has not, from the counts."""
    known = contender.metrics.get("auc_error")
    return approximate_auc_error(contender.metrics["auc"], positives, rows - positives) if known is None else known


def _error(contender: Contender, facts: Facts) -> float:
    return error_of(contender, facts.rows, facts.positives)


def _z(luck: float) -> float:
    """How many standard errors chance exceeds this rarely."""
    return NormalDist().inv_cdf(1 - luck)


def _said(lone: Lone) -> str:
    said = f"{as_text(lone.feature)} alone has AUC {lone.auc:.4f}"
    if lone.before is None:
        return f"{said}, and there is no earlier month to compare with"
    return f"{said}, after at most {lone.before:.4f} {'of any feature ' if lone.new else ''}in earlier months"


def _named(features: Sequence[str]) -> str:
    named = ", ".join(as_text(feature) for feature in features[:MOST_NAMED])
    return f"{named} and {len(features) - MOST_NAMED} more" if len(features) > MOST_NAMED else named


def _what_to_do(facts: Facts) -> str:
    return (
        f"was it known at the end of {facts.month}? If so: churn promote {facts.candidate.version} --reason ...; if "
        "not, take it out of the declaration's features"
    )
