"""Auditing: the commands that put the platform's own safeguards to the test. They change nothing.

Here: `audit`, and what it prints. Not here: planting canaries and asking the gates (`champion.audit`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from churn_platform.cli.months import MonthType, closed
from churn_platform.progress import Progress
from churn_platform.saying import say
from churn_platform.settings import begin
from churn_platform.shown import as_text, counted

if TYPE_CHECKING:
    from churn_platform.champion.audit import Audited
    from churn_platform.months import Month


@click.command()
@click.argument("month", type=MonthType(closed))
def audit(month: Month) -> None:
    """Plant leaks in MONTH's rows, and say which gates would stop them.

    Trains a candidate for each, registers none. Ends with 1 where a leak would pass.
    """
    from churn_platform.champion import audit as audits
    from churn_platform.home import Home

    home, progress = Home(begin()), Progress()
    with progress.of("asking the registry for the champion"):
        champion = home.registry.champion()
        scoring = audits.scoring(champion.number, home.registry.bundle(champion)) if champion else None
    passed = []
    with progress.of(f"training candidates for {month} with planted leaks"):
        tried = list(audits.Audit(home.lake, month, home.settings, scoring, home.ledger.appointed).tried())
    for audited in tried:
        say(_told(audited))
        if audited.canary and not audited.held:
            passed.append(audited.canary.name)
    if passed:
        why = ": with few customers or months, a faint one cannot be told from luck" if passed == ["faint"] else ""
        raise click.ClickException(f"{counted(len(passed), 'leak')} would pass in {month}: {', '.join(passed)}{why}")


def _told(audited: Audited) -> str:
    auc = f"AUC {audited.evaluation.candidate.metrics['auc']:.4f}"
    held = f"stopped by {', '.join(audited.held)}" if audited.held else "no gate that looks for leaks stops it"
    if audited.canary is None:
        return f"as delivered: {auc}, {held}"
    return f"{audited.canary.name}, {audited.canary.meaning}, planted in {as_text(audited.column)}: {auc}, {held}"
