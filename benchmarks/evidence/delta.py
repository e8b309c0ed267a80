"""Delta: what holding versions back costs, and what letting every one through does, over sixteen months.

Here: monthly candidates and whom each rule would have let serve, and the platform's own months lived through. Not here:
the rule (`modelling.gate`), or the replay itself (`churn_platform.replay`).

A month's labels are known when the next month's drop comes, so a month is scored by versions that learned from the
months before it. Regret is the AUC of the true hazard minus that of whoever serves, on the month's holdout customers.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from benchmarks.evidence.studies import Answers, trained
from benchmarks.evidence.worlds import company, months_of
from churn_platform.lake import Lake
from churn_platform.modelling.gate import should_promote
from churn_platform.modelling.metrics import auc
from churn_platform.replay.player import settings_in
from churn_platform.replay.regret import summary
from churn_platform.replay.simulated import replay
from churn_platform.simulation.drops import FIRST, simulate
from churn_platform.simulation.hazard import Shock, ShockKind
from churn_platform.tables import training_set

MONTHS = 16
SHOCKS = (Shock(FIRST + 5, ShockKind.PRICE_RISE), Shock(FIRST + 10, ShockKind.SERVICE_OUTAGE))

RULES = {"delta 0.01": 0.01, "delta 0.005": 0.005, "delta 0": 0.0, "no gate": -math.inf, "never again": math.inf}
"""By how much a candidate has to exceed the champion on the newest month with labels."""

Ranks = Sequence[Mapping[int, float]]
"""For each month, by the month that a version was trained for, its AUC on the month's holdout customers."""


def rules(customers: int, seed: int) -> Answers:
    """Each rule's mean regret and its promotions, with a candidate each month, and the regret of perfect hindsight."""
    with company(customers, seed, MONTHS, SHOCKS) as lake:
        ranks = _ranks(lake)
        best = _best(lake, customers, seed)
    found: dict[str, bool | float | list[bool]] = {}
    for name, delta in RULES.items():
        regrets, promotions = _served(ranks, best, delta)
        found[f"regret, {name}"], found[f"promotions, {name}"] = fmean(regrets), float(promotions)
    hindsight = [best[m] - max(auc for version, auc in ranks[m].items() if version < m) for m in range(1, MONTHS)]
    return {**found, "regret, hindsight": fmean(hindsight)}


def platform(customers: int, seed: int) -> Answers:
    """The platform's own regret over the same months, its retrainings, and whether it keeps up with monthly ones.

    It may be worse than a candidate each month by 0.0005, and has half as many retrainings for that.
    """
    with tempfile.TemporaryDirectory() as folder:
        lived = list(replay(settings_in(Path(folder)), MONTHS, customers, seed, SHOCKS))
    if (found := summary(lived)) is None:
        raise ValueError(f"a company of which nothing can be learned: {customers} customers, seed {seed}")
    return {
        "regret, the platform": found.regret,
        "regret, monthly with delta": found.regret_retraining_each_month,
        "retrainings, the platform": float(found.retrainings),
        "promotions, the platform": float(found.promotions),
        "the platform's regret is at most monthly's plus 0.0005": found.regret
        <= found.regret_retraining_each_month + 0.0005,
        "at most half of monthly's retrainings": found.retrainings <= found.months / 2,
    }


def _ranks(lake: Lake) -> Ranks:
    months, label = months_of(lake), lake.contract.label
    models = [trained(lake, month, number) for number, month in enumerate(months)]
    found = []
    for month in months:
        rows = training_set.holdout(lake, month)
        labels = rows[label].to_numpy(dtype=bool)
        found.append({model.number: auc(model.scores(rows).probabilities, labels) or 0.0 for model in models})
    return found


def _best(lake: Lake, customers: int, seed: int) -> list[float]:
    """The true hazard's AUC on each month's holdout customers."""
    contract, found = lake.contract, []
    for month in simulate(MONTHS, customers, seed, SHOCKS):
        rows = training_set.holdout(lake, month.month)
        keys = month.tables[contract.customers.name][contract.key]
        places = np.searchsorted(keys, rows[contract.key].to_numpy(dtype=str))
        found.append(auc(month.churn_probability[places], rows[contract.label].to_numpy(dtype=bool)) or 0.0)
    return found


def _served(ranks: Ranks, best: Sequence[float], delta: float) -> tuple[list[float], int]:
    """The regret of each month from the second on, and how often a candidate took over, by this rule."""
    champion, promotions, regrets = 0, 0, []
    for month in range(1, MONTHS):
        known = ranks[month - 1]
        if month > 1 and should_promote(known[month - 1], known[champion], delta):
            champion, promotions = month - 1, promotions + 1
        regrets.append(best[month] - ranks[month][champion])
    return regrets, promotions
