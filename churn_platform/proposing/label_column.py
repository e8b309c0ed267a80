"""Label column: which column says who left.

Here: finding the label by its name and its two values, and which of them means gone. Not here: whether other columns
give it away (`leaks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from churn_platform.proposing.habits import FALSE, TRUE, Habits, take_column
from churn_platform.proposing.naming import names_leaving, words_of
from churn_platform.proposing.sniffing import Sheet, UnfitError
from churn_platform.shown import MOST, as_text, inert

if TYPE_CHECKING:
    import duckdb

_NOT = {"not", "no", "non", "nicht", "kein", "never"}


@dataclass(frozen=True)
class Label:
    """The column that says who left; `true` and `false` are its texts, each in every way in which it is written."""

    sheet: Sheet
    column: str
    true: tuple[str, ...]
    false: tuple[str, ...]
    left: int
    known: int

    @property
    def told(self) -> str:
        """Why it is the label, and how many left."""
        share = f"{self.left:,} of {self.known:,} customers ({self.left / self.known:.1%})"
        return f"{as_text(self.true[0], MOST)} for {share}"


def label_of(
    con: duckdb.DuckDBPyConnection, sheets: Sequence[Sheet], written: Mapping[str, Habits], key: str, wanted: str | None
) -> Label | None:
    """The label, or None where no column sounds like one and has two values. Raises UnfitError for a wrong `wanted`."""
    if wanted is not None:
        sheet, column = _named(sheets, wanted)
        label = None if column == key else _label(con, sheet, column, written[sheet.name])
        if label is None:
            raise UnfitError(
                f"{sheet.path}: {inert(column)} cannot be the label: it has to say yes or no, or 1 or 0, and both in "
                "some rows; name another column with --label TABLE.COLUMN"
            )
        return label
    return next(
        (
            label
            for sheet in sorted(sheets, key=lambda sheet: len(sheet.columns))
            for column in sheet.columns
            if column != key and names_leaving(column)
            if (label := _label(con, sheet, column, written[sheet.name]))
        ),
        None,
    )


def _named(sheets: Sequence[Sheet], wanted: str) -> tuple[Sheet, str]:
    table, _, column = wanted.partition(".")
    for sheet in sheets:
        if sheet.name == table and column in sheet.columns:
            return sheet, column
    names = ", ".join(f"{sheet.name} ({sheet.path.name})" for sheet in sheets)
    raise UnfitError(f"there is no column {inert(wanted)} (--label TABLE.COLUMN): the tables are {inert(names, 300)}")


def _label(con: duckdb.DuckDBPyConnection, sheet: Sheet, column: str, habit: Habits) -> Label | None:
    take_column(con, sheet, column, habit.null_values)
    values = dict(con.execute("SELECT value, n FROM seen ORDER BY n DESC, value LIMIT 20").fetchall())
    if len(values) == 20 or len({text.lower() for text in values}) < 2:
        return None
    sides = dict(_sides(values))
    if len(sides) < len(values) or set(sides.values()) != {True, False}:
        return None
    true = tuple(text for text, side in sides.items() if side)
    false = tuple(text for text, side in sides.items() if not side)
    return Label(sheet, column, true, false, sum(values[text] for text in true), sum(values.values()))


def _sides(values: Mapping[str, int]) -> Iterator[tuple[str, bool]]:
    """Each text that is understood, and whether it means gone."""
    if all(text.lower() in TRUE | FALSE for text in values):
        yield from ((text, text.lower() in TRUE) for text in values)
    elif len(values) == 2:
        gone = [text for text in values if names_leaving(text) and not _NOT & set(words_of(text))]
        if len(gone) == 1:
            yield from ((text, text == gone[0]) for text in values)
