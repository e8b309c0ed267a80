"""The gate: may a candidate become the champion? The one place that decides, for the checks and for the promotion.

Here: the delta rule, the gates that a candidate has to pass, and the decision that follows. Not here: the questions
beside the delta rule (`cautions`), measuring the facts (`evaluation`), or moving the champion (`champion.promotion`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec

from churn_platform.bundle import TOLERANCE
from churn_platform.modelling import cautions, leaks
from churn_platform.modelling.cautions import Finding, in_words
from churn_platform.modelling.facts import Facts
from churn_platform.months import Month
from churn_platform.shown import counted


def should_promote(new_auc: float, prod_auc: float | None, delta: float = 0.01) -> bool:
    """The delta rule: whether a candidate's AUC exceeds the champion's by more than `delta`, on the same customers.

    Without a champion (None or NaN), any candidate passes. One whose AUC is unknown (NaN) never does.
    """
    if math.isnan(new_auc):
        return False
    if prod_auc is None or math.isnan(prod_auc):
        return True
    return new_auc > prod_auc + delta


class GateAnswer(msgspec.Struct, frozen=True):
    """What one gate answered. Only `blocking` gates stop a promotion; others warn."""

    name: str
    passed: bool
    blocking: bool
    explanation: str

    @property
    def outcome(self) -> str:
        """What came of it, in a word."""
        return "passed" if self.passed else "failed" if self.blocking else "warned"


@dataclass(frozen=True)
class Gate:
    """A question about a candidate. Only a `blocking` gate stops a promotion, unless it is set to warn only.

    `ask` answers from the facts alone, so that the promotion gets the same answer from a stored evaluation.
    """

    name: str
    question: str
    blocking: bool
    ask: Callable[[Facts], Finding]

    def answer(self, facts: Facts) -> GateAnswer:
        """Ask, and record the answer."""
        passed, explanation = self.ask(facts)
        return GateAnswer(self.name, passed, self.blocks(facts.warn_only), explanation)

    def blocks(self, warn_only: Collection[str]) -> bool:
        """Whether it stops a promotion where these gates are set to warn only."""
        return self.blocking and self.name not in warn_only


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
        explanation = f"{comparison}: {verdict}{in_words(facts.interval)}"
    return passed, explanation


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
        "Does the 95 % interval of the difference between the two AUCs lie above zero?",
        False,
        cautions.interval_above_zero,
    ),
    Gate(
        "looks",
        "Is the win larger than luck, with so many candidates compared on the month and so many customers?",
        True,
        cautions.looks,
    ),
    Gate(
        "implausible_jump",
        "Does the candidate rank no better than is plausible after the company's earlier months?",
        True,
        leaks.implausible_jump,
    ),
    Gate(
        "lone_feature",
        "Does no feature alone tell more than it did in earlier months, without customers having changed?",
        True,
        leaks.lone_feature,
    ),
    Gate(
        "telling_gaps",
        "Is no feature known, or unknown, mostly for customers who left?",
        True,
        leaks.telling_gaps,
    ),
    Gate(
        "calibration",
        "Are the candidate's probabilities about as true as the champion's?",
        True,
        cautions.calibration,
    ),
    Gate(
        "worst_segment",
        "Does the candidate rank the customers of every group about as well as the champion?",
        True,
        cautions.worst_segment,
    ),
    Gate(
        "segments",
        "Does the candidate rank the customers of every group about as well as all customers?",
        False,
        cautions.segments,
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
