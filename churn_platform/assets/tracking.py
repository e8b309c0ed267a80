"""Tracking: dagster-mlflow's resource, opened when a run needs it and closed whatever happens to the run."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from churn_platform.assets.faults import told_plainly
from churn_platform.champion.registry import EXPERIMENT
from churn_platform.home import Home


@dg.resource(
    required_resource_keys={"home"},
    description="The MLflow run of this Dagster run: dagster-mlflow's `mlflow_tracking` on the platform's own store.",
)
def mlflow(context: dg.InitResourceContext) -> Iterator[Any]:
    """Start an MLflow run and end it: as failed, unless whoever used it has already ended it well.

    dagster-mlflow imports MLflow, which costs more than all the definitions, so it is imported here. Its own hook
    ends a run only in jobs that carry the hook.
    """
    home: Home = context.resources.home
    with told_plainly(), home.registry.reachable():
        _ = home.registry.client  # migrates a fresh store, which steps would race to do
        import mlflow
        from dagster_mlflow import mlflow_tracking

        config = {"experiment_name": EXPERIMENT, "mlflow_tracking_uri": home.registry.uri}
        tracking: Iterator[Any] = mlflow_tracking.resource_fn(context.replace_config(config))  # type: ignore[call-arg]
        run = next(tracking)
    try:
        yield run
    finally:
        if mlflow.active_run() is not None:
            mlflow.end_run("FAILED")
        next(tracking, None)
