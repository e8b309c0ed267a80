"""Earlier: the version that gave last month's scores, for what has changed since.

Here: fetching it, one customer's change, and why something is not known. Not here: the comparison (`tables.changes`).
"""

from __future__ import annotations

from churn_platform.bundle import Bundle, BundleError
from churn_platform.champion.registry import Registry, RegistryError
from churn_platform.lake import DamagedTableError, DocumentError, Lake
from churn_platform.months import Month
from churn_platform.tables import changes, delivery
from churn_platform.tables.names import CHURN_SCORES


def last_months(lake: Lake, registry: Registry, month: Month, version: int, bundle: Bundle) -> Bundle | str:
    """The bundle of last month's scores, to compare this version's of the month with; or why that is not possible."""
    before = month - 1
    try:
        if (number := delivery.served_by(lake, before)) is None:
            return f"{before} has no scores"
        if why := _restated(lake, before):
            return why
        old = bundle if number == version else registry.bundle(registry.version(number))
        return changes.obstacle(lake, month, (old, bundle)) or old
    except (RegistryError, BundleError) as error:
        return f"version {number}, which scored {before}, cannot be fetched: {error}"
    except (DamagedTableError, DocumentError) as error:
        return str(error)


def _restated(lake: Lake, month: Month) -> str | None:
    """Why a month's scores do not follow from its features as they are now; None where they do.

    Scores that were served are kept when their month is closed again. Raises DocumentError.
    """
    if not lake.is_stale(CHURN_SCORES, month):
        return None
    if not lake.built_from(CHURN_SCORES, month):
        return f"it is not known from which features {month} was scored"
    return f"the features of {month} have changed since it was scored, and scores that were served are kept"


def change_of(lake: Lake, registry: Registry, month: Month, version: int, customer: str) -> dict[str, float] | str:
    """`changes.COLUMNS` of a customer whom this version has scored by the month's features; or why they are unknown.

    Raises MissingTableError and DamagedTableError.
    """
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
