"""Months on the command line: read, and completed by the shell.

Here: the type of the argument MONTH, and which months a shell offers for it. Not here: what is done for a month
(`closing`), or whether that can be done.

A shell asks while a person types, so nothing heavy is loaded, Dagster least of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from churn_platform.faults import Fault
from churn_platform.months import Month, MonthError
from churn_platform.settings import Settings

Offer = Callable[[Settings], Iterable[Month]]
"""The months that a command can be asked for."""


class MonthType(click.ParamType[Month]):
    """A month on the command line, such as 2024-01."""

    name = "month"

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Month:
        """Parse, or fail with the parser's own sentence."""
        try:
            return Month.parse(value)
        except MonthError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The months that begin like this; none where settings or folders cannot be read: nobody would see why."""
        try:
            months = sorted(self._offer(Settings()))
        except (Fault, OSError):
            return []
        return [CompletionItem(str(month)) for month in months if str(month).startswith(incomplete)]


def delivered(settings: Settings) -> Iterable[Month]:
    """The months that have a drop."""
    from churn_platform.intake import drops

    return (month for month in drops.delivered(settings.drops, settings.first) if month >= settings.first)


def closed(settings: Settings) -> Iterable[Month]:
    """The months that have features."""
    from churn_platform.home import Home
    from churn_platform.tables.names import FEATURES

    return Home(settings).lake.months(FEATURES)
