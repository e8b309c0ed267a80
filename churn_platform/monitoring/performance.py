"""Performance: what served scores were worth, as expected from the scores alone and as realised once labels are there.

Here: the figures of one month's served scores, and of those that the champion would have given it where another version
served. Not here: making scores (`tables.delivery`), or comparing versions before one is promoted
(`modelling.evaluation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from churn_platform.champion.registry import Version
from churn_platform.contracts import Contract
from churn_platform.faults import Fault
from churn_platform.lake import Lake
from churn_platform.modelling import estimates
from churn_platform.modelling.metrics import measure
from churn_platform.monitoring.reference import Gathered, gather
from churn_platform.months import Month
from churn_platform.shown import counted
from churn_platform.tables import scoring, training_set
from churn_platform.tables.features import is_holdout
from churn_platform.tables.names import CHURN_SCORES, REACHED, REALISED

if TYPE_CHECKING:
    import pandas as pd

    from churn_platform.bundle import Bundle

BINS = 10

SUPPOSED = "if churn still follows the same pattern"
"""What every estimate before labels supposes."""


class UnlabelledError(Fault):
    """A month with labels for none of its scored customers; the message names the month and says what to do."""


class Expected(msgspec.Struct, frozen=True):
    """What a month's scores promise if churn still follows the same pattern; `promised_auc` is the version's own.

    `expected_auc` and its standard `error` are those of `modelling.estimates`, None if the scores leave no chance of a
    pair in which one customer churns and the other stays. They are calibrated on `calibrated_by` labelled customers of
    the months `calibrated_on`: on none where there are too few, and the scores are taken for probabilities. What an
    earlier version of the platform has written has no `error`.
    """

    month: str
    version: int
    version_month: str
    promised_auc: float
    customers: int
    expected_auc: float | None
    expected_churn_share: float
    error: float | None = None
    calibrated_on: tuple[str, ...] = ()
    calibrated_by: int = 0

    @property
    def interval(self) -> tuple[float, float] | None:
        """What holds the realised AUC in 95 % of cases if churn still follows the same pattern; None if unknown."""
        if self.expected_auc is None or self.error is None:
            return None
        return estimates.interval(self.expected_auc, self.error)

    @property
    def figure(self) -> str | None:
        """The AUC and how sure it is, in words; None where there is none."""
        if self.expected_auc is None:
            return None
        if self.error is None:
            return f"{self.expected_auc:.4f}"
        return f"{self.expected_auc:.4f}, give or take {estimates.IN_95 * self.error:.4f} (95 %)"

    @property
    def calibration(self) -> str:
        """What the figure was calibrated on, in words; nothing where that is not known."""
        if self.error is None:
            return ""
        if self.calibrated_on:
            return f"calibrated on {counted(self.calibrated_by, 'customer')} of {', '.join(self.calibrated_on)}"
        return (
            f"not calibrated: that takes {estimates.ENOUGH} customers who churned in earlier months and as many who "
            f"stayed, none of whom version {self.version} has learned from"
        )


class Bin(msgspec.Struct, frozen=True):
    """A tenth of the customers by score: their mean probability and the share of them that churned."""

    customers: int
    predicted: float
    realised: float


class Outcome(msgspec.Struct, frozen=True):
    """A group of customers and the sum of their monthly fees; None where the company declares none."""

    customers: int
    fees: float | None


class Realised(msgspec.Struct, frozen=True):
    """What a month's scores were worth for its labelled customers, next to what was `expected` for the same ones.

    `holdout_only` says that the version had learned from this month or a later one, so that only customers on whom no
    version is trained are counted. `metrics` are those of `modelling.metrics.measure`, empty if everyone or nobody
    churned. A customer whose score reaches `threshold` counts as flagged: `found` are flagged customers who churned;
    nobody knows how many of them could have been kept. `missed` churned without being flagged; `false_alarms` were
    flagged and stayed. `served` says whether the scores are those that were delivered: if not, the version would have
    given them.
    """

    expected: Expected
    holdout_only: bool
    threshold: float
    churn_share: float
    metrics: dict[str, float]
    bins: tuple[Bin, ...]
    found: Outcome
    missed: Outcome
    false_alarms: Outcome
    served: bool = True

    @property
    def auc(self) -> float | None:
        """The realised AUC; None unless some customers churned and some stayed."""
        return self.metrics.get("auc")

    @property
    def as_expected(self) -> bool | None:
        """Whether the realised AUC lies within the interval of what was expected; None where either is unknown."""
        interval = self.expected.interval
        return None if interval is None or self.auc is None else interval[0] <= self.auc <= interval[1]


def expect(lake: Lake, month: Month, version: Version, gathered: Gathered) -> Expected:
    """What the month's scores, made by `version`, promise, calibrated on these. Raises MissingTableError."""
    return _expected(month, version, lake.read(CHURN_SCORES, month).probability.to_pandas().to_numpy(), gathered)


def realise(lake: Lake, month: Month, version: Version, threshold: float, gathered: Gathered) -> Realised:
    """What the month's scores, made by `version`, were worth, beside what was to be expected by calibrating on these.

    Raises MissingTableError and UnlabelledError.
    """
    leaked = version.month >= month
    rows = _labelled(lake, month, holdout_only=leaked)
    if rows.empty:
        raise UnlabelledError(
            f"no {'holdout ' if leaked else ''}customer of {month} has both a score and a label: "
            f"correct the labels in its drop, and close it again (churn close {month})"
        )
    expected = _expected(month, version, rows["probability"].to_numpy(), gathered)
    return _judged(expected, threshold, rows, holdout_only=leaked, served=True)


def reach(lake: Lake, month: Month, version: Version, bundle: Bundle) -> Realised | None:
    """What `version`, trained before the month, would have been worth had it served; None where nobody has a label.

    Raises MissingTableError.
    """
    scores, _ = scoring.scored(lake, month, bundle)
    key, label = lake.contract.key, lake.contract.label
    labels = training_set.labels_of(lake, month).select(key, label).to_pandas()
    rows = _named(scores.merge(labels, on=key).sort_values(key), lake.contract)
    if rows.empty:
        return None
    expected = _expected(month, version, rows["probability"].to_numpy(), gather(lake, month, version, bundle))
    return _judged(expected, bundle.manifest.threshold, rows, holdout_only=False, served=False)


def of_version(lake: Lake, month: Month, version: int) -> Realised | None:
    """What was measured of a version in a month, whether it served or would have; None where it was not."""
    for name in (REALISED, REACHED):
        found = lake.document(name, month, Realised)
        if found is not None and found.expected.version == version:
            return found
    return None


def falls_short(auc: float, promised: float, margin: float) -> bool:
    """Whether a realised AUC is below the promised one by more than the margin (CHURN_REALISED_MARGIN)."""
    return auc < promised - margin


def measurable(lake: Lake, version: Version) -> tuple[Month, ...]:
    """The months on which a version can be measured for all customers: matured, and after those it was trained on."""
    return tuple(month for month in training_set.judging(lake) if month > version.month)


def _judged(expected: Expected, threshold: float, rows: pd.DataFrame, *, holdout_only: bool, served: bool) -> Realised:
    probabilities, labels = rows["probability"].to_numpy(), rows["churned"].to_numpy(dtype=bool)
    flagged = probabilities >= threshold
    fees = rows["fee"].to_numpy(dtype=np.float64) if "fee" in rows else None
    return Realised(
        expected=expected,
        holdout_only=holdout_only,
        threshold=threshold,
        churn_share=float(labels.mean()),
        metrics=measure(labels, probabilities, threshold) if len(np.unique(labels)) == 2 else {},
        bins=calibration(labels, probabilities),
        found=_outcome(flagged & labels, fees),
        missed=_outcome(~flagged & labels, fees),
        false_alarms=_outcome(flagged & ~labels, fees),
        served=served,
    )


def calibration(labels: np.ndarray, probabilities: np.ndarray) -> tuple[Bin, ...]:
    """Mean probability against churn share in up to BINS groups of equal size, by rising score."""
    groups = np.array_split(np.argsort(probabilities, kind="stable"), min(BINS, len(labels)))
    return tuple(Bin(len(g), float(probabilities[g].mean()), float(labels[g].mean())) for g in groups)


def _expected(month: Month, version: Version, probabilities: np.ndarray, gathered: Gathered) -> Expected:
    found = estimates.estimate(probabilities, gathered.reference)
    return Expected(
        month=str(month),
        version=version.number,
        version_month=str(version.month),
        promised_auc=version.auc,
        customers=len(probabilities),
        expected_auc=found.auc if found else None,
        expected_churn_share=found.churn_share if found else float(probabilities.mean()),
        error=found.error if found else None,
        calibrated_on=tuple(map(str, gathered.months)),
        calibrated_by=len(gathered.reference.labels) if gathered.reference else 0,
    )


def _labelled(lake: Lake, month: Month, *, holdout_only: bool) -> pd.DataFrame:
    """The month's scored customers whose labels have landed, in key order."""
    contract = lake.contract
    key = contract.key
    rows = lake.read(CHURN_SCORES, month).join(training_set.labels_of(lake, month), key)
    if holdout_only:
        rows = rows.filter(is_holdout(rows[key]))
    return _named(rows.order_by(key).to_pandas(), contract)


def _named(rows: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """These rows' `probability`, `churned` and, if they have one, `fee`, whatever the company calls the last two."""
    names = {"probability": "probability", contract.label: "churned"}
    fee = contract.columns[contract.fee] if contract.fee else None
    names |= {name: "fee" for name in ((fee.name, *fee.was) if fee else ()) if name in rows}
    return rows[[*names]].rename(columns=names)


def _outcome(group: np.ndarray, fees: np.ndarray | None) -> Outcome:
    return Outcome(int(group.sum()), None if fees is None else round(float(np.nansum(fees[group])), 2))
