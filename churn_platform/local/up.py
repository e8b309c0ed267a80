"""Up: the whole platform on one machine, with one command.

Here: running it until it is stopped. Not here: which programs it has (`programs`), keeping them running
(`supervision`), what is checked before (`lock`, `checks`), what it notices meanwhile (`following`), or how it looks
(`screen`).
"""

from __future__ import annotations

import asyncio
import signal

import click
import httpx

from churn_platform.automation import instance
from churn_platform.champion.quiet import quiet_mlflow
from churn_platform.local.checks import refuse_taken_ports
from churn_platform.local.lock import only_one
from churn_platform.local.programs import environment, links, programs
from churn_platform.local.supervision import Supervisor
from churn_platform.settings import Settings


def up(settings: Settings) -> None:
    """Run the platform until SIGINT or SIGTERM; then nothing of it is left running.

    Raises CannotStartError and DeclarationError.
    """
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
    from churn_platform.local import following
    from churn_platform.local.screen import Screen

    stop = asyncio.Event()
    for number in ending():
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    screen = Screen(links(settings))
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        supervisor = Supervisor(
            programs(settings, client), settings.logs, environment(settings), screen.tell, held=[lock]
        )
        tasks = [
            asyncio.create_task(following.deliveries(settings, screen.tell)),
            asyncio.create_task(following.pauses(settings, screen)),
            asyncio.create_task(following.happenings(settings, supervisor.running, screen.tell)),
        ]
        with screen.shown(supervisor.running):
            await supervisor.run(stop)
        for task in tasks:
            task.cancel()
    click.echo("stopped; `churn up` goes on from here")
