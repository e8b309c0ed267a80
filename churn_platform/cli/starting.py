"""Starting: the commands that become programs which stay up.

Here: `up` and `serve`. Not here: the programs (`local`, `serving`).
"""

from __future__ import annotations

import os
import sys

import click

from churn_platform.settings import begin


@click.command("up")
def start() -> None:
    """Start the whole platform on this machine.

    Ctrl-C stops all of it. On a new home it closes the delivered months and trains the first champion. Everything is
    kept in CHURN_HOME.
    """
    from churn_platform.local.up import up

    up(begin())


@click.command()
def serve() -> None:
    """Answer predictions over HTTP, and nothing else.

    `churn up` starts this too.
    """
    # Serving is a program of its own: it replaces this process and keeps none of its memory.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "serving"])  # noqa: S606  # there is no shell to ask
