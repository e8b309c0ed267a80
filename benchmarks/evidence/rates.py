"""Rates: how often something happened, or how large it was on average, with the interval that so few trials leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


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

    @property
    def figures(self) -> dict[str, float]:
        """For programs."""
        return {"hits": self.hits, "trials": self.trials}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.hits} of {self.trials} ({low:.3f} to {high:.3f})"


@dataclass(frozen=True)
class Mean:
    """What was measured in each trial."""

    values: tuple[float, ...]

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean, by Student's t; the mean alone where there is a single trial."""
        from scipy.stats import t

        mean, trials = fmean(self.values), len(self.values)
        if trials == 1:
            return mean, mean
        reach = float(t.ppf(0.975, trials - 1)) * stdev(self.values) / math.sqrt(trials)
        return mean - reach, mean + reach

    @property
    def figures(self) -> dict[str, float]:
        """For programs."""
        return {"mean": fmean(self.values), "trials": len(self.values)}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{fmean(self.values):.4f} on average ({low:.4f} to {high:.4f})"


def summed(answers: Sequence[bool | float]) -> Rate | Mean:
    """The rate of yes and no, or the mean of numbers."""
    if all(isinstance(answer, bool) for answer in answers):
        return Rate(sum(map(bool, answers)), len(answers))
    return Mean(tuple(map(float, answers)))
