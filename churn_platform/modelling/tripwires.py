"""Tripwires: what is measured of a month and the months before it, so that a leak is seen.

Here: the facts that `leaks` answers from, out of labelled rows. Not here: which rows those are (`champion.comparing`),
or what follows from the facts (`leaks`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from churn_platform.bundle import Feature
from churn_platform.modelling.alone import Rank, rank
from churn_platform.modelling.facts import Lone, Marked, Watched

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 10_000
"""More customers of a month than this are sampled to see what one feature tells."""

KEPT = 5
"""How many features an evaluation names of each kind."""

Labelled = tuple["pd.DataFrame", np.ndarray]
"""A month's customers, ordered by key, and whether each of them churned."""


def watch(schema: Sequence[Feature], now: Labelled, earlier: Sequence[Labelled]) -> Watched:
    """What these features by themselves tell of a month's customers, against earlier months."""
    ranks, before = _ranks(schema, now), [_ranks(schema, month) for month in earlier]
    highest = max((rank for month in before for rank in month.values()), key=_auc, default=None)
    risen, fallen = [], []
    for name, own in ranks.items():
        known = [month[name] for month in before if name in month]
        most = max(known, key=_auc) if known else highest
        risen.append(_lone(name, own, most, len(ranks), new=not known and most is not None))
        if known:
            fallen.append(_lone(name, own, min(known, key=_auc), len(ranks)))
    risen.sort(key=lambda lone: (-_rise(lone), lone.feature))
    faded = min(fallen, key=lambda lone: (_rise(lone), lone.feature), default=None)
    return Watched(
        tuple(risen[:KEPT]), (highest.auc, highest.error) if highest else None, faded, _marked(schema, now, earlier)
    )


def _lone(name: str, own: Rank, then: Rank | None, of: int, *, new: bool = False) -> Lone:
    error = math.hypot(own.error, then.error) if then else own.error
    return Lone(name, own.auc, then.auc if then else None, error, of, new)


def _auc(rank: Rank) -> float:
    return rank.auc


def _rise(lone: Lone) -> float:
    """By how many standard errors more it tells than before; its AUC where there is no before."""
    return lone.auc if lone.before is None else (lone.auc - lone.before) / (lone.error or 1.0)


def _marked(schema: Sequence[Feature], now: Labelled, earlier: Sequence[Labelled]) -> tuple[Marked, ...]:
    everyone = float(now[1].mean()) if len(now[1]) else 0.0
    groups = list(_marks(schema, now))
    then = [dict(_marks(schema, month)) for month in earlier]
    found = [
        Marked(
            feature,
            known,
            rows,
            churned,
            everyone,
            len(groups),
            sum(month[feature, known][0] for month in then if (feature, known) in month),
            sum(month[feature, known][1] for month in then if (feature, known) in month),
        )
        for (feature, known), (rows, churned) in groups
    ]
    return tuple(sorted(found, key=lambda marked: (-_surplus(marked), marked.feature, marked.known))[:KEPT])


def _surplus(marked: Marked) -> float:
    """By how many standard errors more of these customers churned than of everyone."""
    expected, varies = marked.everyone * marked.rows, marked.everyone * (1 - marked.everyone) * marked.rows
    return (marked.churned - expected) / math.sqrt(varies or 1.0)


def _ranks(schema: Iterable[Feature], month: Labelled) -> Mapping[str, Rank]:
    frame, labels = month
    found = {f.name: rank(frame[f.name], f.kind, labels) for f in schema if f.name in frame}
    return {name: own for name, own in found.items() if own is not None}


def _marks(schema: Iterable[Feature], month: Labelled) -> Iterator[tuple[tuple[str, bool], tuple[int, int]]]:
    """For each feature that is known for some customers and unknown for others, both groups' size and churned."""
    frame, labels = month
    for feature in schema:
        if feature.name not in frame:
            continue
        known = frame[feature.name].notna().to_numpy()
        if known.any() and not known.all():
            yield (feature.name, True), (int(known.sum()), int(labels[known].sum()))
            yield (feature.name, False), (int((~known).sum()), int(labels[~known].sum()))
