"""The commands that live through months in a home of their own: `replay`, a synthetic company's, and `backtest`.

Here: their options, and what they print. Not here: living through months, and what they are worth (`replay`).
"""

from __future__ import annotations

from pathlib import Path

import click

from churn_platform.progress import Progress
from churn_platform.saying import say, say_json
from churn_platform.settings import begin
from churn_platform.simulation import CUSTOMERS
from churn_platform.simulation.hazard import Shock


@click.command()
@click.option("--months", type=click.IntRange(min=1), default=24, show_default=True, help="How many months.")
@click.option(
    "--customers", type=click.IntRange(min=1), default=CUSTOMERS, show_default=True, help="Customers at the start."
)
@click.option("--seed", type=int, default=0, show_default=True, help="A different seed gives a different company.")
@click.option("--shock", "shocks", multiple=True, help="A lasting change, such as 2025-01:price_rise.")
@click.option(
    "--label-delay",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="How many months after its drop a month's labels arrive; with 0 nobody waits, and it looks too good.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def replay(months: int, customers: int, seed: int, shocks: tuple[str, ...], label_delay: int, as_json: bool) -> None:
    """Live through the months of a synthetic company.

    It does so in a temporary home, as the sensors would. It says what retraining when it helps is worth, in AUC:
    compared with the best reachable, with never retraining, and with retraining every month.
    """
    import tempfile

    from churn_platform.replay import player, regret, simulated
    from churn_platform.replay import screen as replay_screen

    known = [Shock.parse(shock) for shock in shocks]
    with tempfile.TemporaryDirectory() as folder:
        settings, progress = player.settings_in(Path(folder)), Progress(by_task=True)
        lived = simulated.replay(settings, months, customers, seed, known, label_delay, follow=progress.step)
        followed = replay_screen.follow(lived, months, progress, quiet=as_json)
    found = regret.summary(followed)
    if as_json:
        say_json({"months": followed, "summary": found, "label_delay": label_delay})
    else:
        for line in replay_screen.conclude(found, label_delay).splitlines():
            say(line)


@click.command()
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the backtest's home in this folder, which must be new or empty; without it, nothing is kept.",
)
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page for browsers.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def backtest(into: Path | None, page: Path | None, as_json: bool) -> None:
    """Live through the delivered months of the company, as if nothing were known of what came later.

    It does so in a home of its own, as the sensors would, and says what the platform's decisions would have been worth
    beside never retraining and retraining every month: AUC, lift and, where the company declares a fee, money.
    """
    import tempfile

    from churn_platform.home import Home
    from churn_platform.replay import backtesting_page, player, worth
    from churn_platform.replay import screen as replay_screen
    from churn_platform.replay.backtest import Backtest, months_of

    settings = begin()
    contract = Home(settings).contract
    drops = months_of(settings.drops, settings.first)
    if into and into.exists() and any(into.iterdir()):
        raise click.ClickException(f"{into} is not empty: a backtest needs a folder of its own")
    with tempfile.TemporaryDirectory() as folder:
        progress = Progress(by_task=True)
        place = into.absolute() if into else Path(folder)
        test = Backtest(player.settings_in(place, settings.tombstones_folder), drops, progress.step)
        lived = replay_screen.through(test.lived(), len(drops), progress)
        tested = test.tested(list(lived))
    found = worth.summary(tested)
    if page:
        backtesting_page.write(contract, tested, found, page)
    if as_json:
        say_json({"months": tested, "summary": found})
    else:
        for line in replay_screen.tested(tested, found, contract.currency):
            say(line)
