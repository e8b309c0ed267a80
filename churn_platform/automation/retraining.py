"""Retraining: whether one is due, for which month, and why.

Here: the facts and the decision on them, as pure functions. Not here: gathering the facts (`watch`), or starting
anything (`sensors`, `replay`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from churn_platform.automation.triggers import RETRAIN, Action, History, RunState, Wait, event_of, launch
from churn_platform.monitoring.performance import falls_short
from churn_platform.months import Month
from churn_platform.shown import counted


@dataclass(frozen=True)
class ChampionFacts:
    """The version that serves, the newest month that it was trained on, and the AUC that it promised."""

    version: int
    month: Month
    auc: float


@dataclass(frozen=True)
class DriftFacts:
    """A month's drift: `drifted` of `columns` feature columns are far from what the champion has learned.

    `shifted` are those that differ from the month before, which the month after shows no more. `target` says in words
    how the share of churned customers changed, None where it did not or is not known.
    """

    month: Month
    drifted: frozenset[str]
    columns: int
    target: str | None
    shifted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RealisedFacts:
    """How well the scores that `version` gave to a month turned out."""

    month: Month
    version: int
    auc: float


@dataclass(frozen=True)
class ModelFacts:
    """What a retraining is decided from.

    `matured` is the newest month that can be trained for, `content` the hash of all that it would be trained on: a
    retraining that an older month stopped is started again when that month has changed. `drifts` are the closed months'
    since the champion's, oldest first; `realised` is the newest matured month's. `trained` are the months for
    which a candidate was compared. `refused` says on which labels of the months to learn from nothing is trained.
    """

    champion: ChampionFacts | None
    matured: Month | None
    content: str
    drifts: tuple[DriftFacts, ...]
    realised: RealisedFacts | None
    trained: frozenset[Month]
    refused: str | None = None


@dataclass(frozen=True)
class Limits:
    """The settings that decide on causes, see `Settings`: shares, AUC, months."""

    drift_share: float
    realised_margin: float
    cooldown: int


def cause(facts: ModelFacts, limits: Limits) -> str | None:
    """Why a retraining is due, in one line; None where nothing calls for one.

    Drift is a cause once its month has matured: no earlier month can teach a candidate what has changed.
    """
    champion = facts.champion
    if champion is None:
        return "no champion yet"
    matured = facts.matured
    if found := _unanswered(facts, limits, [d for d in facts.drifts if matured and d.month <= matured]):
        return found.line
    if (with_target := [d for d in _since(facts, champion) if d.target]) and not any(
        drift.target for drift in with_target if drift.month <= _trained(facts, champion)
    ):
        return f"target_drift {with_target[-1].target} month={with_target[-1].month}"
    realised = facts.realised
    margin = limits.realised_margin
    if realised and realised.version == champion.version and falls_short(realised.auc, champion.auc, margin):
        return f"realised_auc={realised.auc:.4f} < {champion.auc:.4f} - {margin:g} month={realised.month}"
    return None


class Unanswered(NamedTuple):
    """Drift that no candidate has been trained on: its newest month, its features, and all that in one line."""

    month: Month
    features: frozenset[str]
    line: str


def awaited(facts: ModelFacts, limits: Limits) -> Unanswered | None:
    """Drift that no version can learn from before its labels are known; None where there is none."""
    matured = facts.matured
    return _unanswered(facts, limits, [d for d in facts.drifts if not (matured and d.month <= matured)])


def _unanswered(facts: ModelFacts, limits: Limits, drifts: Sequence[DriftFacts]) -> Unanswered | None:
    """What of these drifts calls for a candidate.

    Drift from what the champion has learned is answered once a candidate has been trained on it, even if that candidate
    lost: only drift beyond that is a new cause. Otherwise a lasting change that no training can use would start a
    retraining every month. A shift against the month before is new in each month.
    """
    champion = facts.champion
    if champion is None:
        return None
    trained = _trained(facts, champion)
    found = [drift for drift in drifts if drift.month > max(champion.month, trained)]
    if not found:
        return None
    newest = found[-1]
    seen = frozenset[str]().union(*(d.drifted for d in _since(facts, champion) if d.month <= trained))
    lasting, shifted = newest.drifted - seen, frozenset[str]().union(*(drift.shifted for drift in found))
    new = lasting | shifted
    share = len(new) / max(newest.columns, 1)
    if not new or share < limits.drift_share:
        return None
    month = newest.month if lasting else max(drift.month for drift in found if drift.shifted)
    before = newest.drifted & seen
    beyond = f" beyond the {counted(len(before), 'column')} seen before" if before and lasting else ""
    return Unanswered(month, new, f"drift_share={share:.2f} >= {limits.drift_share:g} month={month}{beyond}")


def _since(facts: ModelFacts, champion: ChampionFacts) -> list[DriftFacts]:
    """The drifts of the months after the champion's."""
    return [drift for drift in facts.drifts if drift.month > champion.month]


def _trained(facts: ModelFacts, champion: ChampionFacts) -> Month:
    """The newest month for which a candidate was compared."""
    return max(facts.trained, default=champion.month)


def next_retraining(facts: ModelFacts, limits: Limits, history: History) -> Action:
    """Retrain on the newest matured month if something calls for it, once. Ask only while nothing is being trained.

    Each month is trained for once: the same rows would give the same candidate. In the cooldown, later months wait too.
    """
    month = facts.matured
    event = event_of(month, facts.content) if month else ""
    runs = history(month) if month else ()
    if runs and (runs[0].event, runs[0].state) == (event, RunState.FAILED):
        facts = replace(facts, trained=facts.trained - {month})  # it may have got as far as the comparison
    found, champion = cause(facts, limits), facts.champion
    if found is None:
        if unlearned := awaited(facts, limits):
            return Wait(f"{unlearned.line}, but no version can learn from it before the labels of that month are known")
        return Wait("nothing calls for a retraining")
    if month is None:
        return Wait(f"{found}, but no month has labels yet")
    if champion and month <= champion.month:
        return Wait(f"{found}, but no month after {champion.month}, the champion's, has labels yet")
    last = max(facts.trained, default=None)
    if champion and last and month.since(last) < limits.cooldown:
        return Wait(f"{found}, but a candidate was trained for {last}: the next can be for {last + limits.cooldown}")
    if facts.refused:
        return Wait(f"{found}, but {facts.refused}")
    return launch(RETRAIN, month, event, f"RETRAINING_TRIGGERED {found}", runs)
