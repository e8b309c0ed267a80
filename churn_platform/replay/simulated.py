"""Simulated: a synthetic company's months lived through, measured against the best that anybody could reach.

Here: delivering its months and labels, and measuring with the truth. Not here: the company (`simulation`), living
through a month (`player`), or what the months add up to (`regret`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from churn_platform.contracts import declared
from churn_platform.local.making import RefusedError
from churn_platform.modelling.metrics import auc
from churn_platform.progress import Follow, unseen
from churn_platform.replay.player import Model, Player, Settled
from churn_platform.replay.regret import Lived
from churn_platform.settings import Settings
from churn_platform.shown import counted
from churn_platform.simulation.drops import SimulatedMonth, refuse_others, simulate, write_drop
from churn_platform.simulation.hazard import Shock
from churn_platform.tables.features import is_holdout
from churn_platform.tables.names import FEATURES

if TYPE_CHECKING:
    import pandas as pd


def replay(
    settings: Settings,
    months: int,
    customers: int,
    seed: int,
    shocks: Sequence[Shock] = (),
    label_delay: int = 1,
    follow: Follow = unseen,
) -> Iterator[Lived]:
    """Live through the company's first months. The labels of a month come with the drop `label_delay` months later.

    `follow` is told the steps of the platform's runs.

    Raises SimulationError for a company that cannot be simulated, RefusedError if the last month is not over yet, since
    it could not be closed, and RunFailedError if a month stops.
    """
    refuse_others(declared(settings.company))
    last = settings.first + (months - 1)
    if last.as_of >= date.today():
        raise RefusedError(
            f"{counted(months, 'month')} from {settings.first} would end with {last}, which is not over yet: "
            "ask for fewer"
        )
    player = Player(settings, follow)
    later = player.contract.labels.name
    awaited: list[tuple[Path, bytes]] = []
    for month in simulate(months, customers, seed, shocks, settings.first):
        labels = write_drop(month, settings.drops) / f"{later}.csv"
        awaited.append((labels, labels.read_bytes()))
        labels.unlink()
        for path, content in awaited[: len(awaited) - label_delay]:
            path.write_bytes(content)
        awaited = awaited[len(awaited) - label_delay :]
        yield _lived(player, player.settle(month.month), month)


def _lived(player: Player, settled: Settled, month: SimulatedMonth) -> Lived:
    customers, probability, labels = _holdout(player, month)

    def measured(model: Model | None) -> float | None:
        return None if model is None else auc(model(customers), labels)

    return Lived(
        month=str(month.month),
        drift_share=settled.drift_share,
        causes=settled.causes,
        faults=settled.faults,
        champion_auc=measured(settled.before.champion),
        candidate_auc=settled.evaluations[-1].candidate.metrics["auc"] if settled.evaluations else None,
        promoted=settled.promoted,
        version=settled.after.version,
        auc=measured(settled.after.champion),
        first_auc=measured(settled.after.first),
        gated_auc=measured(settled.after.gated),
        fresh_auc=measured(settled.after.fresh),
        best_auc=auc(probability, labels),
    )


def _holdout(player: Player, month: SimulatedMonth) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The month's holdout customers: features, true churn probabilities, labels, in the same order."""
    features, contract, tables = player.home.lake.read(FEATURES, month.month), player.contract, month.tables
    customers = features.filter(is_holdout(features[contract.key])).order_by(contract.key).to_pandas()
    # Simulated months are in key order.
    rows = np.searchsorted(tables[contract.customers.name][contract.key], customers[contract.key].to_numpy(dtype=str))
    return customers, month.churn_probability[rows], tables[contract.labels.name][contract.label][rows]
