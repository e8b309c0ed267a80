"""What the tests of published tables share: an empty database, a lake to publish, and queries in plain SQL."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform_tests import homes
from churn_platform_tests.streamflow import STREAMFLOW

JANUARY, FEBRUARY, MARCH = (Month(2024, number) for number in (1, 2, 3))


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    """The URL of an empty database on this server, for as long as the block lasts."""
    name = f"published_{os.getpid()}_{time.monotonic_ns()}"
    execute(server, f"CREATE DATABASE {name}")
    yield server.replace("/postgres?", f"/{name}?")
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def execute(url: str, *statements: str) -> None:
    """Run statements that return no rows, each on its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def two_months(folder: Path) -> Lake:
    """The lake of a home with two closed months of 60 customers, which nobody has scored."""
    lake = Lake(folder / "home" / "lake", STREAMFLOW)
    homes.deliver(folder / "drops", months=2)
    for number, month in enumerate((JANUARY, FEBRUARY)):
        homes.land(lake, month, folder / f"drops/month_{number:03d}", labels=True)
        homes.close(lake, month)
    return lake
