"""Tags: by which names the platform and Dagster write on runs what they are for.

Here: the names, so that rooms with and without Dagster read the same ones. Not here: what follows from them.
"""

from __future__ import annotations

PARTITION_TAG = "dagster/partition"
"""The month of a Dagster run."""

CAUSE_TAG = "churn/cause"
"""Why a Dagster run was started, where a sensor did."""

PROCESS_TAG = "churn.process"
"""The process of an MLflow run."""
