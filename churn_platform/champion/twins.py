"""Twins: versions with the same bundle, to the byte, as training again without a change gives.

Here: finding one, and counting each once. Not here: registering versions (`registry`).
"""

from __future__ import annotations

from churn_platform.champion.registry import MODEL, Registry, bounded
from churn_platform.months import Month


@bounded
def identical(registry: Registry, number: int) -> int | None:
    """The oldest version that is the same as this one but older, if there is one. Raises RegistryError."""
    bundle = registry.version(number).bundle_sha256
    with registry.reachable():
        same = registry.client.search_model_versions(f"name = '{MODEL}' and tag.bundle_sha256 = '{bundle}'")
    oldest = min((int(found.version) for found in same), default=number)
    return oldest if oldest < number else None


@bounded
def different(registry: Registry, month: Month, up_to: int | None = None) -> int:
    """How many different models were registered for a month, or up to a version, whatever became of them.

    Raises RegistryError.
    """
    with registry.reachable():
        found = registry.client.search_model_versions(f"name = '{MODEL}' and tag.month = '{month}'", max_results=10_000)
    counted = [version for version in found if up_to is None or int(version.version) <= up_to]
    return len({version.tags["bundle_sha256"] for version in counted})
