"""Rates: how often something happened, or how large it was on average, with the interval that so few trials leave.

Here: the figures, and summing up answers. Not here: the questions (`asking`), or what is promised (`claims`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

from benchmarks.evidence.changes import Answers
from churn_platform.cards.evidence import Finding


@dataclass(frozen=True)
class Rate:
    """`hits` of `trials`."""

    hits: int
    trials: int

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval of the share (Clopper and Pearson, Biometrika 26, 1934)."""
        from scipy.stats import beta

        missed = self.trials - self.hits
        low = float(beta.ppf(0.025, self.hits, missed + 1)) if self.hits else 0.0
        high = float(beta.ppf(0.975, self.hits + 1, missed)) if missed else 1.0
        return low, high

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.hits} of {self.trials} ({low:.3f} to {high:.3f})"


@dataclass(frozen=True)
class Mean:
    """What was measured in each trial."""

    values: tuple[float, ...]

    @property
    def trials(self) -> int:
        """How many there were."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Their mean."""
        return fmean(self.values)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean, by Student's t; the mean alone where there is a single trial."""
        from scipy.stats import t

        if self.trials == 1:
            return self.mean, self.mean
        reach = float(t.ppf(0.975, self.trials - 1)) * stdev(self.values) / math.sqrt(self.trials)
        return self.mean - reach, self.mean + reach

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.mean:.4f} on average ({low:.4f} to {high:.4f})"


class Measured(NamedTuple):
    """What was found about a question, in worlds of so many customers, or of all sizes together (None)."""

    question: str
    customers: int | None
    what: Rate | Mean

    @property
    def finding(self) -> Finding:
        """The same as it is kept."""
        low, high = (round(bound, 6) for bound in self.what.interval)
        hits, mean = (self.what.hits, None) if isinstance(self.what, Rate) else (None, round(self.what.mean, 6))
        return Finding(self.question, self.customers, self.what.trials, low, high, hits, mean)

    def __str__(self) -> str:
        size = "all sizes" if self.customers is None else f"{self.customers:,} customers"
        return f"{self.question}, {size}: {self.what}"


def summed(answers: Sequence[bool | float]) -> Rate | Mean:
    """The rate of yes and no, or the mean of numbers."""
    if all(isinstance(answer, bool) for answer in answers):
        return Rate(sum(map(bool, answers)), len(answers))
    return Mean(tuple(map(float, answers)))


def measured(answers: Iterable[tuple[int, Answers]]) -> list[Measured]:
    """The rate or mean of each question, by the number of customers, and of yes and no over all sizes, too.

    `answers` are those of one world to one study, with its number of customers.
    """
    found: dict[str, dict[int | None, list[bool | float]]] = {}
    for customers, answered in answers:
        for question, answer in answered.items():
            each = answer if isinstance(answer, list) else [answer]
            for size in (customers, None):
                found.setdefault(question, {}).setdefault(size, []).extend(each)
    rates = [
        Measured(question, size, summed(each)) for question, sizes in found.items() for size, each in sizes.items()
    ]
    return [one for one in rates if one.customers is not None or isinstance(one.what, Rate)]
