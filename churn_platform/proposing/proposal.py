"""Proposal: the declaration of files that nobody has declared, with its evidence.

Here: tables, and all parts put together. Not here: how each part is found (the modules beside this one), or the form
of the file (`toml`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from churn_platform.company.declaration import (
    EARLY_LABELS,
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
from churn_platform.proposing.sniffing import Sheet, UnfitError, sheets
from churn_platform.proposing.tolerances import Tolerances
from churn_platform.proposing.toml import Place, written
from churn_platform.shown import MOST, as_text, counted, inert


def propose(paths: Sequence[Path], tolerated: Tolerances, key: str | None = None, label: str | None = None) -> str:
    """The text of a declaration for these files, one table each, of which so much may be broken or missing.

    `label` is TABLE.COLUMN. Raises a Fault that names the file where the data allow none that could be learned from.
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
    _check_features(found, tables, comments)
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
    parse(text, f"what was proposed for {_files(found)}")
    return text


def _files(found: Sequence[Sheet]) -> str:
    return ", ".join(as_text(sheet.path.name, MOST) for sheet in found)


def _check_features(found: Sequence[Sheet], tables: Mapping[str, DeclaredTable], comments: Mapping[Place, str]) -> None:
    """Raises UnfitError where no column is one: nothing could be learned, whatever a person corrects."""
    columns = [(name, column, said) for name, table in tables.items() for column, said in table.columns.items()]
    if any(said.role is Role.FEATURE for _, _, said in columns):
        return
    told = [f"{inert(column)} ({inert(comments['tables', name, column], 150)})" for name, column, said in columns]
    why = f": {', '.join(told[:_REASONS])}" if told else ", since there are none but the key"
    raise UnfitError(f"{_files(found)}: no column can be a feature{why}: add a table that says more of the customers")


_REASONS = 3
"""How many columns are named with the reason for which they are none."""


def _beginning(found: Sequence[Sheet]) -> dict[Place, str]:
    return {
        (): f"Proposed from {_files(found)}. Comments say what was seen.\n"
        "Correct what you know better, above all the meanings, then run `churn company check`.",
        ("company",): 'Give it its name, and the currency of amounts, such as currency = "EUR".',
    }


def _is_only_label(sheet: Sheet, customers: Customers, label: Label | None) -> bool:
    return label is not None and sheet is label.sheet and sheet is not customers.sheet


def _ordered(found: Sequence[Sheet], customers: Customers, label: Label | None) -> list[Sheet]:
    """The table of customers first, and one that is only for the label last."""
    return sorted(found, key=lambda sheet: (sheet is not customers.sheet, _is_only_label(sheet, customers, label)))


def _names(found: Sequence[Sheet], customers: Customers, label: Label | None) -> dict[Sheet, str]:
    """Each table's name; what the platform calls its own is no other's, but a table only for the label is `labels`."""
    names = {sheet: sheet.name for sheet in found}
    for sheet in found:
        own = {EARLY_LABELS} if _is_only_label(sheet, customers, label) else {LABELS, EARLY_LABELS}
        if sheet.name in own:
            free = (f"{sheet.name}_table{number}" for number in ("", *range(2, len(found) + 2)))
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
