"""Claims: what the platform promises, and which rates break a promise.

Here: the promises. Not here: what was measured (`asking`), or how it is shown (`page`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from benchmarks.evidence.platform import MARGIN
from benchmarks.evidence.rates import Measured


class Claim(NamedTuple):
    """Between which shares or means what is promised lies, and in how many trials of all sizes that is to be seen."""

    least: float
    most: float
    trials: int = 0


CLAIMS = {
    "quiet month called shifted": Claim(0, 1 / 20),
    "new plan found": Claim(0.95, 1),
    "promoted in a quiet month": Claim(0, 1 / 20),
    "promoted after a price rise": Claim(0.95, 1),
    "promoted after a service outage": Claim(0.95, 1),
    "promoted after a new plan": Claim(0.95, 1),
    "a lucky one of 24 is promoted": Claim(0, 1 / 20),
    "quiet month stopped as leaking": Claim(0, 1 / 60, trials=180),
    "plain leak stopped": Claim(1, 1),
    "faint leak stopped": Claim(1, 1),
    "gaps leak stopped": Claim(1, 1),
    "the 95 % interval of an AUC holds the true AUC": Claim(0.95, 1),
    "the 95 % interval of a difference of two AUCs holds the true one": Claim(0.95, 1),
    "the AUC lies within the estimate's interval, quiet month": Claim(0.95, 1),
    "regret of the platform beyond that of a candidate each month": Claim(-math.inf, MARGIN),
    "share of a candidate each month that the platform trains": Claim(0, 1 / 2),
}
"""A rate or mean whose 95 % interval lies outside of what is promised breaks the promise."""


def broken(found: Iterable[Measured], *, quick: bool) -> Iterator[str]:
    """The promises that were not kept, in words."""
    for measured in found:
        if claim := CLAIMS.get(measured.question):
            low, high = measured.what.interval
            if low > claim.most or high < claim.least:
                yield str(measured)
            elif measured.customers is None and not quick and measured.what.trials < claim.trials:
                yield f"{measured}, and {claim.trials} were to be seen"
