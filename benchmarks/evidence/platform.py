"""Platform: a company's months as the platform would live through them by itself, without its runs and stores.

Here: gathering the facts of each month, and doing what the platform decides on them. Not here: the decisions
(`automation.retraining`, `modelling.gate`). That a whole platform decides the same is tested
(`integration/test_evidence.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.evidence.changes import Answers
from benchmarks.evidence.rules import RULES, USUAL, best_aucs, promotions, regret, served
from benchmarks.evidence.versions import SETTINGS, Asked, Version, Versions
from benchmarks.evidence.worlds import QUIET, SHOCKED
from churn_platform.automation.retraining import (
    ChampionFacts,
    DriftFacts,
    Limits,
    ModelFacts,
    RealisedFacts,
    next_retraining,
)
from churn_platform.automation.triggers import Launch
from churn_platform.lake import Lake
from churn_platform.modelling.metrics import auc
from churn_platform.monitoring import drift, target
from churn_platform.months import Month
from churn_platform.tables import training_set
from churn_platform.tables.names import FEATURES

LIMITS = Limits(SETTINGS.drift_threshold, SETTINGS.realised_margin, SETTINGS.retrain_cooldown_months)

MARGIN = 0.0005
"""By how much the platform's regret may exceed that of a candidate each month, for half as many retrainings."""


@dataclass
class LivedMonths:
    """What came of a company's months: why each month trained, and who served from the second month on, by number."""

    causes: dict[Month, str] = field(default_factory=dict)
    served: list[int] = field(default_factory=list)
    promoted: list[Month] = field(default_factory=list)


def study(asked: Asked) -> Answers:
    """The platform's own regret and retrainings, against those of a candidate each month with the delta rule."""
    versions, months = asked.year, asked.world.months
    lived, best = live(versions, months), best_aucs(versions, months)
    if len(lived.served) < months - 1:
        raise ValueError("a company of which nothing can be learned from its first month")
    own, monthly = (regret(versions, best, n) for n in (lived.served, served(versions, months, RULES[USUAL])))
    trained = [versions.course.month(number) in lived.causes for number in range(months - 1)]
    return {
        "quiet month called for a retraining": trained[1:QUIET],
        "shock called for a retraining once its labels were there": [trained[n] for n in SHOCKED if n < months - 1],
        "regret, the platform": own,
        "regret of the platform beyond that of a candidate each month": own - monthly,
        "retrainings, the platform": float(len(lived.causes)),
        "share of a candidate each month that the platform trains": len(lived.causes) / (months - 1),
        "promotions, the platform": float(promotions(lived.served)),
        "a world in which its regret is at most that of a candidate each month plus 0.0005": own <= monthly + MARGIN,
    }


def live(versions: Versions, months: int) -> LivedMonths:
    """Each month closes while the champion serves; then the month before has labels, and a version may be trained."""
    versions.course.month(months - 1)
    with versions.course.apart() as lake:
        life, found = _Life(versions, lake), LivedMonths()
        for number in range(months):
            life.close(number)
            if number:
                life.mature(number - 1)
                if cause := life.cause(number - 1):
                    month = versions.course.month(number - 1)
                    found.causes[month] = cause
                    if life.train(number - 1):
                        found.promoted.append(month)
                if life.champion:
                    found.served.append(life.champion.number)
    return found


class _Life:
    """The platform as it is at one time: its champion, and what it knows of each month."""

    def __init__(self, versions: Versions, lake: Lake) -> None:
        self.champion: Version | None = None
        self._versions, self._lake = versions, lake
        self._promised = 0.0
        self._drifts: dict[Month, DriftFacts] = {}
        self._trained: set[Month] = set()

    def close(self, number: int) -> None:
        """Compare a month's features with what the champion has learned."""
        month = self._versions.course.month(number)
        known = [then for then in self._lake.months(FEATURES) if then <= month]
        if earlier := drift.reference_months(month, self._learned, known):
            found = drift.compare(self._lake, month, earlier, SETTINGS.drift_threshold, None)
            drifted, shifted = frozenset(found.drifted), frozenset(found.shifted)
            self._drifts[month] = DriftFacts(month, drifted, len(found.columns), None, shifted)

    def mature(self, number: int) -> None:
        """Compare the share of a month's customers who churned with that of what the champion has learned."""
        month = self._versions.course.month(number)
        known = [then for then in training_set.judging(self._lake) if then <= month]
        if earlier := drift.reference_months(month, self._learned, known):
            found = target.compare(self._lake, month, earlier)
            told = f"{found.reference_churn_share:.3f} -> {found.churn_share:.3f}" if found.drifted else None
            seen = self._drifts.get(month, DriftFacts(month, frozenset(), 0, None))
            self._drifts[month] = DriftFacts(month, seen.drifted, seen.columns, told, seen.shifted)

    def cause(self, number: int) -> str | None:
        """Why a version is to be trained for the newest month with labels."""
        month, champion = self._versions.course.month(number), self.champion
        serving = ChampionFacts(champion.number, self._month_of(champion), self._promised) if champion else None
        facts = ModelFacts(
            champion=serving,
            matured=month,
            content="",
            drifts=tuple(found for then, found in sorted(self._drifts.items()) if serving and then > serving.month),
            realised=self._realised(number),
            trained=frozenset(self._trained),
        )
        action = next_retraining(facts, LIMITS, lambda _: ())
        return action.why if isinstance(action, Launch) else None

    def train(self, number: int) -> bool:
        """Compare the month's version with the champion, and let it serve if the gates let it."""
        candidate = self._versions.version(number)
        evaluation = self._versions.compared(self._lake, number, self.champion, candidate)
        self._trained.add(self._versions.course.month(number))
        if evaluation.promote:
            self.champion, self._promised = candidate, evaluation.candidate.metrics["auc"]
        return evaluation.promote

    @property
    def _learned(self) -> tuple[Month, ...]:
        return self.champion.months if self.champion else ()

    def _month_of(self, version: Version) -> Month:
        return self._versions.course.month(version.number)

    def _realised(self, number: int) -> RealisedFacts | None:
        """How well the champion ranks all customers of a month after its own."""
        champion = self.champion
        if champion is None or champion.number >= number:
            return None
        customers = self._versions.course.customers(number)
        labels = customers[self._lake.contract.label].to_numpy(dtype=bool)
        found = auc(champion.probabilities(customers), labels)
        month = self._versions.course.month(number)
        return None if found is None else RealisedFacts(month, champion.number, found)
