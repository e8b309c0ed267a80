"""Earlier: the version that gave last month's scores, for what has changed since.

Here: fetching it, one customer's change, and why something is not known. Not here: the comparison (`tables.changes`).
"""

from __future__ import annotations

from churn_platform.bundle import Bundle, BundleError
from churn_platform.champion.registry import Registry, RegistryError
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables import changes, delivery


def last_months(lake: Lake, registry: Registry, month: Month, version: int, bundle: Bundle) -> Bundle | str:
    """The bundle of last month's scores, to compare this version's of the month with; or why that is not possible."""
    before = month - 1
    if (number := delivery.served_by(lake, before)) is None:
        return f"{before} has no scores"
    if number == version:
        old = bundle
    else:
        try:
            old = registry.bundle(registry.version(number))
        except (RegistryError, BundleError) as error:
            return f"version {number}, which scored {before}, cannot be fetched: {error}"
    return changes.obstacle(lake, month, (old, bundle)) or old


def change_of(lake: Lake, registry: Registry, month: Month, version: int, customer: str) -> dict[str, float] | str:
    """`changes.COLUMNS` of a customer whom this version has scored by the month's features; or why they are unknown."""
    try:
        bundle = registry.bundle(registry.version(version))
    except (RegistryError, BundleError) as error:
        return f"version {version} cannot be fetched: {error}"
    old = last_months(lake, registry, month, version, bundle)
    if isinstance(old, str):
        return old
    found = changes.since_last_month(lake, month, old, bundle, [customer])
    if found.empty:
        return f"the customer was not active in both {month - 1} and {month}"
    return {str(name): float(value) for name, value in found.iloc[0].items()}
