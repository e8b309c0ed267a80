"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster whose runs are forgotten with the test."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral
