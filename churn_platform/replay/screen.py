"""The replay's screen: its months as they are lived through, and what they add up to.

Here: words and columns. Not here: living through the months (`player`).
"""

from __future__ import annotations

from collections.abc import Iterable

import click

from churn_platform.progress import Progress
from churn_platform.replay.regret import Lived, Summary
from churn_platform.saying import say
from churn_platform.shown import as_text, counted

_COLUMNS = ("month", "drift", "champion", "candidate", "", "serves", "best", "cause")
_WIDTHS = (7, 6, 8, 9, 12, 6, 6, 0)


def follow(months: Iterable[Lived], total: int, progress: Progress, *, quiet: bool) -> tuple[Lived, ...]:
    """Show which month is being lived through, and a line for each one unless quiet. Returns all of them."""
    living, lived = iter(months), list[Lived]()
    if not quiet:
        click.echo(_line(_COLUMNS))
    for number in range(1, total + 1):
        which = f"month {number} of {total}"
        with progress.of(f"living through {which}", f"{which}, "):
            lived.append(next(living))
        if not quiet:
            say(_line(_cells(lived[-1])))
    return tuple(lived)


def conclude(summary: Summary | None) -> str:
    """A replay's summary in words."""
    if summary is None:
        return "no month had a champion"
    return (
        f"{counted(summary.months, 'month')}, {counted(summary.retrainings, 'retraining')}, "
        f"{counted(summary.promotions, 'promotion')}\n"
        f"mean regret in AUC: {summary.regret:.4f}; never retraining {summary.regret_never_retraining:.4f}, "
        f"retraining each month {summary.regret_retraining_each_month:.4f}, "
        f"and without the gate {summary.regret_without_gate:.4f}"
    )


def _cells(month: Lived) -> tuple[str, ...]:
    verdict = "promoted" if month.promoted else "not promoted" if month.candidate_auc is not None else ""
    return (
        month.month,
        "" if month.drift_share is None else f"{month.drift_share:.3f}",
        _auc(month.champion_auc),
        _auc(month.candidate_auc),
        verdict,
        _auc(month.auc),
        _auc(month.best_auc),
        as_text("; ".join((*month.causes, *month.faults))),
    )


def _auc(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _line(cells: Iterable[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()
