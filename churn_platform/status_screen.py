"""The status screen: every month and the champion, as `churn status` shows them.

Here: how it looks. Not here: what is known (`status`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from churn_platform.status import Status


def show(found: Status) -> None:
    """Print it as a table of the months, and who is champion."""
    from rich.console import Console
    from rich.table import Table

    table = Table("month", "customers", "known", "quarantined", "matured", "candidate", box=None, pad_edge=False)
    for month in found.months:
        candidate = ""
        if month.candidate:
            against = f" against {month.candidate.champion_auc:.4f}" if month.candidate.champion_auc is not None else ""
            verdict = ", promoted" if month.candidate.promoted else ", not promoted"
            candidate = f"version {month.candidate.version}: AUC {month.candidate.auc:.4f}{against}{verdict}"
        table.add_row(
            month.month,
            f"{month.active_customers:,}",
            f"{max(month.snapshots.values(), default=0):,}",
            f"{sum(month.quarantined.values()):,}",
            "yes" if month.matured else "no",
            candidate,
        )
    console = Console()
    console.print(table)
    champion = found.champion
    console.print(
        f"champion: version {champion.version}, trained for {champion.month}, AUC {champion.auc:.4f}"
        if champion
        else "champion: none yet"
    )
