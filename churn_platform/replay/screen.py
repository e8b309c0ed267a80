"""The screen of a replay and of a backtest: months as they are lived through, and what they add up to.

Here: words and columns. Not here: living through the months (`player`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import click

from churn_platform.progress import Progress
from churn_platform.replay import words
from churn_platform.replay.regret import Lived, Summary
from churn_platform.replay.worth import BacktestedMonth, Comparison, Worth
from churn_platform.saying import say
from churn_platform.shown import as_text, counted

T = TypeVar("T")

_COLUMNS = ("month", "drift", "champion", "candidate", "", "serves", "best", "cause")
_WIDTHS = (7, 6, 8, 9, 12, 6, 6, 0)
_TESTED = (7, 6, 10, 6, 11, 10, 5, 0)


def follow(months: Iterable[Lived], total: int, progress: Progress, *, quiet: bool) -> tuple[Lived, ...]:
    """Show which month is being lived through, and a line for each one unless quiet. Returns all of them."""
    lived = list[Lived]()
    if not quiet:
        click.echo(_line(_COLUMNS))
    for month in through(months, total, progress):
        lived.append(month)
        if not quiet:
            say(_line(_cells(month)))
    return tuple(lived)


def through(months: Iterable[T], total: int, progress: Progress) -> Iterator[T]:
    """Each month, while progress shows which one is being lived through."""
    living = iter(months)
    for number in range(1, total + 1):
        which = f"month {number} of {total}"
        with progress.of(f"living through {which}", f"{which}, "):
            month = next(living)
        yield month


def tested(months: Sequence[BacktestedMonth], found: Comparison | None, currency: str) -> Iterator[str]:
    """A backtest in words: a line for each month, and what they add up to."""
    yield _line(("month", "drift", "serves", "AUC", "never again", "each month", "lift", "what happened"), _TESTED)
    for month in months:
        cells = (
            month.month,
            "-" if month.drift_share is None else f"{month.drift_share:.3f}",
            "nobody" if month.version is None else f"version {month.version}",
            *(_auc(worth.auc) or words.missing(month) for worth in (month.platform, month.never, month.each_month)),
            "-" if month.platform.lift is None else f"{month.platform.lift:.2f}",
            as_text(words.happened(month.causes, month.faults)),
        )
        yield _line(cells, _TESTED)
    if found is None:
        yield "no month had a champion and labels: nothing can be compared"
        return
    yield (
        f"{counted(found.months, 'month')}, {counted(found.retrainings, 'retraining')}, "
        f"{counted(found.promotions, 'promotion')}; {found.compared} of the months can be compared"
    )
    if few := words.few(found):
        yield few
    yield f"the platform:              {_worth(found.platform, currency)}"
    yield f"never training again:      {_worth(found.never, currency)}"
    yield f"training each month:       {_worth(found.each_month, currency)}"


def _worth(worth: Worth, currency: str) -> str:
    """A model's figures in words."""
    told = f"mean AUC {worth.auc or 0:.4f}, mean lift {worth.lift or 0:.2f}"
    if worth.fees is None:
        return told
    found = f"{worth.fees:,.2f} {currency}".rstrip()
    return f"{told}; who churned among the riskiest tenth of the holdout, a quarter of all, paid {found} a month"


def conclude(summary: Summary | None, label_delay: int) -> str:
    """A replay's summary in words, and how late its labels came, in months."""
    if summary is None:
        return "no month had a champion"
    late = f"{counted(label_delay, 'month')} after" if label_delay else "together with"
    return (
        f"labels came {late} their drop (--label-delay)\n"
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
        as_text(words.happened(month.causes, month.faults)),
    )


def _auc(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _line(cells: Iterable[str], widths: Sequence[int] = _WIDTHS) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
