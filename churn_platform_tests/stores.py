"""Stores: MLflow's and Dagster's, which tests make and open by the hundred, at less cost than in use.

Here: copies of empty ones, which hold what a making would, since making one takes seconds; and engines that are kept.
Not here: how stores are made, and what a kill leaves of them (`champion.opening`, `automation.embedded`, and their
tests, whose killed processes make real ones).
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from churn_platform.automation import embedded
from churn_platform.champion import opening

if TYPE_CHECKING:
    from sqlalchemy import Engine


class EmptyStores:
    """Copies of the first store of each kind that this process makes; they are kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self._mlflow, self._dagster = folder / "mlflow", folder / "dagster"
        self._make_mlflow, self._make_dagster = opening._make, embedded._make
        self._mlflow.mkdir()

    def copy_instead(self, patch: pytest.MonkeyPatch) -> None:
        """Have the platform take copies, as long as the patch lasts."""
        patch.setattr(opening, "_make", self._mlflow_made)
        patch.setattr(embedded, "_make", self._dagster_made)

    def _mlflow_made(self, path: Path, experiment: str, artifacts: Path) -> None:
        kept = self._mlflow / experiment
        if not kept.exists():
            self._make_mlflow(kept, experiment, artifacts)
        path.touch(0o644)  # as SQLite does
        shutil.copyfile(kept, path)
        with closing(sqlite3.connect(path)) as database, database:
            where = (artifacts.as_uri(), experiment)
            assert database.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", where).rowcount == 1

    def _dagster_made(self, home: Path) -> None:
        if not self._dagster.exists():
            self._make_dagster(self._dagster)
        shutil.copytree(self._dagster, home)


def keep_engines(patch: pytest.MonkeyPatch) -> None:
    """Have Dagster keep SQLAlchemy's engines for its SQLite files, as long as the patch lasts.

    It makes one for each statement, which then has to be compiled anew. An engine that is kept still opens and closes
    a connection each time, so nobody notices when its file is replaced.
    """
    from churn_platform_tests.dagster_private import SQLITE_STORAGES

    for module in SQLITE_STORAGES:
        patch.setattr(module, "create_engine", _engine)


def _engine(url: str, *, poolclass: type, connect_args: dict[str, Any] | None = None) -> Engine:
    from sqlalchemy import NullPool

    assert poolclass is NullPool, "it would keep connections"
    return _kept_engine(url, tuple((connect_args or {}).items()))


@lru_cache(maxsize=100)
def _kept_engine(url: str, connect_args: tuple[tuple[str, Any], ...]) -> Engine:
    from sqlalchemy import NullPool, create_engine

    return create_engine(url, poolclass=NullPool, connect_args=dict(connect_args))
