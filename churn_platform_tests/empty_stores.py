"""Empty stores: MLflow's and Dagster's, made once in a process and then copied, since making one takes seconds.

Here: the copies, which hold what a making would. Not here: how stores are made, and what a kill leaves of them
(`champion.opening`, `automation.embedded`, and their tests, whose killed processes make real ones).
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from churn_platform.automation import embedded
from churn_platform.champion import opening


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
