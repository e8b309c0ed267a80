"""The command line: `churn`, for people and scripts.

Here: which commands there are, and how they end. Not here: the commands (the modules beside this one), or what they
do (the rooms beside this one).
"""

from __future__ import annotations

from typing import Any

import click

from churn_platform.cli.auditing import audit
from churn_platform.cli.closing import close, retrain
from churn_platform.cli.deciding import pause, promote, receipts, resume, rollback
from churn_platform.cli.declaring import company
from churn_platform.cli.forgetting import forget
from churn_platform.cli.keeping import backup, restore
from churn_platform.cli.living import backtest, replay
from churn_platform.cli.looking import predict, status
from churn_platform.cli.proving import card, rebuild, receipt
from churn_platform.cli.starting import serve, start
from churn_platform.faults import Fault, entrance, placing
from churn_platform.saying import say
from churn_platform.simulation.command import simulate


class Commands(click.Group):
    """Ends with one sentence and exit code 1 where the platform refuses."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a fault's sentence is all that a person needs to see, wrapped between words."""
        with entrance():
            try:
                with placing():
                    return super().invoke(ctx)
            except Fault as fault:
                say(f"Error: {fault}", err=True)
                raise SystemExit(1) from fault


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="churn-platform")
def main() -> None:
    """Monthly customer data in, trustworthy churn predictions out."""


for _command in (
    *(start, close, retrain, promote, rollback, pause, resume),
    *(receipts, receipt, card, rebuild, audit, serve, predict, status),
    *(company, simulate, replay, backtest, backup, restore, forget),
):
    main.add_command(_command)
