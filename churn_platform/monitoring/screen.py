"""The status screen: every month and the champion, as `churn status` shows them.

Here: how it looks. Not here: what is known (`status`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_platform.lake import engine

if TYPE_CHECKING:
    from churn_platform.monitoring.status import ChampionStatus, Status


def show(found: Status) -> None:
    """Print a table of the months, and who is champion."""
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
    for note in (*(note for month in found.months for note in month.notes), *_to_do(found), *found.passed_over):
        console.print(note, markup=False, highlight=False)
    champion = found.champion
    console.print(_champion(champion) if champion else "champion: none yet")


def _champion(champion: ChampionStatus) -> str:
    """Who serves, what it promised, and what it has reached since."""
    promise = f"champion: version {champion.version}, trained for {champion.month}, AUC {champion.auc:.4f}"
    reached = champion.reached
    if reached is None:
        return promise
    auc = f"AUC {reached.auc:.4f}" if reached.auc is not None else "no AUC, since everyone or nobody churned"
    how = "as served" if reached.served else "had it served that month"
    return f"{promise} at that time; on {reached.month}: {auc}, {how}"


def _to_do(found: Status) -> list[str]:
    """What a person should do, one sentence each."""
    by_engine: dict[str, list[str]] = {}
    for month in found.months:
        if month.other_engine is not None:
            by_engine.setdefault(month.other_engine or "an unknown engine", []).append(month.month)
    return [
        f"{', '.join(months)} {'was' if len(months) == 1 else 'were'} closed with {other}, whose files have "
        f"other bytes than those of {engine()}. To renew them: churn close --all"
        for other, months in by_engine.items()
    ] + [*([found.paused] if found.paused else []), *found.findings]
