"""Following: what `churn up` notices while it runs, and tells on its screen.

Here: deliveries, pauses, and the news. Not here: how it looks (`screen`), or what is news (`automation.news`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

from churn_platform.automation import news
from churn_platform.automation.instance import answering, open_instance
from churn_platform.champion.promotion import paused
from churn_platform.company.reading import edited
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.intake.drops import newest
from churn_platform.local.health import ask_grpc
from churn_platform.local.programs import FIRST_START, STORAGE, code_server
from churn_platform.local.screen import Screen
from churn_platform.local.supervision import Running
from churn_platform.months import Month
from churn_platform.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

_AWAY = (Fault, OSError)
"""What says that a store or a folder is away for a while: it is looked at again, and nothing else is kept back."""


async def deliveries(settings: Settings, tell: Callable[[str], None], seconds: float = 2) -> None:
    """Reload the definitions when a new month is delivered: they offer only the months they knew when loaded.

    Not while the declaration is another than the platform was started with: they would be loaded by that one.
    """
    known = month = _newest(settings) or settings.first
    while True:
        await asyncio.sleep(seconds)
        if edited(settings.company, settings.company_sha256):
            continue
        month = _newest(settings) or month
        if month != known and await ask_grpc(code_server(settings), "ReloadCode", seconds=120):
            known = month
            tell(f"{month} was delivered: Dagster offers it now")


def _newest(settings: Settings) -> Month | None:
    """The newest month that has a drop; None where there is none, or none can be seen now."""
    with suppress(*_AWAY):
        return newest(settings.drops, settings.first)
    return None


async def pauses(settings: Settings, screen: Screen, seconds: float = 2) -> None:
    """Show whether promotions and retrainings are paused, and tell it where they are from the start.

    Receipts that cannot be read change nothing on the screen.
    """
    ledger, known = Home(settings).ledger, False
    while True:
        with suppress(*_AWAY):
            why = await asyncio.to_thread(paused, ledger)
            screen.notice = why or ""
            if screen.notice and not known:
                screen.tell(screen.notice)
            known = True
        await asyncio.sleep(seconds)


async def happenings(
    settings: Settings, running: Mapping[str, Running], tell: Callable[[str], None], seconds: float = 2
) -> None:
    """Tell closes, retrainings, promotions, stops and rollbacks, whoever started them.

    Begins when the first start is over, which tells what it does itself.
    """
    for name in (STORAGE, FIRST_START):
        if name in running:
            await running[name].arrived.wait()
    instance = None
    while instance is None:
        with suppress(*_AWAY):  # its database may be away for a while
            instance = await asyncio.to_thread(open_instance, settings)
        await asyncio.sleep(0 if instance else seconds)
    home = Home(settings)
    told = {one.event for one in await asyncio.to_thread(_happening, home, instance)}
    while True:
        await asyncio.sleep(seconds)
        for one in await asyncio.to_thread(_happening, home, instance):
            if one.event not in told:
                told.add(one.event)
                tell(one.text)


def _happening(home: Home, instance: dg.DagsterInstance) -> list[news.Happening]:
    """What happens now, as far as it can be read: what cannot does not keep back the rest."""
    found: list[news.Happening] = []
    with suppress(*_AWAY), answering(home.settings):
        for kind in news.happening(home, instance, date.today()):
            with suppress(*_AWAY):
                found += kind
    return found
