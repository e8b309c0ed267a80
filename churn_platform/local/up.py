"""Up: the whole platform on one machine, with one command.

Here: running it until it is stopped, and telling it about months that are delivered meanwhile. Not here: which programs
it has (`programs`), keeping them running (`supervision`), the checks before (`checks`), how it looks (`screen`).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import click
import httpx

from churn_platform.automation import instance
from churn_platform.champion.promotion import paused
from churn_platform.champion.quiet import quiet_mlflow
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.intake.drops import newest
from churn_platform.local.checks import only_one, refuse_taken_ports
from churn_platform.local.health import ask_grpc
from churn_platform.local.programs import code_server, environment, links, programs
from churn_platform.local.supervision import Supervisor
from churn_platform.settings import Settings

if TYPE_CHECKING:
    from churn_platform.local.screen import Screen


def up(settings: Settings) -> None:
    """Run the platform until SIGINT or SIGTERM; then nothing of it is left running. Raises CannotStartError."""
    with only_one(settings.home) as lock:
        refuse_taken_ports(settings)
        instance.prepare(settings)
        quiet_mlflow()
        asyncio.run(_run(settings, lock))


def ending() -> set[signal.Signals]:
    """The signals that end it. A closed terminal does not where nohup has started it."""
    found = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    return found - {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else found


async def _run(settings: Settings, lock: int) -> None:
    from churn_platform.local.screen import Screen

    stop = asyncio.Event()
    for number in ending():
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    screen = Screen(links(settings))
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        supervisor = Supervisor(
            programs(settings, client), settings.logs, environment(settings), screen.tell, held=[lock]
        )
        following = [
            asyncio.create_task(_follow_deliveries(settings, screen.tell)),
            asyncio.create_task(_follow_pauses(settings, screen)),
        ]
        with screen.shown(supervisor.running):
            await supervisor.run(stop)
        for task in following:
            task.cancel()
    click.echo("stopped; `churn up` goes on from here")


async def _follow_deliveries(settings: Settings, tell: Callable[[str], None]) -> None:
    """Reload the definitions when a new month is delivered: they offer only the months they knew when loaded."""
    known = newest(settings.drops, settings.first) or settings.first
    while True:
        await asyncio.sleep(2)
        month = newest(settings.drops, settings.first) or settings.first
        if month != known and await ask_grpc(code_server(settings), "ReloadCode", seconds=120):
            known = month
            tell(f"{month} was delivered: Dagster offers it now")


async def _follow_pauses(settings: Settings, screen: Screen, seconds: float = 2) -> None:
    """Show whether promotions and retrainings are paused. Receipts that cannot be read change nothing on the screen."""
    ledger = Home(settings).ledger
    while True:
        with suppress(Fault):
            why = await asyncio.to_thread(paused, ledger) or ""
            if why != screen.notice:
                screen.notice = why
                screen.tell(why or "promotions and retrainings go on")
        await asyncio.sleep(seconds)
