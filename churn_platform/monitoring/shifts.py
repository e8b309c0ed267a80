"""Shifts: whether a month's features are distributed otherwise than the month before's, by two-sample tests.

Here: the tests and their level. Not here: how far a month is from what the champion learned (`drift`), which large
changes alone reach, or the rows that are compared (`frames`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import msgspec

from churn_platform.company import past
from churn_platform.lake import Lake
from churn_platform.monitoring.frames import frame, left_out
from churn_platform.months import Month
from churn_platform.tables.features import schema
from churn_platform.tables.names import FEATURES

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
"""How likely some feature of a month like the one before counts as shifted; each has its part (Bonferroni)."""

MOST_ROWS = 10_000
"""More customers than this are sampled: among a million, tests find what nobody has to know."""

_RISING, _FALLING, _PAIRS = 0.9, 0.01, 30
_EXPECTED = 5.0


class Shift(msgspec.Struct, frozen=True):
    """One feature's test against the month before; it has shifted if `p_value` is below LEVEL over all that count."""

    column: str
    test: Literal["ks", "chi2"]
    p_value: float
    shifted: bool


def compare(lake: Lake, month: Month, most: int = MOST_ROWS) -> tuple[Shift, ...]:
    """Test each feature of the month against the month before, the least likely first. Raises MissingTableError.

    Numbers by Kolmogorov and Smirnov's test, others by Pearson's chi-squared; an unknown value is one of its own.
    Left out are features that cannot differ; those that age, since all customers are older now and none is another; and
    those made of a column's past, since the column is tested itself. Most customers are in both months, so the samples
    are alike more often than the level says.
    """
    reach = [month - ago for ago in (2, 1, 0) if lake.has(FEATURES, month - ago) or ago < 2]
    frames = [frame(lake, [then], most)[0] for then in reach]
    before, now = frames[-2:]
    of_the_past = (name for name, _ in past.features(lake.contract.declaration.features.history))
    unfit = {*left_out(now, before), *ageing(frames), *of_the_past}
    tested = [feature for feature in schema(lake.contract) if feature.name not in unfit]
    level = LEVEL / max(len(tested), 1)
    shifts = []
    for feature in tested:
        numeric = feature.kind == "number"
        values = before[feature.name], now[feature.name]
        p_value = (_kolmogorov_smirnov if numeric else _chi_squared)(*values)
        shifts.append(Shift(feature.name, "ks" if numeric else "chi2", p_value, p_value < level))
    return tuple(sorted(shifts, key=lambda shift: (shift.p_value, shift.column)))


def ageing(frames: Sequence[pd.DataFrame]) -> frozenset[str]:
    """The numbers that rise with time by nature, such as a tenure, judged on months that follow one another.

    From each month to the next, of those who are in both, nine in ten rise and at most one in a hundred falls. Of two
    months alone, nine in ten also have to rise by the same step: a price rise is nothing of the kind. Where prices rise
    twice in a row, they count as ageing.
    """
    names = [str(name) for name in frames[0] if all(frame[name].dtype == "float64" for frame in frames)]
    for before, now in pairwise(frames):
        change = now[names].sub(before[names]).dropna(how="all")  # customers of both months
        alike = len(frames) == 2
        names = [name for name in names if _rises(steps := change[name].dropna()) and (not alike or _is_one(steps))]
    return frozenset(names)


def _rises(change: pd.Series) -> bool:
    rising, falling = (change > 0).sum(), (change < 0).sum()
    return len(change) >= _PAIRS and rising >= _RISING * len(change) and falling <= _FALLING * len(change)


def _is_one(steps: pd.Series) -> bool:
    """Whether nearly all rise by the same step."""
    return bool(steps.value_counts().iloc[0] >= _RISING * len(steps))


def _kolmogorov_smirnov(before: pd.Series, now: pd.Series) -> float:
    """The p-value of the two-sample test, two-sided; the unknown lie below all others."""
    import numpy as np
    from scipy.stats import ks_2samp

    below = np.nextafter(min(before.min(), now.min()), -np.inf)
    return float(ks_2samp(before.fillna(below), now.fillna(below), method="asymp").pvalue)


def _chi_squared(before: pd.Series, now: pd.Series) -> float:
    """The p-value of the test of homogeneity; values that are too rare for it count as one."""
    import pandas as pd
    from scipy.stats import chi2_contingency

    counts = pd.DataFrame({n: s.value_counts(dropna=False) for n, s in (("before", before), ("now", now))}).fillna(0)
    smaller = min(len(before), len(now)) / (len(before) + len(now))
    rare = counts.sum(axis=1) * smaller < _EXPECTED
    table = [*counts[~rare].to_numpy(), *([counts[rare].sum().to_numpy()] if rare.any() else [])]
    return float(chi2_contingency(table, correction=False).pvalue) if len(table) > 1 else 1.0
