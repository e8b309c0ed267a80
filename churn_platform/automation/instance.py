"""The instance: Dagster's own storage and behaviour, generated from the settings.

Here: `dagster.yaml` and the environment that Dagster reads, the same for a laptop and for production. Not here:
definitions, running anything, or how a dead run is recognised (`launcher`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_platform.faults import entrance
from churn_platform.files import replacing
from churn_platform.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

LOCATION = "churn_platform"
"""The name of the code location."""
POSTGRES_VARIABLE = "CHURN_POSTGRES_URL"


def configuration(settings: Settings) -> dict[str, Any]:
    """What `dagster.yaml` says: SQLite under `CHURN_HOME`, or PostgreSQL where its URL is set."""
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},  # a fresh instance would greet with a newsletter dialog
        "run_launcher": {"module": "churn_platform.automation.launcher", "class": "WatchedRunLauncher"},
        "concurrency": {
            "runs": {
                "max_concurrent_runs": settings.max_concurrent_runs,
                # Two runs of one month would write the same tables.
                "tag_concurrency_limits": [
                    {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
                ],
            },
            # A run holds the pools of all its assets from start to end; each pool admits one.
            "pools": {"granularity": "run", "default_limit": 1},
        },
        # A code server that is being restarted costs a queued run some seconds, not its life.
        "run_queue": {
            "dequeue_interval_seconds": 1,
            "max_user_code_failure_retries": 10,
            "user_code_failure_retry_delay": 5,
        },
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 5,
            "start_timeout_seconds": 60,  # a run that is given up on here does nothing if it starts after all
            "free_slots_after_run_end_seconds": 30,
        },
        # A crashed run is tried again; a drop that breaks its contract stays broken however often it is read.
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        "code_servers": {"reload_timeout": 120},
        **_storage(settings),
    }


def _storage(settings: Settings) -> dict[str, Any]:
    if not settings.postgres_url.get_secret_value():
        return {}  # SQLite under Dagster's home
    url = {"postgres_url": {"env": POSTGRES_VARIABLE}}  # its password stays out of the file
    module = "churn_platform.automation.storage"
    return {"storage": {"custom": {"module": module, "class": "Psycopg2Storage", "config": url}}}


def prepare(settings: Settings) -> Path:
    """Write `dagster.yaml` where it is missing or out of date, and point Dagster to it. Returns Dagster's home."""
    import yaml

    text = "# Generated from CHURN_* settings; changes are overwritten.\n" + yaml.safe_dump(configuration(settings))
    file = settings.dagster_home / "dagster.yaml"
    if not file.exists() or file.read_text() != text:
        with replacing(file) as temporary:
            temporary.write_text(text)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)
    if url := settings.postgres_url.get_secret_value():
        os.environ[POSTGRES_VARIABLE] = url
    return settings.dagster_home


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that the UI, the daemon and the command line share."""
    import dagster as dg

    prepare(settings)
    return dg.DagsterInstance.get()


def make_storage(settings: Settings) -> None:
    """Make the storage's tables and pools, before any other program of Dagster opens it.

    Programs that race to make a fresh storage's tables break it for good, and the queue respects a pool's default limit
    only from the second time that it sees the pool.
    """
    from churn_platform.assets.models import TRAINING

    with open_instance(settings) as instance:
        storage = instance.event_log_storage
        if TRAINING not in {pool.name for pool in storage.get_pool_limits()}:
            storage.initialize_concurrency_limit_to_default(TRAINING)


if __name__ == "__main__":
    with entrance():
        make_storage(Settings())
