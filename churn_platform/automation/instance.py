"""The instance: Dagster's own storage and behaviour, generated from the settings.

Here: `dagster.yaml` and the environment that Dagster reads, the same for a laptop and for production. Not here:
definitions, running anything, or how a dead run is recognised (`launcher`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_platform.automation import embedded
from churn_platform.faults import Fault, entrance
from churn_platform.files import modes, replacing
from churn_platform.files.links import plain
from churn_platform.home import Home
from churn_platform.settings import Settings, begin

if TYPE_CHECKING:
    import dagster as dg

LOCATION = "churn_platform"
"""The name of the code location."""
POSTGRES_VARIABLE = "CHURN_POSTGRES_URL"

_OPENINGS = 10
"""How often a fresh PostgreSQL is opened while others make its tables: Dagster makes each by itself, without a lock."""


class StorageError(Fault):
    """Dagster's storage cannot be used; the message says which one, why, and what to do."""


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
        "freshness": {"enabled": True},
        **_storage(settings),
    }


def _storage(settings: Settings) -> dict[str, Any]:
    if not settings.postgres_url.get_secret_value():
        return {}  # SQLite under Dagster's home
    url = {"postgres_url": {"env": POSTGRES_VARIABLE}}  # its password stays out of the file
    module = "churn_platform.automation.storage"
    return {"storage": {"custom": {"module": module, "class": "Psycopg2Storage", "config": url}}}


def prepare(settings: Settings) -> Path:
    """Write `dagster.yaml` where it is missing or out of date, and point Dagster to it.

    Returns Dagster's home by a path that Dagster takes as it is.
    """
    import yaml

    text = "# Generated from CHURN_* settings; changes are overwritten.\n" + yaml.safe_dump(configuration(settings))
    file = settings.dagster_home / "dagster.yaml"
    if not file.exists() or file.read_text() != text:
        with replacing(file) as temporary:
            temporary.write_text(text)
    home = plain(settings.dagster_home)
    os.environ["DAGSTER_HOME"] = str(home)
    if url := settings.postgres_url.get_secret_value():
        os.environ[POSTGRES_VARIABLE] = url
    return home


@contextmanager
def answering(settings: Settings) -> Iterator[None]:
    """Turn what Dagster's storage raises where it is damaged, blocked or away into a StorageError."""
    from sqlalchemy.exc import DBAPIError

    raised: tuple[type[Exception], ...] = (DBAPIError, sqlite3.Error)
    if settings.postgres_url.get_secret_value():
        from dagster_postgres.utils import DagsterPostgresException  # after some attempts, where it is opened

        raised += (DagsterPostgresException,)
    try:
        yield
    except raised as error:
        reason = (str(getattr(error, "orig", error)).strip() or type(error).__name__).splitlines()[0]
        if settings.postgres_url.get_secret_value():
            raise StorageError(
                f"Dagster's storage, the PostgreSQL of {POSTGRES_VARIABLE}, does not answer: {reason}"
            ) from error
        raise StorageError(
            f"Dagster's storage in {settings.dagster_home} cannot be used: {reason}; where it is damaged, restore it "
            "from a backup, or move its folders history and schedules away to begin without past runs"
        ) from error


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that the UI, the daemon and the command line share. Raises StorageError."""
    import dagster as dg
    from sqlalchemy.exc import ProgrammingError

    home = prepare(settings)
    with answering(settings):
        if not settings.postgres_url.get_secret_value():
            embedded.prepare(home)
            return dg.DagsterInstance.get()
        for _ in range(_OPENINGS - 1):
            with suppress(ProgrammingError):  # another process was making the same table
                return dg.DagsterInstance.get()
        return dg.DagsterInstance.get()


def make_storage(settings: Settings) -> None:
    """Make the storage's tables and pools, before any other program of Dagster opens it.

    The queue respects a pool's default limit only from the second time that it sees the pool.
    """
    from churn_platform.assets.models import TRAINING

    with answering(settings), open_instance(settings) as instance:
        storage = instance.event_log_storage
        if TRAINING not in {pool.name for pool in storage.get_pool_limits()}:
            storage.initialize_concurrency_limit_to_default(TRAINING)


def take_over_log(settings: Settings) -> None:
    """Move the prediction log to where serving keeps it: an earlier version had it among the lake's tables."""
    before = settings.lake / "prediction_log"
    if before.is_dir():
        settings.prediction_log.mkdir(parents=True, exist_ok=True)
        for file in before.iterdir():
            target = settings.prediction_log / file.name
            lines = file.read_bytes()
            there = target.read_bytes() if target.exists() else b""
            if not there.startswith(lines):  # a start that was cut short has moved it already
                with replacing(target) as temporary:
                    temporary.write_bytes(lines + there)
            file.unlink()
        with suppress(OSError):  # a serving of that version still logs there; the next start moves it
            before.rmdir()


def main() -> None:
    """Make the storage and the tables that others only read, and mend what an earlier version has left in the home.

    Once at each start is enough, and this is what starts first.
    """
    with entrance():
        home = Home(begin())
        settings = home.settings
        take_over_log(settings)
        modes.correct(settings.home, int(settings.file_mode, 8), secret=settings.owner_alone)
        make_storage(settings)
        home.make_tables()


if __name__ == "__main__":
    main()
