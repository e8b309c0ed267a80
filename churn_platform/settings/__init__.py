"""Settings: everything a person can set, read from `CHURN_*` environment variables.

Here: all groups of settings as one, which is what the platform is given. Not here: the fields (`groups`), or what they
do. Nothing else reads the environment. `python -m churn_platform.settings` writes `docs/settings.md`.
"""

from __future__ import annotations

from churn_platform.settings.groups import (
    DELIVERED,
    AddressSettings,
    AutomationSettings,
    Estimator,
    Group,
    LandingSettings,
    ModelSettings,
    MonitoringSettings,
    PlaceSettings,
    ServingSettings,
    StoreSettings,
)

__all__ = ["DELIVERED", "GROUPS", "Estimator", "Settings", "variable"]


class Settings(AddressSettings, StoreSettings, LandingSettings, ModelSettings, MonitoringSettings, AutomationSettings):
    """All settings. `Settings()` reads the environment; keyword arguments override it in tests."""


GROUPS: tuple[type[Group], ...] = (
    PlaceSettings,
    LandingSettings,
    ModelSettings,
    MonitoringSettings,
    AutomationSettings,
    StoreSettings,
    ServingSettings,
    AddressSettings,
)
"""Every group, in the documentation's order."""


def variable(name: str) -> str:
    """The environment variable of a field."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"CHURN_{name.upper()}"
