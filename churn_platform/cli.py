"""The command line: `churn`, for people and scripts.

Here: commands, what they print and how they end. Not here: what they do (the rooms beside it).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from churn_platform.faults import Fault, entrance
from churn_platform.local.spinner import working
from churn_platform.months import Month, MonthError
from churn_platform.settings import begin
from churn_platform.shown import counted
from churn_platform.simulation import CUSTOMERS
from churn_platform.simulation.command import simulate
from churn_platform.simulation.hazard import Shock

if TYPE_CHECKING:
    from churn_platform.champion.receipts import Receipt
    from churn_platform.local.decisions import Decisions
    from churn_platform.local.runs import Closed, Runs


class Commands(click.Group):
    """Ends with one sentence and exit code 1 where the platform refuses."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a fault's sentence is all that a person needs to see."""
        with entrance():
            return super().invoke(ctx)


class MonthType(click.ParamType[Month]):
    """A month on the command line, such as 2024-01."""

    name = "month"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Month:
        """Parse, or fail with the parser's own sentence."""
        try:
            return Month.parse(value)
        except MonthError as error:
            self.fail(str(error), param, ctx)


MONTH = MonthType()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="churn-platform")
def main() -> None:
    """Monthly customer data in, trustworthy churn predictions out."""


@main.command("up")
def start() -> None:
    """Start the whole platform on this machine; Ctrl-C stops all of it.

    On a new home it closes the delivered months and trains the first champion. Everything is kept in CHURN_HOME.
    """
    from churn_platform.local.up import up

    up(begin())


def _runs() -> Runs:
    from churn_platform.local.runs import Runs

    return Runs(begin())


@main.command()
@click.argument("month", type=MONTH, required=False)
@click.option("--all", "every", is_flag=True, help="Close every delivered month, oldest first.")
def close(month: Month | None, every: bool) -> None:
    """Close MONTH: land its drop, build its snapshots and features.

    Closing a month again takes in a corrected drop, and closes later months again where that changes them.
    """
    if (month is None) != every:
        raise click.UsageError("give one MONTH, or --all")
    runs = _runs()
    if month is None:
        _show_closing(runs.close_all(), "closing every delivered month")
        for reason in runs.left_out():
            click.echo(reason, err=True)
    else:
        _show_closing(runs.close(month), f"closing {month}")


def _show_closing(months: Iterable[Closed], text: str) -> None:
    """Print each month as it is closed."""
    closing = iter(months)
    while True:
        with working(text):
            closed = next(closing, None)
        if closed is None:
            return
        notes = [f"{closed.customers:,} active customers"]
        notes.append("labels landed" if closed.matured else "no labels yet")
        if closed.changed:
            notes.append("changed")
        click.echo(f"{closed.month} closed: {', '.join(notes)}")
        for table, rows in closed.quarantined.items():
            click.echo(f"{closed.month}: {rows:,} rows in quarantine from {table}")
        for note in closed.notes:
            click.echo(note)


@main.command()
@click.argument("month", type=MONTH)
def retrain(month: Month) -> None:
    """Train a candidate for MONTH, compare it with the champion, and promote it if it wins."""
    runs = _runs()
    with working(f"training for {month}"):
        evaluation, receipt = runs.retrain(month)
    if receipt is None and evaluation.promote:
        click.echo(f"version {evaluation.candidate.version} wins, and is promoted after `churn resume`")
    else:
        click.echo(evaluation.decision if receipt is None else receipt.reason)
    _tell_pause(runs)


@main.command()
@click.argument("version", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why, for the receipt.")
def promote(version: int, reason: str) -> None:
    """Make VERSION the champion on your own decision; the gate is not asked."""
    _decide(f"promoting version {version}", lambda decisions: decisions.promote(version, reason))


@main.command()
@click.option("--reason", default="rolled back by hand", show_default=True, help="Why, for the receipt.")
def rollback(reason: str) -> None:
    """Return to the version that served before the current champion."""
    _decide("rolling back", lambda decisions: decisions.roll_back(reason))


@main.command()
@click.option("--reason", required=True, help="Why, for the receipt.")
def pause(reason: str) -> None:
    """Let nothing be promoted or retrained by itself until `churn resume`; people still can."""
    _decide("pausing", lambda decisions: decisions.pause(reason))


@main.command()
@click.option("--reason", default="resumed by hand", show_default=True, help="Why, for the receipt.")
def resume(reason: str) -> None:
    """Let promotions and retrainings begin by themselves again."""
    _decide("resuming", lambda decisions: decisions.resume(reason))


@main.command()
def receipts() -> None:
    """Show every decision about the champion, and prove that none has been changed since and that the registry agrees.

    Ends with 1 where it does not.
    """
    from churn_platform.champion.agreement import findings
    from churn_platform.home import Home

    home = Home(begin())
    with working("asking the registry for the newest receipt"):
        faults = findings(home.registry, home.ledger)
    try:
        made = home.ledger.all()
    except Fault:
        made = ()  # one cannot be read, which is among the faults
    for receipt in made:
        _show_receipt(receipt)
    if faults:
        raise click.ClickException("; ".join(faults))
    click.echo(f"{counted(len(made), 'receipt')}, each as it was written")


def _decide(text: str, ask: Callable[[Decisions], Receipt]) -> None:
    """A person's decision; once it is shown, it is over."""
    from churn_platform.local.decisions import Decisions

    runs = _runs()
    decisions = Decisions(runs)
    with working(text):
        receipt = ask(decisions)
    _show_receipt(receipt)
    decisions.told()
    if receipt.verdict != "paused":
        _tell_pause(runs)


def _tell_pause(runs: Runs) -> None:
    """Remind a person of a pause, which holds up only what the platform does by itself."""
    from churn_platform.champion.promotion import paused

    if why := paused(runs.home.ledger):
        click.echo(f"you asked for this, so it was done; but {why}", err=True)


def _show_receipt(receipt: Receipt) -> None:
    click.echo(f"{receipt.decided_at}  {receipt.title} by {receipt.decided_by}: {receipt.reason}")
    for told in receipt.despite:
        click.echo(f"    at that time {told}")


@main.command()
def serve() -> None:
    """Answer predictions over HTTP, without the rest of the platform; `churn up` starts this too."""
    # Serving is a program of its own: it replaces this process and keeps none of its memory.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "serving"])  # noqa: S606  # there is no shell to ask


@main.command()
@click.argument("user_id")
def predict(user_id: str) -> None:
    """Ask the running API for the risk of customer USER_ID."""
    import httpx

    settings = begin()
    url = f"http://{settings.serving_host}:{settings.serving_port}/predict"
    try:
        answer = httpx.post(url, json={"user_id": user_id}, timeout=10)
    except httpx.TransportError as error:
        raise click.ClickException(f"nothing answers at {url}: start it with `churn serve` or `churn up`") from error
    if answer.is_error:
        raise click.ClickException(answer.json().get("detail", answer.text))
    click.echo(msgspec.json.format(answer.content).decode())


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def status(as_json: bool) -> None:
    """Show every month, its candidate, and the champion."""
    from churn_platform.home import Home
    from churn_platform.monitoring.screen import show
    from churn_platform.monitoring.status import read

    found = read(Home(begin()))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        show(found)


main.add_command(simulate)


@main.command()
@click.option("--months", type=click.IntRange(min=1), default=24, show_default=True, help="How many months.")
@click.option(
    "--customers", type=click.IntRange(min=1), default=CUSTOMERS, show_default=True, help="Customers at the start."
)
@click.option("--seed", type=int, default=0, show_default=True, help="A different seed gives a different company.")
@click.option("--shock", "shocks", multiple=True, help="A lasting change, such as 2025-01:price_rise.")
@click.option(
    "--label-delay",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How many months after its drop a month's labels arrive.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def replay(months: int, customers: int, seed: int, shocks: tuple[str, ...], label_delay: int, as_json: bool) -> None:
    """Live through a synthetic company's months in a temporary home, as the sensors would.

    Says what retraining when it helps is worth, in AUC: compared with the best reachable, with never retraining, and
    with retraining every month.
    """
    import tempfile

    from churn_platform.replay import player, regret
    from churn_platform.replay import screen as replay_screen

    known = [Shock.parse(shock) for shock in shocks]
    with tempfile.TemporaryDirectory() as folder:
        settings = player.settings_in(Path(folder))
        lived = player.replay(settings, months, customers, seed, known, label_delay)
        followed = replay_screen.follow(lived, months, quiet=as_json)
    found = regret.summary(followed)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"months": followed, "summary": found})).decode())
    else:
        click.echo(replay_screen.conclude(found))
