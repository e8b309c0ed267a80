"""Leftovers: what killed processes must not leave once their work has been done again."""

from __future__ import annotations

import time

from churn_platform.champion.registry import EXPERIMENT
from churn_platform.home import Home
from churn_platform.settings import Settings

DAY = 86_400.0


def of(settings: Settings) -> list[str]:
    """MLflow runs that nobody will end, and files half written that nobody will remove."""
    found = [f"MLflow run {run} is still running" for run in _running(Home(settings))]
    found += [str(path) for path in settings.home.rglob("*.tmp") if path.stat().st_mtime < time.time() - DAY]
    return found


def _running(home: Home) -> list[str]:
    client = home.registry.client
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
    return [run.info.run_id for run in runs]
