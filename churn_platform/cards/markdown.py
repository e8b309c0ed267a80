"""Markdown: how a card writes tables, figures, intervals, and sentences that quote something.

Here: the writing. Not here: what is written (`page`, `words`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from churn_platform.modelling.estimates import IN_95
from churn_platform.shown import inert

MOST = 300
"""How many characters of a sentence that quotes something are shown."""


def told(sentence: str) -> str:
    """A sentence that may quote anything, on one line and inert; the platform's own comparisons stay as they are.

    Neither `<=` nor a `>` that begins no line means anything in Markdown or HTML.
    """
    line = " ".join(sentence.split())
    return inert(line, MOST).replace(r"\x3c=", "<=").replace(r"\x3e", ">")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table's lines, without columns that have nothing in any row; cells are inert already."""
    found = list(rows)
    filled = [at for at in range(len(heads)) if any(row[at] for row in found)]
    for row in (heads, ["---"] * len(heads), *found):
        yield f"| {' | '.join(row[at] for at in filled)} |"


def figure(value: float) -> str:
    """A metric, as receipts write it."""
    return f"{value:.4f}"


def share(value: float) -> str:
    """A share of customers in per cent."""
    return f"{100 * value:.1f} %"


def around(value: float, error: float, is_share: bool = True) -> str:
    """The 95 % interval around a figure, within what it can be."""
    most = 1.0 if is_share else float("inf")
    return f"{figure(max(0.0, value - IN_95 * error))} to {figure(min(most, value + IN_95 * error))}"
