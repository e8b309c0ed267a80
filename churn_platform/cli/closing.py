"""Closing: the commands that take months in and train for them.

Here: `close` and `retrain`, and what they print. Not here: doing it (`local.runs`), or a person's decisions
(`deciding`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING

import click

from churn_platform.cli.months import MonthType, closed, delivered
from churn_platform.months import Month
from churn_platform.progress import Progress
from churn_platform.saying import say
from churn_platform.settings import begin

if TYPE_CHECKING:
    from churn_platform.local.runs import Runs
    from churn_platform.monitoring.closed import Closed


@click.command()
@click.argument("month", type=MonthType(delivered), required=False)
@click.option("--all", "every", is_flag=True, help="Close every delivered month, oldest first.")
def close(month: Month | None, every: bool) -> None:
    """Close MONTH: land its drop, build its snapshots and features.

    Closing a month again takes in a corrected drop, and closes later months again where that changes them.
    """
    if (month is None) != every:
        raise click.UsageError("give one MONTH, or --all")
    from churn_platform.local.runs import Runs

    progress = Progress()
    runs = Runs(begin(), progress.step)
    if month is None:
        total = len(runs.closable())
        _show(runs.close_all(), progress, "closing", (f"month {number} of {total}, " for number in count(1)))
        for reason in runs.left_out():
            say(reason, err=True)
    else:
        _show(runs.close(month), progress, f"closing {month}", ("" for _ in count()))


def _show(months: Iterable[Closed], progress: Progress, task: str, prefixes: Iterator[str]) -> None:
    """Print each month as it is closed."""
    closing = iter(months)
    while True:
        with progress.of(task, next(prefixes)):
            done = next(closing, None)
        if done is None:
            return
        say(done)
        for detail in done.details():
            say(detail)


@click.command()
@click.argument("month", type=MonthType(closed))
@click.option("--again", is_flag=True, help="Train even where a sensor has done so from the same data.")
def retrain(month: Month, again: bool) -> None:
    """Train a candidate for MONTH, and promote it if it wins.

    It is compared with the champion on customers on whom neither was trained. Where a sensor has done that and nothing
    has changed since, it says what came of it.
    """
    from churn_platform.champion.twins import identical
    from churn_platform.local.runs import Runs

    progress = Progress()
    with progress.of(f"training for {month}"):
        runs = Runs(begin(), progress.step)
        missed = runs.not_taken_in(month)
        known = None if again else runs.trained_by_itself(month)
        evaluation, receipt = known or runs.retrain(month, own=again)
        number = evaluation.candidate.version
        twin = identical(runs.home.registry, number)
    if missed:
        say(f"this is about the month as it was closed: {missed}", err=True)
    if known:
        say(f"a sensor has trained for {month} from the data that is there now; --again trains anyway")
    if twin is not None:
        say(f"version {number} is identical to version {twin}: nothing has changed that it learns from")
    if receipt is None and evaluation.promote:
        say(f"version {number} wins, and is promoted after `churn resume`")
    else:
        say(evaluation.decision if receipt is None else receipt.why)
    tell_pause(runs)


def tell_pause(runs: Runs) -> None:
    """Remind a person of a pause, which holds up only what the platform does by itself."""
    from churn_platform.champion.promotion import paused

    if why := paused(runs.home.ledger):
        say(f"you asked for this, so it was done; but {why}", err=True)
