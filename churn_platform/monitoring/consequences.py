"""Consequences: what follows from the declaration for the platform as it is, in sentences for people.

Here: asking it of the months and the champion, for `churn company check`, `churn status` and alerts. Not here: what
follows from what (`tables.declared`).
"""

from __future__ import annotations

from functools import lru_cache

from churn_platform.bundle import Feature
from churn_platform.champion.registry import Registry, Version
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.tables.declared import Consequence, of_months, of_retraining, of_version


def of_champion(home: Home) -> tuple[Consequence, ...]:
    """What follows for the champion; nothing where there is none. Raises RegistryError and BundleError."""
    if (champion := home.registry.champion()) is None:
        return ()
    return tuple(of_version(home.lake, champion.number, champion.month, _schema(home.registry, champion)))


def of_all(home: Home) -> tuple[Consequence, ...]:
    """All that follows: for the closed months, the champion, and the next version."""
    champion = home.registry.champion()
    learned = of_retraining(home.lake, champion.number, _schema(home.registry, champion)) if champion else ()
    return (*of_months(home.lake), *of_champion(home), *learned)


def to_know(home: Home) -> tuple[str, ...]:
    """What people should know without asking: what has to be done, and what the champion goes without.

    A champion whose version cannot be fetched is one of these sentences, since all else is known without it.
    """
    pressing = tuple(found for found in of_months(home.lake) if found.pressing)
    try:
        found = (*pressing, *of_champion(home))
    except Fault as fault:
        found = (*pressing, Consequence(f"what the champion needs is not known: {fault}"))
    return tuple(consequence.sentence for consequence in found)


@lru_cache(maxsize=8)
def _schema(registry: Registry, version: Version) -> tuple[Feature, ...]:
    """Fetched once: it never changes, and alerts ask every few seconds."""
    return registry.bundle(version).schema
