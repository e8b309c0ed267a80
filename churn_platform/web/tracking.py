"""Tracking: MLflow's web server behind the admission.

Here: the application that `mlflow server --app-name churn` serves; MLflow finds it by the entry point `mlflow.app` in
`pyproject.toml`. Not here: the rules (`admission`), or what is asked of MLflow (`champion.registry`).

MLflow's own middleware stays in place behind it, with the same names. By itself it would not be enough: it lets every
origin on this machine change things, asks for no token, and does not look at what is posted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from churn_platform.faults import entrance
from churn_platform.settings import begin
from churn_platform.web.admission import Admission
from churn_platform.web.token import api_token


def application() -> Admission:
    """MLflow's server. Uvicorn calls this in each of its processes; a fault ends the process with its sentence."""
    with entrance():
        settings = begin()
        names = settings.host_names
        os.environ["MLFLOW_SERVER_ALLOWED_HOSTS"] = ",".join(_patterns(names))
        os.environ["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] = ",".join(
            f"{scheme}://{pattern}" for scheme in ("http", "https") for pattern in _patterns(names)
        )
        token = api_token(settings)
        from mlflow.server.fastapi_app import app  # reads both when it is imported

        return Admission(app, token, names)


def _patterns(names: Iterable[str]) -> list[str]:
    """The names as MLflow takes them: as they are, and with any port, for which a bracket has to be escaped."""
    return sorted(pattern for name in names for pattern in (name, f"{name.replace('[', '[[]')}:*"))
