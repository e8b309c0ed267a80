"""The gate: may a candidate become the champion? The one place that decides, for the checks and for the promotion.

Here: the delta rule, the gates that a candidate has to pass, what they say, and the decision that follows. Not here:
measuring the facts (`evaluation`), or moving the champion (`champion.promotion`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from churn_platform.bundle import TOLERANCE
from churn_platform.months import Month
from churn_platform.shown import counted

SEGMENT_MARGIN = 0.1
"""How far a group's AUC may lie below everyone's before it is worth a warning."""

MIN_PER_CLASS = 30
"""How many customers of each class a group needs for its AUC to be compared: with fewer, its standard error is
more than half the margin, at an AUC of 0.8 (Hanley and McNeil, Radiology 143, 1982)."""


def should_promote(new_auc: float, prod_auc: float | None, delta: float = 0.01) -> bool:
    """The delta rule: whether a candidate's AUC exceeds the champion's by more than `delta`, on the same customers.

    Without a champion (None or NaN), any candidate passes. One whose AUC is unknown (NaN) never does.
    """
    if math.isnan(new_auc):
        return False
    if prod_auc is None or math.isnan(prod_auc):
        return True
    return new_auc > prod_auc + delta


class Contender(msgspec.Struct, frozen=True):
    """A version as the comparison saw it: the month that it was trained for, and its `metrics.measure`."""

    version: int
    month: str
    metrics: dict[str, float]


class Segment(msgspec.Struct, frozen=True):
    """The candidate's AUC within one group of customers; None where the group has too few of a class."""

    column: str
    value: str
    rows: int
    positives: int
    auc: float | None


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the gates go by, measured on the holdout customers of `month`.

    `interval` is the paired bootstrap's 95 % interval of the AUC difference, candidate minus champion; `parity` the
    largest difference between the candidate's ONNX and scikit-learn probabilities; `positives` counts churned rows.
    A fact that is added later needs a default: the evaluations in earlier receipts lack it. Defaults are not written,
    so that the hashes of those evaluations still match.
    """

    month: str
    candidate: Contender
    champion: Contender | None
    delta: float
    interval: tuple[float, float] | None
    parity: float
    segments: tuple[Segment, ...]
    rows: int
    positives: int


class GateAnswer(msgspec.Struct, frozen=True):
    """What one gate answered. Only `blocking` gates stop a promotion; others warn."""

    name: str
    passed: bool
    blocking: bool
    explanation: str


Finding = tuple[bool, str]
"""Whether a candidate passes a gate, and why in one sentence: people read it in the UI and in the receipt."""


@dataclass(frozen=True)
class Gate:
    """A question about a candidate. Only a `blocking` gate stops a promotion; the others warn.

    `ask` answers from the facts alone, so that the promotion gets the same answer from a stored evaluation.
    """

    name: str
    question: str
    blocking: bool
    ask: Callable[[Facts], Finding]

    def answer(self, facts: Facts) -> GateAnswer:
        """Ask, and record the answer."""
        passed, explanation = self.ask(facts)
        return GateAnswer(self.name, passed, self.blocking, explanation)


def _delta_rule(facts: Facts) -> Finding:
    new, champion = facts.candidate.metrics["auc"], facts.champion
    prod = champion.metrics["auc"] if champion else None
    passed = should_promote(new, prod, facts.delta)
    candidate = f"version {facts.candidate.version}"
    if math.isnan(new):
        explanation = f"the AUC of {candidate} is unknown, so it cannot win"
    elif champion is None or prod is None or math.isnan(prod):
        explanation = f"its AUC is {new:.4f}, and there is no champion to beat"
    else:
        # Four digits may not show which side of the bar a close AUC is on.
        digits = 4 if abs(new - prod - facts.delta) > 1e-4 else 8
        comparison = f"{new:.{digits}f} {'>' if passed else '<='} {prod:.{digits}f} + {facts.delta:g}"
        verdict = f"{candidate} wins by {new - prod:.{digits}f}" if passed else f"version {champion.version} stays"
        explanation = f"{comparison}: {verdict}{_in_words(facts.interval)}"
    return passed, explanation


def _in_words(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" (95 % interval {' to '.join(_ends(interval))})"


def _ends(interval: tuple[float, float]) -> tuple[str, str]:
    """An interval's ends, with four digits like an AUC, or as many as show on which side of zero each of them is."""
    digits = next((n for n in range(4, 8) if all(round(end, n) or not end for end in interval)), 8)
    low, high = (f"{round(end, digits) + 0.0:.{digits}f}" for end in interval)  # + 0.0: no minus before zeros
    return low, high


def _onnx_parity(facts: Facts) -> Finding:
    passed = facts.parity <= TOLERANCE  # also False for NaN
    return passed, (
        f"the ONNX model differs from scikit-learn's by at most {facts.parity:.1e} on "
        f"{counted(facts.rows, 'customer')}, {'within' if passed else 'but allowed is'} {TOLERANCE:.0e}"
    )


def _month_order(facts: Facts) -> Finding:
    candidate, champion = facts.candidate, facts.champion
    if champion is None:
        return True, f"trained for {candidate.month}; there is no champion to be older than"
    passed = Month.parse(candidate.month) >= Month.parse(champion.month)
    return passed, (
        f"trained for {candidate.month}, {'not ' if passed else ''}older than "
        f"version {champion.version}'s {champion.month}"
    )


def _interval_above_zero(facts: Facts) -> Finding:
    if facts.interval is None:
        return True, "there is no champion to compare with"
    (low, high), (least, most) = facts.interval, _ends(facts.interval)
    where = "above zero" if low > 0 else "below zero" if high < 0 else "around zero, so it may be chance"
    return low > 0, f"the AUC difference lies between {least} and {most} (95 %): {where}"


def _segments(facts: Facts) -> Finding:
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


GATES = (
    Gate(
        "delta_rule",
        "Does the candidate's AUC exceed the champion's by more than delta, on the same customers?",
        True,
        _delta_rule,
    ),
    Gate(
        "onnx_parity",
        "Does the ONNX model that will serve return the same probabilities as the scikit-learn model?",
        True,
        _onnx_parity,
    ),
    Gate(
        "month_order",
        "Was the candidate trained for a month that is not older than the champion's?",
        True,
        _month_order,
    ),
    Gate(
        "interval_above_zero",
        "Is the difference between the two AUCs more than chance?",
        False,
        _interval_above_zero,
    ),
    Gate(
        "segments",
        "Does the candidate rank the customers of every group about as well as all customers?",
        False,
        _segments,
    ),
)
"""All gates, in the order in which people see them. The delta rule is first: its sentence says why one is promoted."""


def answers(facts: Facts) -> tuple[GateAnswer, ...]:
    """Every gate's answer to these facts, in the order of GATES."""
    return tuple(gate.answer(facts) for gate in GATES)


class Decision(msgspec.Struct, frozen=True):
    """Whether to promote, why in one sentence, and the gates that it follows from."""

    promote: bool
    decision: str
    gates: tuple[GateAnswer, ...]


def decide(facts: Facts, serving: int | None) -> Decision:
    """Ask the gate, given that version `serving` is the champion now (None: there is none).

    The check on an evaluation and the promotion both ask here, the promotion with whoever is champion by then: a
    comparison with another version says nothing about that one, so it promotes nobody.
    """
    gates = answers(facts)
    compared = facts.champion.version if facts.champion else None
    candidate = f"version {facts.candidate.version}"
    if serving == facts.candidate.version:
        return Decision(False, f"{candidate} serves already: nothing to promote", gates)
    if serving != compared:
        against = f"against {_version(compared)}" if compared is not None else "without a champion"
        return Decision(False, f"evaluated {against}, but {_version(serving)} serves now: evaluate again", gates)
    if failed := [gate for gate in gates if gate.blocking and not gate.passed]:
        return Decision(False, f"{candidate} is not promoted: {'; '.join(g.explanation for g in failed)}", gates)
    return Decision(True, f"{candidate} is promoted: {gates[0].explanation}", gates)


def _version(number: int | None) -> str:
    return "no version" if number is None else f"version {number}"
