"""Quiet: what MLflow reads when it is imported.

Here: few retries, no telemetry, no progress bars. Not here: what is asked of MLflow (`registry`).
"""

from __future__ import annotations

import os

# MLflow's own retries take minutes, and its telemetry stalls on a closed network; both are read at import. It prints
# where a run is seen with the user and password of its server.
_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "GIT_PYTHON_REFRESH": "quiet",
}


def quiet_mlflow() -> None:
    """Set what MLflow reads when it is imported: few retries, no telemetry. Call it before that."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
