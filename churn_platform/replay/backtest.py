"""Backtest: a company's own months, lived through in order as if nothing were known of what came later.

Here: delivering the months one by one, and measuring once their labels are known. Not here: living through a month
(`player`), when labels are known (`tables.maturity`), or the figures (`worth`).

A month is delivered the day after it ends. Its labels come with it, as far as the drop has them, and count from their
day on; those that follow from absence come when the months after are closed. What matures before the next month ends is
learned from on that month's last day. A version that learned from labels which counted on the day of the delivery
itself does not serve their month: whoever served before does.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from churn_platform.day import living_on
from churn_platform.intake.drops import delivered
from churn_platform.local.making import RefusedError
from churn_platform.months import Month
from churn_platform.progress import Follow, unseen
from churn_platform.replay.player import Model, Player, Settled
from churn_platform.replay.worth import BacktestedMonth, Worth, worth
from churn_platform.settings import Settings
from churn_platform.tables import maturity, training_set


def months_of(drops: Path, first: Month) -> dict[Month, Path]:
    """The drops to live through, oldest first: of all months from `first` on that are over.

    Raises RefusedError where one is missing, or all are, and DropError.
    """
    found = {month: drop for month, drop in delivered(drops, first).items() if first <= month < Month.of(date.today())}
    months = dict(zip(found, [first + later for later in range(len(found))], strict=True))
    if gap := next((wanted for month, wanted in months.items() if month != wanted), None):
        raise RefusedError(f"{gap} has no drop in {drops} (CHURN_DROPS): a backtest needs every month from {first} on")
    if not found:
        raise RefusedError(f"there is no drop in {drops} (CHURN_DROPS)")
    return found


class Backtest:
    """A platform of its own, in the home and the folder of drops that these settings name, and the months' drops."""

    def __init__(self, settings: Settings, drops: dict[Month, Path], follow: Follow = unseen) -> None:
        self._player = Player(settings, follow)
        self._settings = settings
        self._drops = drops

    def lived(self) -> Iterator[tuple[Settled, Settled]]:
        """Each month once it was delivered, and when the next one is about to be. Raises RunFailedError."""
        self._settings.drops.mkdir(parents=True, exist_ok=True)
        for month, drop in self._drops.items():
            (self._settings.drops / drop.name).symlink_to(drop.resolve(), target_is_directory=True)
            with living_on(month.as_of + timedelta(days=1)):
                at_first = self._player.settle(month)
            with living_on(min((month + 1).as_of, date.today())):
                then = self._player.settle(month)
            yield at_first, then

    def tested(self, lived: list[tuple[Settled, Settled]]) -> tuple[BacktestedMonth, ...]:
        """What the months were worth, by all labels that are known by now."""
        if lived:
            self._player.settle(lived[-1][0].month)
        return tuple(self._tested(*month) for month in lived)

    def _tested(self, at_first: Settled, then: Settled) -> BacktestedMonth:
        month, lake, contract = at_first.month, self._player.home.lake, self._player.contract
        known, day = month in training_set.matured(lake), maturity.known_from(contract, month)
        serving = at_first.before if day <= month.as_of + timedelta(days=1) else at_first.after
        customers = training_set.holdout(lake, month) if known else None
        labels = np.array([]) if customers is None else customers[contract.label].to_numpy(dtype=bool)
        fees = None if customers is None or not contract.fee else customers[contract.fee].to_numpy(dtype=np.float64)

        def measured(model: Model | None) -> Worth:
            return Worth() if model is None or customers is None else worth(model(customers), labels, fees)

        return BacktestedMonth(
            month=str(month),
            drift_share=at_first.drift_share,
            causes=(*at_first.causes, *then.causes),
            faults=(*at_first.faults, *then.faults),
            labels_from=day.isoformat(),
            promotions=at_first.promoted + then.promoted,
            version=serving.version,
            customers=len(labels),
            platform=measured(serving.champion),
            never=measured(serving.first),
            each_month=measured(serving.fresh),
        )
