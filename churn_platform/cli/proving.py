"""Proving: the commands with which anybody checks what the platform says of itself.

Here: `card`, `receipt` and `rebuild`, and what they print. Not here: the list of all receipts (`deciding`), the checks
(`champion.verifying`, `champion.rebuilding`), or a card's page (`cards`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from churn_platform.progress import Progress
from churn_platform.saying import say, say_json
from churn_platform.settings import begin

if TYPE_CHECKING:
    from churn_platform.champion.verifying import Verification

NOT_RECOMPUTABLE = 3
"""How `--verify` ends where nothing was changed, but rows are no longer there to compute from."""


@click.command()
@click.argument("version", type=click.IntRange(min=1))
def card(version: int) -> None:
    """Print the model card of VERSION, in Markdown: what it is for, how good it is, what it cannot do."""
    from churn_platform.cards.known import known
    from churn_platform.cards.page import page
    from churn_platform.home import Home

    click.echo(page(known(Home(begin()), version)), nl=False)


@click.command()
@click.argument("number", type=click.IntRange(min=1))
@click.option("--verify", "verifies", is_flag=True, help="Compute every figure again from the stored rows and bundles.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def receipt(number: int, verifies: bool, as_json: bool) -> None:
    """Show receipt NUMBER in full: who decided what, on which rows, by which figures and gates.

    With --verify, ends with 1 where anything was changed since, and names it; with 3 where nothing was, but rows were
    erased or never kept.
    """
    import msgspec

    from churn_platform.champion.receipt_page import page
    from churn_platform.champion.verifying import verify
    from churn_platform.home import Home

    home = Home(begin())
    made = home.ledger.all()
    found = next((one for one in made if one.number == number), None)
    if found is None:
        known = f"there are {made[0].number} to {made[-1].number}" if made else "there are none yet"
        raise click.ClickException(f"there is no receipt {number}: {known}")
    verification = None
    if verifies:
        with Progress().of(f"verifying receipt {number}"):
            verification = verify(home.lake, home.registry, home.ledger, found)
    if as_json:
        proof = (
            {"verification": {**msgspec.to_builtins(verification), "state": verification.state}} if verification else {}
        )
        say_json({"receipt": msgspec.to_builtins(found), **proof})
    else:
        for line in page(found):
            say(line)
        if verification:
            _show(verification)
    if verification and verification.state != "verified":
        raise SystemExit(1 if verification.state == "changed" else NOT_RECOMPUTABLE)


def _show(verification: Verification) -> None:
    say("Verification")
    for sentence in verification.proved:
        say(f"  {sentence}")
    for sentence in verification.lacking:
        say(f"  not recomputable: {sentence}")
    for sentence in verification.changed:
        say(f"  changed: {sentence}")
    say(f"receipt {verification.receipt}: {verification.state}")


@click.command()
@click.argument("version", type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def rebuild(version: int, as_json: bool) -> None:
    """Train VERSION again from what is stored, and compare it with the registered one bit by bit.

    Nothing is registered. Ends with 1 where a bit differs. Months that were restated since do not matter.
    """
    from churn_platform.champion.rebuilding import rebuild as rebuilt
    from churn_platform.home import Home

    home = Home(begin())
    with Progress().of(f"training version {version} again"):
        found = rebuilt(home.lake, home.registry, version)
    if as_json:
        say_json(found)
    else:
        if found.same:
            say(f"version {version}: the same to the bit: {', '.join(found.same)}")
        if found.different:
            say(f"version {version}: not the same: {', '.join(found.different)}")
        for library in found.libraries:
            say(f"when it was trained, {library}")
        if found.different and not found.libraries:
            say("no library has changed: another kind of processor gives other bits, or what is stored was changed")
    if found.different:
        raise SystemExit(1)
