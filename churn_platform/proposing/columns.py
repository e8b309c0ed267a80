"""Columns: those of a table as they are proposed, given the columns of the tables before it.

Here: the label, names that are taken, leaks, and doubts. Not here: what a column is by itself (`judging`), or the table
that has them (`proposal`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from churn_platform.company.declaration import DeclaredColumn, DeclaredLabel, Kind, Role
from churn_platform.company.names import LONGEST_NAME, RESERVED
from churn_platform.company.past import days
from churn_platform.intake.casting import quoted
from churn_platform.proposing.customers import Key
from churn_platform.proposing.habits import UNDECLARED, Habits, sides
from churn_platform.proposing.judging import ProposedColumn, ignored, judge
from churn_platform.proposing.label_column import Label
from churn_platform.proposing.leaks import leak, take_rows
from churn_platform.proposing.naming import meaning_of
from churn_platform.proposing.profiles import profile
from churn_platform.proposing.sniffing import Sheet
from churn_platform.proposing.thousands import Thousands, thousands
from churn_platform.proposing.tolerances import Tolerances
from churn_platform.shown import MOST, as_text

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class ProposedTable:
    """A table's columns but for the key, and the texts that mean true and false in it, where intake has to be told."""

    columns: dict[str, ProposedColumn]
    true_values: tuple[str, ...]
    false_values: tuple[str, ...]


@dataclass
class Columns:
    """Proposes the columns of one table after another.

    `customers` is the table that says who they are. `judging` says whether columns can be judged by the label, whose
    customers `leaks.take_label` has taken. `taken` has every column so far by its name in small letters, and by that of
    the feature that its days are: a name stands for one thing in all tables.
    """

    con: duckdb.DuckDBPyConnection
    key: Key
    customers: Sheet
    label: Label | None
    as_of: date
    judging: bool
    tolerated: Tolerances
    taken: dict[str, tuple[Sheet, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.label is not None:  # its table may come last
            self.taken[self.label.column.lower()] = (self.label.sheet, self.label.column)

    def of(self, sheet: Sheet, habit: Habits, *, only_label: bool) -> ProposedTable:
        """The columns of a table; `only_label` says that what else is in it is known only with the label."""
        found, texts = {}, dict[str, bool]()
        if self.judging:
            take_rows(self.con, sheet, self.key)
        for column in sheet.columns:
            if column == self.key.name:
                continue
            if self.label is not None and (sheet, column) == (self.label.sheet, self.label.column):
                found[column] = self._of_label(sheet, self.label)
                texts |= dict.fromkeys(self.label.true, True) | dict.fromkeys(self.label.false, False)
            elif only_label:
                told = "ignored: stands beside the label, and would be known only with it"
                found[column] = ignored(column, Kind.TEXT, told)
            else:
                found[column], words = self._judged(sheet, column, habit)
                texts |= words
            for name in _names(column, found[column].declared):
                self.taken.setdefault(name.lower(), (sheet, column))
        if all(text.lower() in UNDECLARED for text in texts):
            return ProposedTable(found, (), ())
        true, false = (
            tuple(sorted(text for text, side in texts.items() if side is wanted)) for wanted in (True, False)
        )
        return ProposedTable(found, true, false)

    def _of_label(self, sheet: Sheet, label: Label) -> ProposedColumn:
        declared = DeclaredColumn(
            kind=Kind.BOOLEAN, role=Role.LABEL, nullable=label.known < sheet.rows, meaning=meaning_of(label.column)
        )
        return ProposedColumn(declared, label.told)

    def _judged(self, sheet: Sheet, column: str, habit: Habits) -> tuple[ProposedColumn, dict[str, bool]]:
        """A column, and what in it means true and false."""
        figures = profile(self.con, sheet, column, habit, self.as_of)
        judged = _with_doubts(judge(figures, self.tolerated), habit, thousands(self.con, sheet, habit), column)
        said = judged.declared
        if said.role is Role.SEGMENT and sheet is not self.customers:
            judged = ignored(column, said.kind, "ignored: only the customers' table has groups to compare")
        elif said.role is not Role.IGNORED and (reason := self._name_taken(sheet, column, said)):
            judged = ignored(column, said.kind, f"ignored: {reason}")
        elif self.judging and (reason := leak(self.con, sheet, column, said, habit)):
            judged = ignored(column, said.kind, f"ignored: {reason}; {judged.told.removeprefix('ignored: ')}")
        words = sides(figures.values) if judged.declared.kind is Kind.BOOLEAN else {}
        return judged, words

    def _name_taken(self, sheet: Sheet, column: str, said: DeclaredColumn) -> str | None:
        """Why a column cannot have its name in all tables."""
        for name in _names(column, said):
            if len(name.encode()) > LONGEST_NAME:
                return f"{name} has more than {LONGEST_NAME} bytes, which is all that databases keep of a name"
            if name.lower() in RESERVED | {self.key.name.lower(), f"{self.key.name}_right".lower()}:
                return "its name is one of the platform's own: give it another one to use it"
            if self.label is None and name.lower() == DeclaredLabel().column:
                return "its name is that of labels to come: say with --label that it is the label, or rename it"
            if other := self.taken.get(name.lower()):
                return self._clash(sheet, column, name, *other)
        return None

    def _clash(self, sheet: Sheet, column: str, name: str, where: Sheet, called: str) -> str:
        """Why this name of a column is another one's."""
        file = as_text(where.path.name, MOST)
        if name != column:
            return f"the days since it would be called {name}, as a column of {file} is: rename one to use both"
        if name.lower() != called.lower():
            return f"the days since {called} of {file} are a feature of this name: rename one to use both"
        same = "the same" if self._agree(sheet, column, where, called) else "other"
        return f"{file} has a column {called} too, with {same} values: one name, one column"

    def _agree(self, sheet: Sheet, column: str, other: Sheet, called: str) -> bool:
        """Whether two columns have the same texts for the customers whom both know."""
        found = self.con.execute(
            f"SELECT count(*) FROM (SELECT {self.key.sql} AS k, {quoted(column)} AS v FROM {sheet.sql}) AS mine"
            f" JOIN (SELECT {self.key.sql} AS k, {quoted(called)} AS v FROM {other.sql}) AS theirs USING (k)"
            " WHERE mine.v IS DISTINCT FROM theirs.v"
        ).fetchone()
        return found == (0,)


def _with_doubts(judged: ProposedColumn, habit: Habits, found: Thousands | None, column: str) -> ProposedColumn:
    """A column, ignored where its numbers would be read as others, and with what no value tells."""
    said = judged.declared
    if said.role is Role.IGNORED:
        return judged
    if found and (found.sure or found.assumed):
        return ignored(column, Kind.TEXT, f"ignored: {found.told}")
    if found and said.kind in (Kind.INTEGER, Kind.NUMBER):
        return replace(judged, told=f"{judged.told}; {found.told}")
    if said.kind is Kind.DATE and habit.either_first:
        told = f"day or month first? No value tells: read as {habit.date_format}, correct date_format if that is wrong"
        return replace(judged, told=f"{judged.told}; {told}")
    return judged


def _names(column: str, said: DeclaredColumn) -> list[str]:
    """What a column would be called in the platform's tables, and the feature that its days are."""
    return [column, *([days(column)] if said.dates_a_feature else [])]
