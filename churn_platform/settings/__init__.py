"""Settings: everything a person can set, read from `CHURN_*` environment variables.

Here: all groups of settings as one object, which the platform is given, how a program begins with them, and the message
where a setting is wrong. Not here: the fields (`groups`, `services`, `access`) and their types (`kinds`, `urls`), or
what they do. Nothing else reads the environment. `python -m churn_platform.settings` writes `docs/settings.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator

from churn_platform import secrets, telling
from churn_platform.faults import Fault
from churn_platform.files import modes
from churn_platform.settings.access import AccessSettings
from churn_platform.settings.groups import (
    AutomationSettings,
    DeliverySettings,
    Group,
    LandingSettings,
    ModelSettings,
    MonitoringSettings,
    PlaceSettings,
    StoreSettings,
)
from churn_platform.settings.kinds import DELIVERED, Estimator
from churn_platform.settings.services import AddressSettings, ServingSettings
from churn_platform.settings.urls import secrets_of, secrets_of_alerts

__all__ = ["DELIVERED", "GROUPS", "Estimator", "Settings", "SettingsError", "begin", "variable"]


class SettingsError(Fault):
    """Some settings are invalid; the message names them. A wrong value may be a secret, so it is not shown."""


class Settings(
    AccessSettings,
    AddressSettings,
    StoreSettings,
    LandingSettings,
    ModelSettings,
    DeliverySettings,
    MonitoringSettings,
    AutomationSettings,
):
    """All settings. `Settings()` reads the environment; keyword arguments override it in tests.

    Raises SettingsError.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_sentence(cls, values: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(values)
        except ValidationError as error:
            told = [f"{_named(str(e['loc'][0]))}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()]
            raise SettingsError("; ".join(told)) from None

    @model_validator(mode="after")
    def _tokens_differ(self) -> Self:
        by_token: dict[str, str] = {}
        for name in ("api_token", "contact_token", "read_token"):
            token = getattr(self, name).get_secret_value()
            if token and (other := by_token.setdefault(token, name)) != name:
                raise SettingsError(
                    f"{variable(name)} is the same as {variable(other)}, so whoever has one could do what the other"
                    " allows: choose another one (`openssl rand -hex 24` makes one)"
                )
        return self

    @model_validator(mode="after")
    def _tombstones_stay_out(self) -> Self:
        if self.tombstones_folder.is_relative_to(self.home):
            raise SettingsError(
                f"{variable('tombstones')} lies in {variable('home')}, where backups would pack it: name another folder"
            )
        return self

    @property
    def token_file(self) -> Path:
        """The API's token where `CHURN_API_TOKEN` is not set. It is its owner's alone, whatever `file_mode` says."""
        return self.home / "api_token"

    @property
    def owner_alone(self) -> list[Path]:
        """The files that are their owner's alone, whatever `file_mode` says."""
        return [self.token_file, *self.erasure_requests.glob("*.json")]

    def secrets(self) -> Iterator[str]:
        """Whatever of these no text may show."""
        for url in (self.postgres_url, self.online_store_url, self.mlflow_tracking_uri, self.dagster_url):
            yield from secrets_of(url.get_secret_value())
        yield from secrets_of_alerts(self.alert_urls.get_secret_value())
        yield from (token.get_secret_value() for token in (self.api_token, self.contact_token, self.read_token))


RESTORING = "restoring"
"""The folder of a home that is not restored from its backup in full."""


class HalfRestoredError(Fault):
    """A home that nothing may begin with; the message says what to do."""

    lasting = True


def begin(*, whole: bool = True) -> Settings:
    """The settings for a program, which from now on tells none of their secrets, and writes for whom they allow.

    Every program begins with this; all but the one that restores need a `whole` home. Raises SettingsError and
    HalfRestoredError.
    """
    settings = Settings()
    if whole:
        refuse_half(settings.home)
    modes.restrict(int(settings.file_mode, 8), settings.home)
    secrets.keep(settings.secrets())
    telling.watch()
    return settings


def refuse_half(home: Path) -> None:
    """Raise HalfRestoredError for a home whose restoring is under way or was cut short."""
    if (home / RESTORING).is_dir():
        raise HalfRestoredError(
            f"{home} (CHURN_HOME) is being restored, or a restore was cut short: wait for it to end, or empty that"
            " folder and its databases and restore again"
        )


GROUPS: tuple[type[Group], ...] = (
    PlaceSettings,
    LandingSettings,
    ModelSettings,
    DeliverySettings,
    MonitoringSettings,
    AutomationSettings,
    StoreSettings,
    ServingSettings,
    AccessSettings,
    AddressSettings,
)
"""Every group, in the documentation's order."""


def _named(place: str) -> str:
    """The environment variable of a field, which an error calls by its name or by its alias."""
    return variable(place) if place in Settings.model_fields else place


def variable(name: str) -> str:
    """The environment variable of a field."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"CHURN_{name.upper()}"
