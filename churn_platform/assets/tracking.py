"""Tracking: dagster-mlflow's resource, opened when a run needs it and closed whatever happens to the run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from churn_platform.assets.faults import told_plainly
from churn_platform.champion.registry import EXPERIMENT, Registry
from churn_platform.champion.tags import CAUSE_TAG, PARTITION_TAG, PROCESS_TAG
from churn_platform.files.owners import lives, own_process
from churn_platform.files.scratch import all_scratch
from churn_platform.home import Home
from churn_platform.settings import Settings
from churn_platform.shown import MOST, as_text, inert

_KIND = ("mlflow.experimentKind", "custom_model_development")
"""Has MLflow's UI show what is of use for models like these, not what is for language models."""


@dg.resource(
    required_resource_keys={"home"},
    description="The MLflow run of this Dagster run: dagster-mlflow's `mlflow_tracking` on the platform's own store.",
)
def mlflow(context: dg.InitResourceContext) -> Iterator[Any]:
    """Start an MLflow run and end it: as failed, unless whoever used it has already ended it well.

    Runs that killed processes have left under way are ended too.

    dagster-mlflow imports MLflow, which costs more than all the definitions, so it is imported here. Its own hook
    ends a run only in jobs that carry the hook.
    """
    home: Home = context.resources.home
    with told_plainly(), home.registry.reachable():
        _end_dead_runs(home.registry)  # and, first of all, makes the tables of a fresh store
        import mlflow
        from dagster_mlflow import mlflow_tracking

        config = {"experiment_name": EXPERIMENT, "mlflow_tracking_uri": home.registry.mlflow_uri}
        tracking: Iterator[Any] = mlflow_tracking.resource_fn(context.replace_config(config))  # type: ignore[call-arg]
        with _tagged({PROCESS_TAG: own_process()}):
            run = next(tracking)
        home.registry.client.set_experiment_tag(run.active_run().info.experiment_id, *_KIND)
        assert context.run is not None, "a step needs this"
        run.set_tags(described(context.run, home.settings))
    try:
        with all_scratch(home.registry.scratch):  # MLflow's own folders too
            yield run
    finally:
        if mlflow.active_run() is not None:
            mlflow.end_run("FAILED")
        next(tracking, None)


def described(run: dg.DagsterRun, settings: Settings) -> dict[str, str]:
    """The tags that give an MLflow run its name and description: the month it trains for, why, and where to look."""
    month, cause = run.tags.get(PARTITION_TAG, "no month"), run.tags.get(CAUSE_TAG, "asked for by hand")
    cause = cause.removeprefix("RETRAINING_TRIGGERED ").removesuffix(f" month={month}")
    return {
        "mlflow.runName": as_text(f"{month}: {cause}"[:MOST]),  # MLflow shows names as they are, unlike descriptions
        "mlflow.note.content": (
            f"Trained for {inert(month)}: {inert(cause, 200)}. [The Dagster run]({settings.run_url(run.run_id)}) shows"
            " the comparison with the champion and what was decided."
        ),
    }


@contextmanager
def _tagged(tags: dict[str, str]) -> Iterator[None]:
    """Have MLflow make runs with these tags: a kill between making one and tagging it would leave it unknown."""
    from mlflow.environment_variables import MLFLOW_RUN_CONTEXT

    MLFLOW_RUN_CONTEXT.set(json.dumps(tags))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        MLFLOW_RUN_CONTEXT.unset()  # type: ignore[no-untyped-call]


def _end_dead_runs(registry: Registry) -> None:
    """End as killed the runs under way whose process is gone."""
    client = registry.client
    found = client.get_experiment_by_name(EXPERIMENT)
    assert found is not None, "opening the store makes it"
    for run in client.search_runs([found.experiment_id], "attributes.status = 'RUNNING'"):
        if (owner := run.data.tags.get(PROCESS_TAG)) and not lives(owner):
            client.set_terminated(run.info.run_id, "KILLED")
