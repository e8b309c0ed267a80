"""Proposal: the declaration of files that nobody has declared, with its evidence.

Here: tables, and all parts put together. Not here: how each part is found (the modules beside this one), or the form
of the file (`toml`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from churn_platform.company.declaration import (
    LABELS,
    Declaration,
    DeclaredCompany,
    DeclaredCustomer,
    DeclaredLabel,
    DeclaredMoney,
    DeclaredTable,
    Kind,
    Missing,
    Role,
)
from churn_platform.company.reading import parse
from churn_platform.proposing import leaks
from churn_platform.proposing.columns import Columns, ProposedTable
from churn_platform.proposing.customers import Customers, customers_of, key_of
from churn_platform.proposing.file_names import patterns, stem_of
from churn_platform.proposing.habits import Habits, habits
from churn_platform.proposing.label_column import Label, label_of
from churn_platform.proposing.naming import meaning_of, names_a_fee
from churn_platform.proposing.sniffing import Sheet, sheets
from churn_platform.proposing.tolerances import Tolerances
from churn_platform.proposing.toml import Place, written
from churn_platform.shown import MOST, as_text, counted


def propose(paths: Sequence[Path], tolerated: Tolerances, key: str | None = None, label: str | None = None) -> str:
    """The text of a declaration for these files, one table each, of which so much may be broken or missing.

    `label` is TABLE.COLUMN. Raises a Fault that names the file where the data allow none.
    """
    import duckdb

    comments: dict[Place, str] = {}
    with duckdb.connect() as con:
        found = sheets(con, paths, tolerated.broken)
        the_key = key_of(con, found, key, tolerated)
        wrote = {sheet.name: habits(con, sheet, the_key.name, tolerated.sound) for sheet in found}
        the_label = label_of(con, found, wrote, the_key.name, label)
        customers = customers_of(con, found, the_key, the_label, tolerated)
        as_of = next((sheet.month.as_of for sheet in found if sheet.month), date.today())
        judging = the_label is not None and leaks.take_label(con, the_label, the_key)
        columns = Columns(con, the_key, customers.sheet, the_label, as_of, judging, tolerated)
        files = dict(zip(found, patterns([stem_of(sheet.path) for sheet in found]), strict=True))
        names, tables = _names(found, customers, the_label), dict[str, DeclaredTable]()
        for sheet in _ordered(found, customers, the_label):
            name = names[sheet]
            only_label = _is_only_label(sheet, customers, the_label)
            proposed = columns.of(sheet, wrote[sheet.name], only_label=only_label)
            tables[name] = _table(sheet, proposed, wrote[sheet.name], customers, files[sheet], name)
            comments["tables", name] = _told(sheet, customers)
            comments |= {("tables", name, column): judged.told for column, judged in proposed.columns.items()}
    fee, comments["money",] = _fee(tables)
    said = DeclaredLabel(table=names[the_label.sheet], column=the_label.column) if the_label else None
    declaration = Declaration(
        company=DeclaredCompany(name="My company"),
        customer=DeclaredCustomer(key=the_key.name, kind=the_key.kind),
        label=said or DeclaredLabel(),
        money=DeclaredMoney(fee=fee),
        tables=tables,
    )
    comments |= _beginning(found) | {("customer",): the_key.told, ("label",): _of_label(the_label, judging)}
    text = written(declaration, comments)
    parse(text, "the proposal")
    return text


def _beginning(found: Sequence[Sheet]) -> dict[Place, str]:
    names = ", ".join(as_text(sheet.path.name, MOST) for sheet in found)
    return {
        (): f"Proposed from {names}. Comments say what was seen.\n"
        "Correct what you know better, above all the meanings, then run `churn company check`.",
        ("company",): 'Give it its name, and the currency of amounts, such as currency = "EUR".',
    }


def _is_only_label(sheet: Sheet, customers: Customers, label: Label | None) -> bool:
    return label is not None and sheet is label.sheet and sheet is not customers.sheet


def _ordered(found: Sequence[Sheet], customers: Customers, label: Label | None) -> list[Sheet]:
    """The table of customers first, and one that is only for the label last."""
    return sorted(found, key=lambda sheet: (sheet is not customers.sheet, _is_only_label(sheet, customers, label)))


def _names(found: Sequence[Sheet], customers: Customers, label: Label | None) -> dict[Sheet, str]:
    """Each table's name; `labels` is kept for a table that is only for the label."""
    names = {sheet: sheet.name for sheet in found}
    for sheet in found:
        if sheet.name == LABELS and not _is_only_label(sheet, customers, label):
            free = (f"{LABELS}_table{number}" for number in ("", *range(2, len(found) + 2)))
            names[sheet] = next(name for name in free if name not in names.values())
    return names


def _table(
    sheet: Sheet, proposed: ProposedTable, habit: Habits, customers: Customers, file: str, name: str
) -> DeclaredTable:
    return DeclaredTable(
        meaning=meaning_of(name),
        columns={column: judged.declared for column, judged in proposed.columns.items()},
        customers=sheet is customers.sheet,
        missing=Missing.ZERO if sheet.name in customers.sparse else Missing.UNKNOWN,
        file=file if file != name else None,
        delimiter=sheet.delimiter,
        decimal=habit.decimal,
        encoding=sheet.encoding,
        null_values=habit.null_values,
        true_values=proposed.true_values,
        false_values=proposed.false_values,
        date_format=habit.date_format,
    )


def _told(sheet: Sheet, customers: Customers) -> str:
    if sheet is customers.sheet:
        return f"Says who is active: {customers.told}."
    lacking = customers.absent[sheet.name]
    told = f"{counted(sheet.rows, 'row')}; {lacking:,} of {customers.total:,} customers have no row"
    return f"{told}: taken as having done nothing." if sheet.name in customers.sparse else f"{told}."


def _of_label(label: Label | None, judging: bool) -> str:
    if label is None:
        return (
            "no column sounds like who left and says yes or no. Name one with --label TABLE.COLUMN, or deliver\n"
            f"a table {LABELS} with the key and a column `churned` once it is known."
        )
    few = "" if judging else "; too few to tell which columns give it away"
    return f"{label.column} is {label.told}{few}."


def _fee(tables: Mapping[str, DeclaredTable]) -> tuple[str | None, str]:
    """The column of the monthly fee, where just one sounds like it, and what to say of that."""
    able = [
        column
        for table in tables.values()
        for column, said in table.columns.items()
        if said.role is Role.FEATURE and said.kind in (Kind.INTEGER, Kind.NUMBER) and names_a_fee(column)
    ]
    if len(able) == 1:
        return able[0], "By its name, what a customer pays each month."
    return None, f"{'several columns' if able else 'no column'} by the name of a monthly fee: set fee = COLUMN."
