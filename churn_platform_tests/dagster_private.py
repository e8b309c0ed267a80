"""Dagster's private names that only tests need, and why. The platform's are in `automation.dagster_private`."""

from __future__ import annotations

# Whether the UI shows an asset's month as stale.
from dagster._core.definitions.data_version import CachingStaleStatusResolver as CachingStaleStatusResolver
from dagster._core.definitions.data_version import StaleStatus as StaleStatus

# How a code server reports the process that it has started for a run.
from dagster._core.events import EngineEventData as EngineEventData

# What one needs to ask for that staleness.
from dagster._core.loader import LoadingContext as LoadingContext

# The tag that keeps the daemon from starting anything twice.
from dagster._core.storage.tags import RUN_KEY_TAG as RUN_KEY_TAG
