"""Deciding: a person's decisions, and the record of all of them.

Here: `promote`, `rollback`, `pause`, `resume` and `receipts`, and what they print. Not here: deciding
(`local.decisions`), or the record (`champion.receipts`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from churn_platform.cli.closing import tell_pause
from churn_platform.faults import Fault
from churn_platform.progress import Progress
from churn_platform.saying import say
from churn_platform.settings import begin
from churn_platform.shown import as_text, counted

if TYPE_CHECKING:
    from churn_platform.champion.receipts import Receipt
    from churn_platform.local.decisions import Decisions


@click.command()
@click.argument("version", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why, for the receipt.")
def promote(version: int, reason: str) -> None:
    """Make VERSION the champion, whatever the gate says."""
    _decide(f"promoting version {version}", lambda decisions: decisions.promote(version, reason))


@click.command()
@click.option("--reason", default="rolled back by hand", show_default=True, help="Why, for the receipt.")
def rollback(reason: str) -> None:
    """Return to the version that served before the current champion."""
    _decide("rolling back", lambda decisions: decisions.roll_back(reason))


@click.command()
@click.option("--reason", required=True, help="Why, for the receipt.")
def pause(reason: str) -> None:
    """Let nothing be promoted or retrained by itself.

    It lasts until `churn resume`; people still can.
    """
    _decide("pausing", lambda decisions: decisions.pause(reason))


@click.command()
@click.option("--reason", default="resumed by hand", show_default=True, help="Why, for the receipt.")
def resume(reason: str) -> None:
    """Let promotions and retrainings begin by themselves again."""
    _decide("resuming", lambda decisions: decisions.resume(reason))


@click.command()
def receipts() -> None:
    """Show who decided what about the champion, and prove it.

    Ends with 1 where a receipt was changed since, or where the registry has another champion.
    """
    from churn_platform.champion.agreement import findings
    from churn_platform.home import Home

    home = Home(begin())
    with Progress().of("asking the registry for the newest receipt"):
        faults = findings(home.registry, home.ledger)
    try:
        made = home.ledger.all()
    except Fault:
        made = ()  # one cannot be read, which is among the faults
    for receipt in made:
        _show_receipt(receipt)
    if faults:
        raise click.ClickException(as_text("; ".join(faults)))
    say(f"{counted(len(made), 'receipt')}, each as it was written")


def _decide(text: str, ask: Callable[[Decisions], Receipt]) -> None:
    """A person's decision; once it is shown, it is over."""
    from churn_platform.local.decisions import Decisions
    from churn_platform.local.runs import Runs

    progress = Progress()
    runs = Runs(begin(), progress.step)
    decisions = Decisions(runs)
    with progress.of(text):
        receipt = ask(decisions)
    _show_receipt(receipt)
    decisions.told()
    if receipt.verdict != "paused":
        tell_pause(runs)


def _show_receipt(receipt: Receipt) -> None:
    say(f"{receipt.decided_at}  {receipt.title} by {receipt.who}: {receipt.why}")
    for told in receipt.despite:
        say(f"    at that time {told}")
