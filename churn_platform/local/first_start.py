"""First start: what a newcomer's platform does by itself, so that it has something to show within a minute.

Here: which months are closed and trained for before the sensors take over, and in which order; `python -m` does it.
Not here: closing and training (`runs`), or the later months, which are the sensors' business.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from churn_platform.champion.promotion import paused
from churn_platform.faults import Fault, entrance, placing
from churn_platform.home import Home
from churn_platform.intake.drops import delivered
from churn_platform.local.runs import Runs
from churn_platform.months import Month
from churn_platform.settings import Settings, begin
from churn_platform.shown import as_text
from churn_platform.tables.names import EVALUATION, FEATURES
from churn_platform.tables.training_set import matured


def is_due(settings: Settings) -> bool:
    """Whether no version was ever compared: the home is new, or its first start was cut short."""
    return not any((settings.lake / EVALUATION).glob("*.json"))


def first_start(settings: Settings) -> Iterator[str]:
    """Live through the delivered months as if they came one by one, and say what happens.

    The first matured month trains the first champion, the newest one a candidate that is compared with it. Months that
    an interrupted first start has closed are not closed again. Raises what `Runs` raises.
    """
    runs, home = Runs(settings), Home(settings)
    trained: Month | None = None
    months = runs.closable() if delivered(settings.drops, settings.first) else ()
    yield from runs.left_out()
    for month in months:
        if not home.lake.has(FEATURES, month):
            yield f"closing {month} ..."
            for closed in runs.close(month):
                yield str(closed)
                yield from closed.details()
        if trained is None and month in matured(home.lake):
            trained = month
            yield from _train(runs, month)
    newest = max(matured(home.lake), default=None)
    if newest is not None and newest != trained:
        yield from _train(runs, newest)
    if not months:
        yield f"no drop in {settings.drops} yet: put one there, such as month_000"
    elif trained is None:
        yield "no month has labels yet: the first champion is trained when they arrive"


def _train(runs: Runs, month: Month) -> Iterator[str]:
    if why := paused(runs.home.ledger):
        yield why
        return
    yield f"training for {month} ..."
    evaluation, receipt = runs.retrain(month)
    yield evaluation.decision if receipt is None else receipt.why


def main() -> None:
    """Do it, printing one line for each thing that happens. Exits with 1 if a month stops."""
    try:
        with placing():
            for line in first_start(begin()):
                print(as_text(line), flush=True)  # noqa: T201
    except Fault as fault:
        print(f"stopped: {fault}", flush=True)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    with entrance():
        main()
