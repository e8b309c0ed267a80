"""Dagster's private names that only tests need, and why. The platform's are in `automation.dagster_private`."""

from __future__ import annotations

from types import ModuleType

# Whether the UI shows an asset's month as stale.
from dagster._core.definitions.data_version import CachingStaleStatusResolver as CachingStaleStatusResolver
from dagster._core.definitions.data_version import StaleStatus as StaleStatus

# What a sensor's tick leaves in the storage.
from dagster._core.definitions.run_request import InstigatorType as InstigatorType

# How a code server reports the process that it has started for a run.
from dagster._core.events import EngineEventData as EngineEventData

# What one needs to ask for that staleness.
from dagster._core.loader import LoadingContext as LoadingContext

# The same.
from dagster._core.scheduler.instigation import TickData as TickData
from dagster._core.scheduler.instigation import TickStatus as TickStatus

# The modules that make an engine for each statement.
from dagster._core.storage.event_log.sqlite import sqlite_event_log as _events
from dagster._core.storage.runs.sqlite import sqlite_run_storage as _runs
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage as _schedules

# The tag that keeps the daemon from starting anything twice.
from dagster._core.storage.tags import RUN_KEY_TAG as RUN_KEY_TAG

SQLITE_STORAGES: tuple[ModuleType, ...] = (_events, _runs, _schedules)
