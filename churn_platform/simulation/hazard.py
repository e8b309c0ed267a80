"""The synthetic company's churn hazard: who leaves, with what probability, and the shocks that change it.

Here: the hazard's coefficients in quiet months and after each shock. Not here: the company whose customers face it, or
what else a shock does to them (`company`).

A customer active at as_of churns in the window after it with the probability
`1 / (1 + exp(-(intercept + sum of coefficient * covariate)))`, a discrete-time logistic hazard. numpy is imported where
it is used, since the command line needs only the names of the shocks, for its help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from churn_platform.faults import Fault
from churn_platform.months import Month

if TYPE_CHECKING:
    import numpy as np

QUIET: dict[str, float] = {
    "intercept": -1.3,
    "one_year": -1.5,  # 1 with a contract of one year, else 0
    "two_year": -2.2,  # 1 with a contract of two years
    "fiber": 0.9,  # 1 with a fiber connection
    "no_internet": -0.5,  # 1 without an internet connection
    "paperless_billing": 0.5,  # 1 with bills by e-mail
    "has_dependents": -0.5,  # 1 with dependents in the household
    "log_tenure": -0.4,  # natural logarithm of months_active, capped at 24
    "fee": 0.1,  # 10 dollars of monthly_fee above 65
    "watch": -0.5,  # 10 hours of watch_hours_30d above 30
    "watch_fall": 0.8,  # 10 hours that watch_hours_30d fell against the month before; 0 where it rose
    "rebuffers": 0.18,  # rebuffer_events_7d above 2
    "failed_payments": 0.7,  # failed_payments_90d
    "new_failed_payments": 0.3,  # those of the newest month, counted once more
    "tickets": 0.5,  # support_tickets_90d
}
"""Each covariate's coefficient, in log-odds per unit, in quiet months. The comments give the units."""


class ShockKind(StrEnum):
    """What happens to the company. All last from their month on."""

    PRICE_RISE = "price_rise"  # fees up by a sixth: those who pay most and the loyal leave
    SERVICE_OUTAGE = "service_outage"  # stalls and tickets up: those who watch and suffer most leave
    NEW_PLAN = "new_plan"  # a yearly bundle of television and films, which disappoints those who take it
    COVARIATE_ONLY = "covariate_only"  # usage is metered differently: numbers change, nobody's risk does


AFTER: dict[ShockKind, dict[str, float]] = {
    ShockKind.PRICE_RISE: {
        "intercept": -2.9,
        "one_year": 0.4,
        "two_year": 0.8,
        "fiber": 0.0,
        "log_tenure": 0.2,
        "fee": 0.5,
    },
    ShockKind.SERVICE_OUTAGE: {
        "intercept": -2.8,
        "one_year": -0.3,
        "two_year": -0.5,
        "log_tenure": 0.0,
        "watch": 0.9,
        "watch_fall": 0.2,
        "rebuffers": 0.38,
    },
    ShockKind.NEW_PLAN: {
        "intercept": -2.3,
        "one_year": 1.8,
        "two_year": -0.8,
        "fiber": -0.3,
        "log_tenure": -0.1,
        "watch": -0.9,
    },
    ShockKind.COVARIATE_ONLY: {},
}
"""The coefficients that differ from `QUIET` after a shock. Where two shocks set one, the later shock's counts."""


class ShockError(Fault):
    """A text that is not a shock."""


@dataclass(frozen=True, order=True)
class Shock:
    """A lasting change of the company from the drop of `month` on."""

    month: Month
    kind: ShockKind

    @classmethod
    def parse(cls, text: str, month: Month | None = None) -> Shock:
        """The shock that a text such as `2024-07:price_rise` names. With `month`, a kind alone means from then on.

        Raises ShockError, which lists the kinds.
        """
        key, colon, kind = text.rpartition(":")
        try:
            return cls(Month.parse(key) if colon or month is None else month, ShockKind(kind))
        except ValueError as error:  # raised by either
            raise ShockError(
                f"{text!r} is not a shock: write it as YYYY-MM:kind, such as 2024-07:price_rise;"
                f" the kinds are {', '.join(ShockKind)}"
            ) from error


def in_force(shocks: Sequence[Shock], month: Month) -> list[ShockKind]:
    """The kinds of the shocks that a month feels, the latest last."""
    return [shock.kind for shock in sorted(shocks) if shock.month <= month]


def churn_probability(covariates: Mapping[str, np.ndarray], shocks: Sequence[ShockKind] = ()) -> np.ndarray:
    """Each customer's probability, float64 [n], of churning in the window after as_of.

    `covariates` maps every name in `QUIET` but the intercept to float64 [n]; `shocks` are those in force, the
    latest last.
    """
    import numpy as np

    coefficients = dict(QUIET)
    for shock in shocks:
        coefficients |= AFTER[shock]
    log_odds = coefficients.pop("intercept") + sum(value * covariates[name] for name, value in coefficients.items())
    return np.asarray(1 / (1 + np.exp(-log_odds)))
