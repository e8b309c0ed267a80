"""A backtest's page: its months as a graph and a table, in one file that needs no network and runs no script.

Here: HTML. Not here: the figures (`worth`), or words for a terminal (`screen`).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from churn_platform.contracts import Contract
from churn_platform.files import replacing
from churn_platform.replay import words
from churn_platform.replay.worth import BacktestedMonth, Comparison, Worth
from churn_platform.shown import as_text, counted

_NOTHING = "\N{EN DASH}"
_WIDTH, _HEIGHT, _MARGIN = 720, 240, 48
_LINES = (("platform", "the platform"), ("never", "never training again"), ("each_month", "training each month"))


def write(contract: Contract, months: Sequence[BacktestedMonth], found: Comparison | None, path: Path) -> None:
    """Write the page, replacing what is there."""
    page = Template(files("churn_platform.replay").joinpath("backtesting.html").read_text()).substitute(
        company=escape(as_text(contract.declaration.company.name)),
        summary=_summary(found, contract),
        graph=_graph(months),
        rows="".join(map(_row, months)),
    )
    with replacing(path) as temporary:
        temporary.write_text(page)


def _summary(found: Comparison | None, contract: Contract) -> str:
    if found is None:
        return "<p>No month had a champion and labels, so nothing can be compared.</p>"
    rows = "".join(f"<tr><th>{called}</th>{_figures(getattr(found, name), contract)}</tr>" for name, called in _LINES)
    money = f"<th>fees found, {escape(contract.currency)}</th>" if contract.fee else ""
    return (
        f"<p>{counted(found.months, 'month')}, {counted(found.retrainings, 'retraining')}, "
        f"{counted(found.promotions, 'promotion')}; {found.compared} of the months can be compared.</p>"
        f"{f'<p>{few}</p>' if (few := words.few(found)) else ''}"
        f"<div class=scroll><table><tr><th></th><th>mean AUC</th><th>mean lift</th>{money}</tr>{rows}</table></div>"
    )


def _figures(worth: Worth, contract: Contract) -> str:
    money = f"<td>{worth.fees or 0:,.2f}</td>" if contract.fee else ""
    return f"<td>{_number(worth.auc, 4)}</td><td>{_number(worth.lift, 2)}</td>{money}"


def _row(month: BacktestedMonth) -> str:
    none = words.missing(month)
    cells = (
        month.month,
        month.labels_from,
        _number(month.drift_share, 3),
        "nobody" if month.version is None else f"version {month.version}",
        *(_number(getattr(month, name).auc, 4, none) for name, _ in _LINES),
        _number(month.platform.lift, 2, none),
        as_text(words.happened(month.causes, month.faults)) or _NOTHING,
    )
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _number(value: float | None, places: int, none: str = _NOTHING) -> str:
    return none if value is None else f"{value:.{places}f}"


def _graph(months: Sequence[BacktestedMonth]) -> str:
    """The AUC of each month, as one line for each way; months in which one is not known break its line.

    Nothing where none is known.
    """
    known = [auc for month in months for name, _ in _LINES if (auc := getattr(month, name).auc) is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    spread = max(high - low, 0.02)
    low = (low + high - spread) / 2
    step = (_WIDTH - 2 * _MARGIN) / max(len(months) - 1, 1)

    def place(number: int, auc: float) -> str:
        above = (auc - low) / spread * (_HEIGHT - 2 * _MARGIN)
        return f"{_MARGIN + number * step:.1f},{_HEIGHT - _MARGIN - above:.1f}"

    drawn = []
    for name, _ in reversed(_LINES):  # the platform's own is on top
        parts: list[list[str]] = [[]]
        for number, month in enumerate(months):
            auc = getattr(month, name).auc
            parts = [*parts, []] if auc is None else [*parts[:-1], [*parts[-1], place(number, auc)]]
        drawn += [f'<polyline class="{name}" points="{" ".join(part)}"/>' for part in parts if part]
        drawn += [
            f'<circle class="{name}" cx="{x}" cy="{y}" r="3"/>'
            for part in parts
            for x, y in (point.split(",") for point in part)
        ]
    labels = (
        f'<text x="0" y="{_MARGIN + 4}">{low + spread:.3f}</text>'
        f'<text x="0" y="{_HEIGHT - _MARGIN + 4}">{low:.3f}</text>'
        f'<text x="{_MARGIN}" y="{_HEIGHT - 8}">{escape(months[0].month)}</text>'
        f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 8}" text-anchor="end">{escape(months[-1].month)}</text>'
    )
    legend = "".join(f'<li class="{name}">{called}</li>' for name, called in _LINES)
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="AUC by month">{"".join(drawn)}{labels}</svg>'
    return f"<h2>AUC of each month</h2>{svg}<ul>{legend}</ul>"
