"""Leaks: a study of whether candidates are stopped that learned from a column which carries the label.

Here: asking the gates in quiet months, and with canaries planted in the last one. Not here: the canaries
(`modelling.canaries`), or the gates (`modelling.leaks`).
"""

from __future__ import annotations

from benchmarks.evidence.studies import SETTINGS, Answers, appointed, compared, trained
from benchmarks.evidence.worlds import months_of, world
from churn_platform.champion.audit import Audit
from churn_platform.modelling import leaks
from churn_platform.modelling.evaluation import Evaluation

MONTHS = 5


def study(customers: int, seed: int) -> Answers:
    """Whether each quiet month is stopped by a leak gate, and whether each canary's candidate is in the last one."""
    quiet, found = [], {}
    with world(customers, seed, MONTHS) as lake:
        champion = None
        for number, month in enumerate(months_of(lake), start=1):
            candidate = trained(lake, month, number)
            serving, evaluation = champion, compared(lake, month, champion, candidate)
            quiet.append(_stopped(evaluation))
            champion = candidate if evaluation.promote else champion
        audit = Audit(lake, month, SETTINGS, serving.scores if serving else None, appointed)
        for audited in audit.tried():
            if audited.canary:
                found[f"{audited.canary.name} leak stopped"] = bool(audited.held)
    return {"quiet month stopped as leaking": quiet, **found}


def _stopped(evaluation: Evaluation) -> bool:
    return any(gate.name in leaks.GATES and not gate.passed for gate in evaluation.gates)
