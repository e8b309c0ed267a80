"""Unsafe: a champion that scores a month which differs from all that it has learned, before anybody can teach it.

Here: whether that is so now, in words for people. Not here: the rule (`retraining`), the facts (`watch`), or telling it
(`news`, `monitoring.status`).
"""

from __future__ import annotations

from churn_platform.automation import watch
from churn_platform.automation.retraining import awaited
from churn_platform.home import Home
from churn_platform.monitoring.performance import SUPPOSED, Expected
from churn_platform.months import Month
from churn_platform.shown import as_text, counted
from churn_platform.tables import maturity
from churn_platform.tables.names import EXPECTED

_NAMED = 5


def told(home: Home) -> str | None:
    """Which month the champion may be wrong about, why, until when, and what its own estimate says; None if it is safe.

    Raises RegistryError.
    """
    facts = watch.model_facts(home)
    found = awaited(facts, watch.limits(home.settings))
    if found is None or facts.champion is None:
        return None
    month, version, names = found.month, facts.champion.version, sorted(found.features)
    named = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    verb = "differs" if len(names) == 1 else "differ"
    differ = f": {counted(len(names), 'feature')} {verb} ({as_text(named)})"
    known = maturity.known_from(home.contract, month)
    return (
        f"version {version} may be wrong about {month}, which is unlike what it has learned{differ}; "
        f"no version can learn from it before its labels are known, {known} at the earliest{_estimate(home, month)}"
    )


def _estimate(home: Home, month: Month) -> str:
    """What the scores alone say, and what they cannot."""
    expected = home.lake.document(EXPECTED, month, Expected)
    if expected is None or expected.figure is None:
        return ""
    return (
        f". By its own scores its AUC would be {expected.figure}, {SUPPOSED}: that shows whether customers are harder"
        " to tell apart, but not whether they leave for other reasons than before"
    )
