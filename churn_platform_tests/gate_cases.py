"""Gates: facts of a candidate that wins, and one gate's answer."""

from __future__ import annotations

import msgspec

from churn_platform.modelling.facts import Contender, Facts, Segment
from churn_platform.modelling.gate import GateAnswer, answers


def facts(new: float = 0.8312, old: float | None = 0.8101, **changes: object) -> Facts:
    """What is measured of version 3, which beats version 2 unless the changes say otherwise."""
    base = Facts(
        month="2024-02",
        candidate=Contender(3, "2024-02", {"auc": new}),
        champion=None if old is None else Contender(2, "2024-01", {"auc": old}),
        delta=0.01,
        interval=None if old is None else (0.004, 0.031),
        parity=2e-7,
        segments=(Segment("user_gender", "Female", 900, 200, 0.82), Segment("user_gender", "Male", 880, 210, 0.84)),
        rows=1780,
        positives=410,
    )
    return msgspec.structs.replace(base, **changes)


def gate_of(asked: Facts, name: str) -> GateAnswer:
    """The answer of the gate of this name."""
    (gate,) = (gate for gate in answers(asked) if gate.name == name)
    return gate
