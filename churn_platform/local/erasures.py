"""Erasures: what a person asks for with `churn forget`, as a run in this process.

Here: handing over a request, carrying out what waits, and finding its receipt. Not here: what a run does
(`automation.forgetting`), or the words on the screen (`cli.forgetting`).
"""

from __future__ import annotations

import getpass
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from churn_platform import erasure_requests
from churn_platform.automation.forgetting import FORGET, config_of
from churn_platform.champion.receipts import Receipt
from churn_platform.erasure import drops, erasing, kept_rows, texts
from churn_platform.erasure.mentions import Mentions
from churn_platform.erasure_requests import ErasureRequest, ErasureRequestError
from churn_platform.faults import Fault
from churn_platform.intake.drops import DropError, delivered
from churn_platform.local.runs import Runs
from churn_platform.online.types import is_text
from churn_platform.shown import counted


class UnknownCustomersError(ErasureRequestError):
    """No customer here has this key; the message is for a person's terminal alone."""


class Erasures:
    """A person's erasures."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._folder = runs.home.settings.erasure_requests

    def ask(self, customers: Collection[str], reason: str, *, unknown_too: bool) -> None:
        """Hand over a request, which `carry_out` then does. Raises UnknownCustomersError and ErasureRequestError."""
        wanted = erasing.as_kept(self._runs.home.contract, customers)
        if not all(is_text(customer) for customer in wanted):
            raise UnknownCustomersError("a customer's key is text, and one of these is not: nothing was erased")
        if erasure_requests.names_any(reason, wanted):
            raise ErasureRequestError(
                "the reason names a customer whom it is about to erase: receipts keep it for ever"
            )
        if any(self._asks_for(name, wanted) for name in erasure_requests.waiting(self._folder)):
            return  # the same command was cut off, or stopped for a fault
        if not unknown_too and (unknown := set(wanted) - self._known(wanted)):
            raise UnknownCustomersError(self._told(unknown))
        asked = ErasureRequest(wanted, reason, getpass.getuser(), datetime.now(UTC).isoformat(timespec="seconds"))
        erasure_requests.write(self._folder, erasure_requests.new_name(), asked)

    def _known(self, customers: tuple[str, ...]) -> set[str]:
        home = self._runs.home
        return erasing.known(home, customers, kept_rows.rows_of(home.lake, customers))

    def _asks_for(self, name: str, customers: tuple[str, ...]) -> bool:
        try:
            return erasure_requests.read(self._folder, name).customers == customers
        except ErasureRequestError:
            return False

    def _told(self, unknown: set[str]) -> str:
        """What to say of customers whom no table has."""
        erased = self._runs.home.tombstones.among(unknown)
        told = sorted(unknown - erased or erased)
        more = f", and {len(told) - 5:,} more" if len(told) > 5 else ""
        names = f"{', '.join(map(repr, told[:5]))}{more}"
        if erased == unknown:
            return f"erased already: {names}; nothing was done"
        return (
            f"no table has {names}: is that written as in the drops? Nothing was erased. With --anyway, it is erased"
            " wherever else it may be, and no drop brings it in"
        )

    def left(self, customers: Collection[str]) -> Iterator[str]:
        """Sentences about where they still are: in reasons that somebody has typed, and in drops."""
        home = self._runs.home
        mentions = Mentions.of(home.contract, customers)
        if numbers := texts.receipts_that_mention(home.ledger.texts(), mentions):
            told = ", ".join(map(str, numbers))
            yield f"the reasons in these receipts name them, and nobody can change a receipt: {told}"
        try:
            delivery = delivered(home.settings.drops, home.settings.first)
        except DropError as error:
            yield f"nobody knows which drops still have rows of them: {error}"
            return
        if files := [str(path) for path in drops.files_with(home.lake, delivery, customers)]:
            have = "has" if len(files) == 1 else "have"
            yield (
                f"{counted(len(files), 'file')} of drops, which are yours, still {have} rows of them, which nothing"
                f" takes in any more: {', '.join(files[:20])}{', ...' if len(files) > 20 else ''}"
            )

    def carry_out(self) -> Iterator[Receipt]:
        """Do whatever waits to be done, oldest first. One that fails stops no other; its fault is raised at the end."""
        failed: Fault | None = None
        for name in erasure_requests.waiting(self._folder):
            try:
                self._runs.run(FORGET, config=config_of(name)["ops"])
            except Fault as fault:
                failed = failed or fault
                continue
            receipt = self._runs.home.ledger.of_decision(name)
            assert receipt is not None, f"request {name} was done without a receipt"
            yield receipt
        if failed:
            raise failed
