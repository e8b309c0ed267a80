"""Carding: a version's card made anew after something that it tells of has changed.

Here: doing that in a run, which a card that cannot be made does not fail. Not here: the card (`cards`).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from churn_platform.cards.keeping import keep
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.shown import as_text


def card(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, home: Home, number: int, *others: int | None
) -> dict[str, Any]:
    """Put the card of this version into MLflow, and those of `others` that there are; the metadata is the first's."""
    made = {version: _made(context, home, version) for version in dict.fromkeys((number, *others)) if version}
    text = made.get(number)
    return {} if text is None else {"card": dg.MetadataValue.md(text)}


def _made(context: dg.AssetExecutionContext | dg.OpExecutionContext, home: Home, version: int) -> str | None:
    try:
        return keep(home, version)
    except Fault as fault:
        context.log.warning(f"the card of version {version} was not made: {as_text(fault)}")
        return None
