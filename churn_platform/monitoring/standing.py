"""Standing: how good the champion has proved to be, how good it is expected to be, and whether another was better.

Here: what `churn status` says of the champion, from what was measured. Not here: measuring it (`performance`,
`rejected`), or the months (`status`).
"""

from __future__ import annotations

import msgspec

from churn_platform.champion.registry import Version
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.lake import Lake
from churn_platform.monitoring import performance, rejected
from churn_platform.tables.names import EXPECTED, FEATURES


class Estimated(msgspec.Struct, frozen=True):
    """The AUC to expect in a month without labels, in words too; 95 % of the truth lies within the `interval`.

    That supposes that churn still follows the same pattern. It is calibrated on the months `calibrated_on`; where there
    are none, the scores are taken for probabilities.
    """

    month: str
    auc: float
    interval: tuple[float, float]
    calibrated_on: tuple[str, ...]
    sentence: str


class Reached(msgspec.Struct, frozen=True, omit_defaults=True):
    """The champion's AUC on a matured month's customers: as it served them or, where not `served`, would have.

    `as_promised` says whether it is within CHURN_REALISED_MARGIN of the one that was promised; None without an AUC.
    `estimate` is, in words, what was to be expected of the same customers by earlier labels, and `as_expected` says
    whether the truth lay within its interval. Both are left out where there is none.
    """

    month: str
    auc: float | None
    served: bool
    as_promised: bool | None
    estimate: str | None = None
    as_expected: bool | None = None


class ChampionStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who serves, the month that it was trained for, and its AUC on that month's holdout customers.

    `reached` is of the newest month where it can be measured: one after that month, with labels. `expected` is of the
    newest closed month, if that has no labels yet. `rejected` compares it with the newest version that was not promoted
    in its place. Each is left out where there is none.
    """

    version: int
    month: str
    auc: float
    reached: Reached | None = None
    expected: Estimated | None = None
    rejected: rejected.Rejected | None = None


def of_champion(home: Home) -> ChampionStatus | None:
    """How the champion stands; None where nothing serves. Raises RegistryError and DocumentError."""
    if (version := home.registry.champion()) is None:
        return None
    return ChampionStatus(
        version.number,
        str(version.month),
        version.auc,
        _reached(home, version),
        _expected(home.lake, version),
        rejected.latest(home.lake, version),
    )


def _expected(lake: Lake, version: Version) -> Estimated | None:
    """What is to be expected of the newest month; None where its labels are known, or another version scored it."""
    month = max(lake.months(FEATURES), default=None)
    if month is None or month in performance.measurable(lake, version):
        return None
    found = lake.document(EXPECTED, month, performance.Expected)
    if found is None or found.version != version.number or found.expected_auc is None or found.interval is None:
        return None
    sentence = f"{found.figure}, {performance.SUPPOSED}; {found.calibration}"
    return Estimated(str(month), found.expected_auc, found.interval, found.calibrated_on, sentence)


def _reached(home: Home, version: Version) -> Reached | None:
    """As measured; worked out now where that has not been done yet, as right after a rollback.

    None where that cannot be done: `declaration` says what is wrong with the version, the features or the labels.
    """
    month = max(performance.measurable(home.lake, version), default=None)
    if month is None:
        return None
    found = performance.of_version(home.lake, month, version.number)
    try:
        found = found or performance.reach(home.lake, month, version, home.registry.bundle(version))
    except Fault:
        return None
    if found is None:
        return None
    margin = home.settings.realised_margin
    as_promised = None if found.auc is None else not performance.falls_short(found.auc, version.auc, margin)
    estimate = found.expected.figure if found.expected.interval else None
    return Reached(str(month), found.auc, found.served, as_promised, estimate, found.as_expected)
