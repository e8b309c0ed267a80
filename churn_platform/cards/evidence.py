"""Evidence: what `make evidence` has measured in simulated worlds, as it is kept beside this module.

Here: the record, and what it says of delta. Not here: measuring it (`benchmarks.evidence`), or a card's page (`page`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import msgspec

FILE = "evidence.json"

RULES = ("delta 0.01", "delta 0.005", "delta 0", "no gate", "never again", "hindsight")
"""Who may serve: a candidate that exceeds the champion by more than delta, every one, none, the best in each month."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rate (`hits` of `trials`) or a mean of `trials`, with its 95 % interval, in worlds of so many customers.

    `customers` is None for worlds of all sizes together.
    """

    question: str
    customers: int | None
    trials: int
    low: float
    high: float
    hits: int | None = None
    mean: float | None = None


class EvidenceRecord(msgspec.Struct, frozen=True):
    """What was measured by which code: `code` names what can change an answer, `commit` is that of the checkout.

    `worlds` counts them by their number of customers; `seconds` are the processor's, of all of them together.
    """

    code: str
    commit: str
    months: int
    worlds: dict[int, int]
    seconds: dict[int, float]
    findings: tuple[Finding, ...]

    def found(self, question: str, customers: int | None) -> Finding | None:
        """What was found about a question in worlds of this size."""
        return next((f for f in self.findings if (f.question, f.customers) == (question, customers)), None)


class Cost(NamedTuple):
    """What a rule costs: mean regret in AUC, how far it is from that of delta 0.01, and how often it promotes."""

    rule: str
    regret: Finding
    beyond: Finding | None
    promotions: Finding


@cache
def kept() -> EvidenceRecord | None:
    """What was measured last; None where nothing was yet."""
    file = files("churn_platform.cards") / FILE
    return msgspec.json.decode(file.read_bytes(), type=EvidenceRecord) if file.is_file() else None


def costs(record: EvidenceRecord, customers: int) -> Iterator[Cost]:
    """What each rule costs in worlds of this size."""
    for rule in RULES:
        regret, promotions = (record.found(f"{what}, {rule}", customers) for what in ("regret", "promotions"))
        if regret and promotions:
            yield Cost(rule, regret, record.found(f"regret beyond that of delta 0.01, {rule}", customers), promotions)


def nearest(record: EvidenceRecord, customers: int) -> int | None:
    """The size of the worlds that are most like a company of so many customers; None where none is known."""
    sizes = [size for size in record.worlds if next(costs(record, size), None)]
    return min(sizes, key=lambda size: abs(math.log(size / max(customers, 1))), default=None)
