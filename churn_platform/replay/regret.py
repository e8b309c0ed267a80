"""Regret: how far a replay's champion falls short of the best reachable AUC.

Here: what is known about each month, and the means. Not here: living through the months (`player`).

The generator knows each customer's true churn probability, so the AUC that only luck can beat is known too.
Regret is that AUC minus a model's, on the same rows: the month's holdout customers with their labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import msgspec


class Lived(msgspec.Struct, frozen=True):
    """One month. AUCs are those of its holdout customers, None if there is no model yet.

    `causes` say why retrainings were started, and `faults` why runs failed. `champion_auc` is that of the champion
    before the month, `candidate_auc` the last candidate's on the month that it was trained for, and `auc` that of
    `version`, which serves in the end. `first_auc` is what the first champion would reach; `gated_auc` and `fresh_auc`
    belong to models that are trained each month as the platform trains: the gated ones serve if the delta rule lets
    them, the fresh ones always. `best_auc` is the true hazard's.
    """

    month: str
    drift_share: float | None
    causes: tuple[str, ...]
    faults: tuple[str, ...]
    champion_auc: float | None
    candidate_auc: float | None
    promoted: bool
    version: int | None
    auc: float | None
    first_auc: float | None
    gated_auc: float | None
    fresh_auc: float | None
    best_auc: float | None


class Summary(msgspec.Struct, frozen=True):
    """Mean regrets in AUC over the months that had a champion: the platform's, and the plain alternatives'.

    The alternatives are to keep the first champion forever, and to retrain each month, with the delta rule or without.
    """

    months: int
    retrainings: int
    promotions: int
    regret: float
    regret_never_retraining: float
    regret_retraining_each_month: float
    regret_without_gate: float


def summary(months: Sequence[Lived]) -> Summary | None:
    """What the months add up to; None if no month had a champion."""
    served = [m for m in months if None not in (m.auc, m.first_auc, m.gated_auc, m.fresh_auc, m.best_auc)]
    if not served:
        return None
    return Summary(
        months=len(served),
        retrainings=sum(len(m.causes) for m in months),
        promotions=sum(m.promoted for m in months),
        regret=fmean((m.best_auc or 0) - (m.auc or 0) for m in served),
        regret_never_retraining=fmean((m.best_auc or 0) - (m.first_auc or 0) for m in served),
        regret_retraining_each_month=fmean((m.best_auc or 0) - (m.gated_auc or 0) for m in served),
        regret_without_gate=fmean((m.best_auc or 0) - (m.fresh_auc or 0) for m in served),
    )
