"""The storage: Dagster's own on PostgreSQL, with the driver that it is written for.

Here: that, and keeping its password out of what Dagster's own programs say, which read no settings. Not here: when
PostgreSQL is used, and the rest of `dagster.yaml` (`instance`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagster_postgres import DagsterPostgresStorage

from churn_platform import secrets, telling
from churn_platform.automation.dagster_private import blank_errors
from churn_platform.settings import SettingsError, variable
from churn_platform.settings.urls import refuse_unreadable, secrets_of

if TYPE_CHECKING:
    from churn_platform.automation.dagster_private import ConfigurableClassData


class Psycopg2Storage(DagsterPostgresStorage):
    """dagster-postgres announces each event by `NOTIFY` with parameters, which psycopg2 puts into the statement.

    From 2.1 on, SQLAlchemy uses psycopg where a URL names no driver; that sends the parameters to PostgreSQL, which
    refuses them.
    """

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Psycopg2Storage:
        """The storage at `postgres_url`. Raises SettingsError for a URL that could be read wrongly."""
        from sqlalchemy import make_url

        given = config_value["postgres_url"]
        try:
            refuse_unreadable(given)
        except ValueError as error:
            raise SettingsError(f"{variable('postgres_url')}: {error}") from None
        secrets.keep(secrets_of(given))
        telling.watch()
        blank_errors()
        url = make_url(given).set(drivername="postgresql+psycopg2")
        return cls(url.render_as_string(hide_password=False), inst_data=inst_data)
