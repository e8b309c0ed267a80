"""Changes: whether drift is seen, and whether candidates are promoted where they should be and nowhere else.

Here: studies of a quiet month and of months with a shock. Not here: what their rates add up to (`rates`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.evidence.versions import SETTINGS, Asked, Version, Versions
from benchmarks.evidence.worlds import BRANCH
from churn_platform.modelling import estimators
from churn_platform.modelling.encoding import encode_frame
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.gate import should_promote
from churn_platform.modelling.metrics import auc
from churn_platform.monitoring import shifts
from churn_platform.simulation.hazard import ShockKind
from churn_platform.tables import training_set

Answers = dict[str, bool | float | list[bool]]
"""What happened in one world, or how large it was, by the question; a list where it was asked several times."""

WORSE = {
    ShockKind.PRICE_RISE: "a price rise",
    ShockKind.SERVICE_OUTAGE: "a service outage",
    ShockKind.NEW_PLAN: "a new plan",
}
"""The shocks that change who leaves."""

LUCKY = 24
"""How many candidates try their luck on one month."""

LEFT_OUT = 0.2
"""The share of the training customers that each of them does without."""


def drift(asked: Asked) -> Answers:
    """Whether tests against the month before call a quiet month shifted, and find a new plan before its labels."""

    def shifted(versions: Versions) -> bool:
        month = versions.course.month(BRANCH)
        return any(shift.shifted for shift in shifts.compare(versions.course.lake, month))

    return {
        "quiet month called shifted": shifted(asked.year),
        "new plan found": shifted(asked.after(ShockKind.NEW_PLAN)),
    }


def promotions(asked: Asked) -> Answers:
    """Whether a candidate is promoted over last month's version: in a quiet month, and after each shock."""
    found: Answers = {"promoted in a quiet month": (quiet := _next_month(asked.year).promote)}
    champion, candidate = asked.year.version(BRANCH - 1), asked.year.version(BRANCH)
    found["promoted in a quiet month though truly no better"] = bool(
        quiet and asked.population.auc(candidate) <= asked.population.auc(champion)
    )
    return found | {f"promoted after {told}": _next_month(asked.after(kind)).promote for kind, told in WORSE.items()}


def _next_month(versions: Versions) -> Evaluation:
    """How the version of the month BRANCH compares with the champion, that of the month before."""
    champion, candidate = versions.version(BRANCH - 1), versions.version(BRANCH)
    versions.course.month(BRANCH)
    with versions.course.apart() as lake:
        versions.compared(lake, BRANCH - 1, None, champion)
        return versions.compared(lake, BRANCH, champion, candidate)


def luck(asked: Asked) -> Answers:
    """Whether any of many candidates is promoted on one month of which none is better than the champion.

    Each learns as the champion does, without a random fifth of its customers.
    """
    versions, number = asked.year, BRANCH - 1
    champion, candidates = versions.version(number), _tried(versions, number, asked.world.seed)
    customers, labels = versions.course.holdout(number), versions.course.labels(number)
    usual = versions.auc(number, number)
    with versions.course.apart() as lake:
        lucky = [
            versions.compared(lake, number, champion, tried, look).promote
            for look, tried in enumerate(candidates, start=1)  # whoever does not pass delta is not promoted
            if should_promote(auc(tried.probabilities(customers), labels) or 0.0, usual, SETTINGS.delta)
        ]
    return {"a lucky one of 24 passes delta": bool(lucky), "a lucky one of 24 is promoted": any(lucky)}


def _tried(versions: Versions, number: int, seed: int) -> list[Version]:
    """The version of a month as it would be without some of the customers, by its window and threshold."""
    model, lake = versions.version(number), versions.course.lake
    rows = training_set.training_rows(lake, model.months).to_pandas()
    encoded, labels = encode_frame(model.features, rows), rows[lake.contract.label].to_numpy(dtype=bool)
    _, customer = np.unique(rows[lake.contract.key].to_numpy(dtype=str), return_inverse=True)
    found = []
    for attempt in range(LUCKY):
        chosen = np.random.default_rng([seed, attempt]).random(customer.max() + 1) >= LEFT_OUT
        pipeline = estimators.build(SETTINGS.estimator, model.features, SETTINGS.seed)
        estimators.fit(pipeline, encoded[chosen[customer]], labels[chosen[customer]])
        found.append(replace(model, number=number + 1 + attempt, pipeline=pipeline))
    return found
