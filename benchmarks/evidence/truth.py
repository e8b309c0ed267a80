"""Truth: what versions are worth for customers without number, of whom a large sample stands for all.

Here: the sample, of companies of their own in a quiet month, and the AUC by the true hazard. Not here: what is measured
against it (`intervals`, `promotions`).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.evidence.worlds import BRANCH, Course
from churn_platform.modelling.estimates import expected_auc
from churn_platform.simulation.company import PILOT
from churn_platform.simulation.drops import simulate
from churn_platform.tables.names import FEATURES

if TYPE_CHECKING:
    import pandas as pd

    from benchmarks.evidence.versions import Version

FIRST_SEED = 1_000_000
"""Seeds from here on are no world's."""


@dataclass(frozen=True)
class Population:
    """Active customers [n] of a quiet month, and the probability [n] with which each churns."""

    customers: pd.DataFrame
    hazard: np.ndarray

    def auc(self, version: Version) -> float:
        """The AUC of a version, over whatever labels chance may give these customers."""
        found = expected_auc(self.hazard, version.probabilities(self.customers))
        if found is None:
            raise ValueError("a population in which everybody or nobody churns")
        return found.auc


@lru_cache(maxsize=1)
def population(companies: int) -> Population:
    """The sample, made once in each process: all customers of so many companies in the month before BRANCH."""
    import pandas as pd

    frames, hazards = [], []
    for company in range(companies):
        with tempfile.TemporaryDirectory() as folder:
            course = Course(Path(folder), simulate(BRANCH, PILOT, FIRST_SEED + company))
            frames.append(course.lake.frame(FEATURES, course.month(BRANCH - 1)))
            hazards.append(course.hazard(BRANCH - 1, frames[-1]))
    return Population(pd.concat(frames, ignore_index=True), np.concatenate(hazards))
