"""Rates: how often something happened, with the interval that so few trials leave."""

from __future__ import annotations

from dataclasses import dataclass


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
