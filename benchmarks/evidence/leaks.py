"""Leaks: a study of whether candidates are stopped that learned from a column which carries the label.

Here: asking the gates in quiet months, and with canaries planted in the last one. Not here: the canaries
(`modelling.canaries`), or the gates (`modelling.leaks`).
"""

from __future__ import annotations

from benchmarks.evidence.changes import Answers
from benchmarks.evidence.versions import SETTINGS, Asked, appointed
from benchmarks.evidence.worlds import QUIET
from churn_platform.champion.audit import Audit
from churn_platform.modelling import leaks
from churn_platform.modelling.evaluation import Evaluation


def study(asked: Asked) -> Answers:
    """Whether each quiet month is stopped by a leak gate, and whether each canary's candidate is in the last one.

    A candidate is compared each month. The first month is not counted: there is none before it to compare it with.
    """
    versions, champion, stopped = asked.year, None, []
    month = versions.course.month(QUIET - 1)
    with versions.course.apart() as lake:
        for number in range(QUIET):
            serving, candidate = champion, versions.version(number)
            evaluation = versions.compared(lake, number, serving, candidate)
            stopped.append(_stopped(evaluation))
            champion = candidate if evaluation.promote else serving
        audit = Audit(lake, month, SETTINGS, serving.scores if serving else None, appointed)
        found = {f"{a.canary.name} leak stopped": bool(a.held) for a in audit.with_canaries() if a.canary}
    return {"quiet month stopped as leaking": stopped[1:], **found}


def _stopped(evaluation: Evaluation) -> bool:
    return any(gate.name in leaks.GATES and not gate.passed for gate in evaluation.gates)
