"""Databases: the PostgreSQL databases that a platform's settings name.

Here: which they are, each once. Not here: their settings (`groups`), or what is in them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from churn_platform.settings import Settings

DRIVER = re.compile(r"^postgres(ql)?(\+\w+)?://")
"""How the URL of a PostgreSQL begins; MLflow's, which is SQLAlchemy's, names a driver too."""


def databases_of(settings: Settings) -> dict[str, str]:
    """The URLs of a platform's PostgreSQL databases, by what they are for, whoever tells of others first."""
    uri = settings.mlflow_uri
    urls = {
        "platform": settings.postgres_url.get_secret_value(),
        "mlflow": DRIVER.sub("postgresql://", uri) if DRIVER.match(uri) else "",
        "online": settings.online_store_url.get_secret_value(),
    }
    places = {name: _place(url) for name, url in urls.items() if url}
    names = list(places)
    return {name: urls[name] for name in names if places[name] not in [places[n] for n in names[: names.index(name)]]}


def _place(url: str) -> tuple[object, ...]:
    """What tells one database from another, whoever connects to it and how."""
    from psycopg.conninfo import conninfo_to_dict

    said = conninfo_to_dict(url)
    host = said.get("host") or said.get("hostaddr") or "localhost"
    return host, said.get("port") or "5432", said.get("dbname") or said.get("user")
