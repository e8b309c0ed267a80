"""Worlds: months of the synthetic company in a lake of their own, without Dagster and without judging them.

Here: what studies are made in. Not here: what is measured of them (`studies`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from churn_platform.contracts import streamflow
from churn_platform.intake.parsing import ROW, parse
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.simulation.drops import FIRST, simulate, write_drop
from churn_platform.simulation.hazard import Shock, ShockKind
from churn_platform.tables import lineage, origins
from churn_platform.tables.features import feature_table, snapshot
from churn_platform.tables.names import FEATURES, landed


@contextmanager
def world(customers: int, seed: int, months: int, shock: ShockKind | None = None, lasting: int = 1) -> Iterator[Lake]:
    """A company's closed months with their labels; the shock, if any, is in the last months, as many as it lasts."""
    with company(customers, seed, months, [Shock(FIRST + months - lasting, shock)] if shock else []) as lake:
        yield lake


@contextmanager
def company(customers: int, seed: int, months: int, shocks: Sequence[Shock]) -> Iterator[Lake]:
    """A company's closed months with their labels."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of its own is made there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        lake = Lake(Path(folder) / "lake", streamflow())
        for month in simulate(months, customers, seed, shocks):
            _close(lake, month.month, write_drop(month, Path(folder) / "drops"))
        yield lake


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


def months_of(lake: Lake) -> Sequence[Month]:
    """The closed months, oldest first."""
    return lake.months(FEATURES)
