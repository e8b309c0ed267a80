"""Reference: the customers whose labels show how often those with a version's scores churn.

Here: a version's scores of a month, and which earlier ones are fair to it. Not here: calibrating on them, and what is
estimated (`modelling.estimates`), or measuring the month itself (`performance`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from churn_platform.bundle import Bundle
from churn_platform.champion.registry import Version
from churn_platform.lake import Lake
from churn_platform.modelling.estimates import Reference
from churn_platform.months import Month
from churn_platform.tables import delivery, scoring, training_set
from churn_platform.tables.features import is_holdout
from churn_platform.tables.names import CHURN_SCORES
from churn_platform.tables.scoring import UnfitFeaturesError

if TYPE_CHECKING:
    import ibis
    import pandas as pd

REACH = 12
"""How many months back customers may be from: before that, others left for other reasons."""


class Gathered(NamedTuple):
    """The customers to calibrate a version's scores on, and their months, oldest first; neither where too few are."""

    reference: Reference | None = None
    months: tuple[Month, ...] = ()


def gather(lake: Lake, month: Month, version: Version, bundle: Bundle) -> Gathered:
    """What the version's scores of a month can be calibrated on: labelled customers of the newest months before it.

    Of a month that the version was trained on, only the holdout customers. Months are added, newest first, until there
    are enough: after a change of who leaves, older ones would tell of what is no more. One whose features the version
    cannot take is passed over.
    """
    months: list[Month] = []
    scores, labels = np.array([]), np.array([], dtype=bool)
    for earlier in reversed(training_set.judging(lake)):
        if not 0 < month.since(earlier) <= REACH:
            continue
        try:
            rows = _labelled(lake, earlier, version, bundle)
        except UnfitFeaturesError:
            continue
        months.insert(0, earlier)
        scores = np.append(scores, rows["probability"].to_numpy())
        labels = np.append(labels, rows[lake.contract.label].to_numpy(dtype=bool))
        if (found := Reference(scores, labels)).is_enough:
            return Gathered(found, tuple(months))
    return Gathered()


def scores_of(lake: Lake, month: Month, version: Version, bundle: Bundle) -> pd.DataFrame:
    """What a version gives the month's customers, with their keys: as it served them or, where it did not, would have.

    The frame has the key, `probability`, and the fee where the company declares one, in key order. Raises
    MissingTableError and UnfitFeaturesError.
    """
    if delivery.served_by(lake, month) == version.number:
        return lake.frame(CHURN_SCORES, month)
    return scoring.scored(lake, month, bundle)[0]


def _labelled(lake: Lake, month: Month, version: Version, bundle: Bundle) -> pd.DataFrame:
    key = lake.contract.key
    labels: ibis.Table = training_set.labels_of(lake, month)
    if str(month) in bundle.manifest.months:
        labels = labels.filter(is_holdout(labels[key]))
    return scores_of(lake, month, version, bundle).merge(labels.to_pandas(), on=key)
