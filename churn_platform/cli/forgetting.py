"""Forgetting: the command by which customers are erased.

Here: `forget`, and what it prints. Not here: what is erased (`erasure`), or the run in which that is done.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import click

from churn_platform.progress import Progress
from churn_platform.saying import say
from churn_platform.settings import begin
from churn_platform.shown import counted

if TYPE_CHECKING:
    from churn_platform.champion.receipts import Receipt


@click.command()
@click.argument("customers", nargs=-1)
@click.option("--reason", help="Why, for the receipt. It must not name the customers.")
@click.option(
    "--from",
    "listed",
    type=click.File(encoding="utf-8-sig"),
    help="A file with more customers, one a line; - for stdin.",
)
@click.option("--anyway", is_flag=True, help="Erase customers whom no table has, too.")
def forget(customers: tuple[str, ...], reason: str | None, listed: IO[str] | None, anyway: bool) -> None:
    """Erase CUSTOMERS from everything that the platform keeps.

    Nothing brings them back: no drop, no closing of a month, no backup that is restored. Drops are the company's: the
    command says which of them still name a customer. Without customers, it finishes what was begun and cut off.
    """
    from churn_platform.local.erasures import Erasures
    from churn_platform.local.runs import Runs

    try:
        wanted = (*customers, *filter(None, (line.rstrip("\r\n") for line in listed or ())))
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The file of customers is not UTF-8 text: {error.reason}.") from error
    if wanted and not reason:
        raise click.UsageError("Say why, with --reason: the receipt tells it.")
    progress = Progress()
    erasures = Erasures(Runs(begin(), progress.step))
    made: list[Receipt] = []
    try:
        with progress.of("erasing"):
            if wanted and reason:
                erasures.ask(wanted, reason, unknown_too=anyway)
            for receipt in erasures.carry_out():
                made.append(receipt)
    finally:
        for receipt in made:
            _show(receipt)
    if not made:
        say("nothing was left to finish")
    for told in erasures.left(wanted):
        say(f"Note: {told}", err=True)


def _show(receipt: Receipt) -> None:
    say(f"receipt {receipt.number}: {receipt.title}")
    if receipt.erasure and (trained := receipt.erasure.trained):
        which = ", ".join(map(str, trained))
        say(f"{counted(len(trained), 'version')} learned from them and cannot be rebuilt to the bit: {which}")
