"""The status screen: every month and the champion, as `churn status` shows them.

Here: how it looks on a terminal, and as plain lines elsewhere. Not here: what is known (`status`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from churn_platform.lake import engine
from churn_platform.saying import say
from churn_platform.shown import counted

if TYPE_CHECKING:
    from rich.table import Table

    from churn_platform.monitoring.standing import ChampionStatus, Reached
    from churn_platform.monitoring.status import MonthStatus, NextMonth, Status

ROLLBACKS = 3
"""How many rollbacks are shown; `churn receipts` has all of them."""


def show(found: Status) -> None:
    """Print a table of the months and sentences about the rest; where it is no terminal, a plain line for each."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    table = _table(found)
    fits = Measurement.get(console, console.options, table).maximum <= console.width
    if found.months and fits and sys.stdout.isatty():
        console.print(table)
    else:
        for month in found.months:
            say(_line(month))
    for sentence in _sentences(found):
        say(sentence)


def _table(found: Status) -> Table:
    from rich.table import Table

    names = ("month", "customers", "quarantined", "labels", "candidate", "AUC", "against", "promoted")
    table = Table(*names, box=None, pad_edge=False)
    for month in found.months:
        candidate = ("", "", "", "")
        if found_one := month.candidate:
            against = "" if found_one.champion_auc is None else f"{found_one.champion_auc:.4f}"
            promoted = {True: "yes", False: "no", None: "open"}[found_one.promoted]
            candidate = (f"version {found_one.version}", f"{found_one.auc:.4f}", against, promoted)
        table.add_row(
            month.month,
            f"{month.active_customers:,}",
            f"{sum(month.quarantined.values()):,}",
            _labels(month, "yes", "from {}", "delivered", "no"),
            *candidate,
        )
    return table


def _line(month: MonthStatus) -> str:
    """A month in one line, for programs that look for words."""
    told = [
        counted(month.active_customers, "active customer"),
        _labels(
            month, "labels landed", "labels count from {} on", "labels delivered but not taken in", "no labels yet"
        ),
    ]
    told.append(f"{counted(sum(month.quarantined.values()), 'row')} in quarantine")
    if candidate := month.candidate:
        against = "" if candidate.champion_auc is None else f" against {candidate.champion_auc:.4f}"
        verdict = {True: "promoted", False: "not promoted", None: "wins, and is not promoted yet"}[candidate.promoted]
        told.append(f"candidate version {candidate.version} with AUC {candidate.auc:.4f}{against} {verdict}")
    return f"{month.month}: {', '.join(told)}"


def _labels(month: MonthStatus, landed: str, kept: str, delivered: str, none: str) -> str:
    """Which of these words is true of a month's labels; the day they wait for stands in `kept`."""
    if month.matured:
        return landed
    if month.labels_from:
        return kept.format(month.labels_from)
    return delivered if month.labels_delivered else none


def _sentences(found: Status) -> Iterator[str]:
    """What people should know besides the months' figures."""
    yield from (f"{stopped.month} stopped: {stopped.fault}" for stopped in found.stopped)
    yield from (note for month in found.months for note in month.notes)
    yield from _to_do(found)
    yield from found.declaration
    yield from found.passed_over
    yield from _champion(found.champion) if found.champion else ["champion: none yet"]
    if found.unsafe:
        yield found.unsafe
    if found.unfinished:
        were = "was asked for and is" if found.unfinished == 1 else "were asked for and are"
        yield f"{counted(found.unfinished, 'erasure')} {were} not finished: churn forget finishes what was cut off"
    yield from found.rollbacks[-ROLLBACKS:]
    if found.next:
        yield _next(found.next)


def _champion(champion: ChampionStatus) -> Iterator[str]:
    """Who serves, what it promised and has reached since, what is expected of it, and whether another was better."""
    yield (
        f"champion: version {champion.version}, trained for {champion.month}, AUC {champion.auc:.4f} at that time; "
        + _reached(champion.reached)
    )
    if estimate := champion.expected:
        yield f"estimate for {estimate.month}, before its labels: AUC {estimate.sentence}"
    if champion.rejected:
        yield champion.rejected.sentence


def _reached(reached: Reached | None) -> str:
    if reached is None:
        return "how good it is on a later month with labels is not known yet"
    how = "as served" if reached.served else "had it served that month"
    if reached.auc is None:
        return f"on {reached.month}: no AUC, since everyone or nobody churned, {how}"
    kept = "still as good as promised" if reached.as_promised else "no longer as good as promised"
    told = f"on {reached.month}: AUC {reached.auc:.4f}, {how}: {kept} (CHURN_REALISED_MARGIN)"
    if reached.estimate is None:
        return told
    held = "the truth lies within" if reached.as_expected else "the truth lies outside"
    return f"{told}; without its labels {reached.estimate} was to be expected: {held}"


def _next(month: NextMonth) -> str:
    """When the next month is due."""
    if month.delivered:
        late = f"is overdue: it is delivered, and was to be closed by {month.due}"
        return f"next: {month.month} {late if month.overdue else f'is delivered, and is to be closed by {month.due}'}"
    if month.overdue:
        return f"next: {month.month} is overdue: it ended on {month.ends} and was to be closed by {month.due}"
    return f"next: {month.month} ends on {month.ends} and is to be closed by {month.due}"


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
