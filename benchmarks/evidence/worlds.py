"""Worlds: months of the synthetic company in a lake of their own, without Dagster and without judging them.

Here: closing months once for all studies, what else would have come of the same company, and what is true of it. Not
here: the versions that learn from them (`versions`), or what is measured (`promotions` and the other studies).

A month of the company depends neither on how many follow nor on what happens later, so every study of a size and a seed
looks at the same company: a quiet one for QUIET months, then with two shocks.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from os import link
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from churn_platform.contracts import streamflow
from churn_platform.intake.parsing import ROW, parse
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.simulation.drops import FIRST, SimulatedMonth, simulate, write_drop
from churn_platform.simulation.hazard import Shock, ShockKind
from churn_platform.tables import lineage, origins, training_set
from churn_platform.tables.features import feature_table, snapshot
from churn_platform.tables.names import FEATURES, landed

if TYPE_CHECKING:
    import pandas as pd

MONTHS = 16
"""How many months a company is followed."""

QUIET = 5
"""How many of them are quiet, from the first on."""

SHOCKED = (QUIET, 10)
"""The numbers of the months in which something happens to it, from 0."""

YEAR = (Shock(FIRST + SHOCKED[0], ShockKind.PRICE_RISE), Shock(FIRST + SHOCKED[1], ShockKind.SERVICE_OUTAGE))

BRANCH = 3
"""The number, from 0, of the month in which a shock comes that the company is spared; a month after it is known, too.

The ratios to the months before are complete in it and in the month before it.
"""

_FILE_OF = re.compile(r"(\d{4}-\d{2})\.")


class Course:
    """A company's months as they come, numbered from 0 and closed when they are first asked for, in this folder."""

    def __init__(self, folder: Path, months: Iterator[SimulatedMonth]) -> None:
        self.lake = Lake(folder / "lake", streamflow())
        self._drops, self._coming = folder / "drops", months
        self._holdouts: dict[int, pd.DataFrame] = {}
        self._hazards: list[tuple[np.ndarray, np.ndarray]] = []

    def month(self, number: int) -> Month:
        """The month of this number, which is closed by then, with its labels."""
        while len(self._hazards) <= number:
            month = next(self._coming)
            keys = month.tables[self.lake.contract.customers.name][self.lake.contract.key]
            self._hazards.append((keys, month.churn_probability))
            if not self.lake.has(FEATURES, month.month):
                _close(self.lake, month.month, write_drop(month, self._drops))
        return FIRST + number

    def holdout(self, number: int) -> pd.DataFrame:
        """The labelled holdout customers of a month, read once."""
        if number not in self._holdouts:
            self._holdouts[number] = training_set.holdout(self.lake, self.month(number))
        return self._holdouts[number]

    def labels(self, number: int) -> np.ndarray:
        """Whether each of these customers churned."""
        return self.holdout(number)[self.lake.contract.label].to_numpy(dtype=bool)

    def customers(self, number: int) -> pd.DataFrame:
        """The labelled customers of a month, whether versions learn from them or not, in key order."""
        lake, month = self.lake, self.month(number)
        rows = lake.read(FEATURES, month).join(training_set.labels_of(lake, month), lake.contract.key)
        frame: pd.DataFrame = rows.order_by(lake.contract.key).to_pandas()
        return frame

    def hazard(self, number: int, customers: pd.DataFrame) -> np.ndarray:
        """The true churn probabilities of these customers in a month."""
        self.month(number)
        keys, probabilities = self._hazards[number]  # in key order
        return probabilities[np.searchsorted(keys, customers[self.lake.contract.key].to_numpy(dtype=str))]

    @contextmanager
    def apart(self) -> Iterator[Lake]:
        """The lake with what is closed by now, for a study that writes what the platform would keep of its versions."""
        with tempfile.TemporaryDirectory(dir=self.lake.root.parent) as folder:
            shutil.copytree(self.lake.root, Path(folder) / "lake", copy_function=link)
            yield Lake(Path(folder) / "lake", self.lake.contract)


class World:
    """The company of this size and seed: its course over these months, and what else could have come."""

    def __init__(self, folder: Path, customers: int, seed: int, months: int) -> None:
        self.customers, self.seed, self.months = customers, seed, months
        self._folder = folder
        self._after: dict[ShockKind, Course] = {}

    @cached_property
    def year(self) -> Course:
        """Quiet months first, then the shocks of YEAR."""
        return Course(self._folder / "year", simulate(self.months, self.customers, self.seed, YEAR))

    def after(self, shock: ShockKind) -> Course:
        """The same company with another fate: this shock in the month BRANCH."""
        if shock not in self._after:
            self.year.month(BRANCH - 1)
            folder = self._folder / shock
            shutil.copytree(self.year.lake.root, folder / "lake", copy_function=link, ignore=_from_branch_on)
            months = simulate(BRANCH + 2, self.customers, self.seed, [Shock(FIRST + BRANCH, shock)])
            self._after[shock] = Course(folder, months)
        return self._after[shock]


@contextmanager
def world(customers: int, seed: int, months: int = MONTHS) -> Iterator[World]:
    """A world in memory, as long as there is room."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of its own is made there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield World(Path(folder), customers, seed, months)


def _from_branch_on(_: str, names: Sequence[str]) -> set[str]:
    """The files of months that are another fate's."""
    return {name for name in names if (found := _FILE_OF.match(name)) and Month.parse(found[1]) >= FIRST + BRANCH}


def _close(lake: Lake, month: Month, drop: Path) -> None:
    contract = lake.contract
    for table in contract.tables:
        typed = parse(lake.engine, drop / f"{table.name}.csv", table.at(month)).typed
        lake.write(landed(table.name), month, typed.drop(ROW).order_by(contract.key))
    for name, table in contract.snapshots.items():
        before = lake.read(name, month - 1) if month > FIRST else None
        lake.write(name, month, snapshot(table, month, lake.read(landed(table.name), month), before))
    snapshots = {
        name: [lake.read(name, m) for m in lineage.window(lake, name, month, FIRST)] for name in contract.snapshots
    }
    inputs = lineage.inputs(lake, FEATURES, month, FIRST)
    lake.write(FEATURES, month, feature_table(contract, month, snapshots), built_from=inputs)
    origins.record(lake, month)
