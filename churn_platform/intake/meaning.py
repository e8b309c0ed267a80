"""Meaning: what keys and true or false mean in a month's files, as its tables were taken in.

Here: the record of that, and comparing it with what is declared. Not here: reading values (`casting`), where the record
is kept (`deliveries`), or what follows from a difference (`tables.origins`).

Only what gives a value another meaning makes a difference. Other words than before, as after a move to another program,
leave the months that were read by the old ones as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from churn_platform.company.declaration import Kind, Role
from churn_platform.contracts import Contract, Table
from churn_platform.intake.casting import FALSE, TRUE

Words = tuple[tuple[str, ...], tuple[str, ...]]
"""What is written for true, and what for false."""


class Meaning(msgspec.Struct, frozen=True):
    """`key` is the key's kind, and `words` are, by column, those for true and those for false.

    Of labels, nobody asks for `key`: their customers are those of the other tables. Where who leaves has churned,
    `leaves` is after how many months; otherwise it is None.
    """

    key: Literal["text", "integer"]
    words: dict[str, Words]
    leaves: int | None = None


def meaning(contract: Contract, tables: Iterable[Table]) -> Meaning:
    """What is declared of these tables, which are all that describe customers, or the labels."""
    found = list(tables)
    words = {
        column.name: (table.file.true_values or TRUE, table.file.false_values or FALSE)
        for table in found
        for column in table.columns
        if column.kind is Kind.BOOLEAN and column.role is not Role.IGNORED
    }
    leaves = contract.leaves if contract.labels in found else None
    return Meaning(contract.declaration.customer.kind, words, leaves)


def otherwise(then: Meaning, contract: Contract, tables: Iterable[Table]) -> list[str]:
    """The columns in which a value means something else now, by their present names."""
    found = list(tables)
    now = meaning(contract, found)
    names = [contract.label] if contract.labels in found and then.leaves != now.leaves else []
    for table in found:
        for column in table.columns:
            before = next((then.words[name] for name in (column.name, *column.was) if name in then.words), None)
            if before and column.name in now.words and column.name not in names:
                names += [column.name] if _are_swapped(before, now.words[column.name]) else []
    return names


def _are_swapped(before: Words, now: Words) -> bool:
    """Whether a word that was true is false now, or the other way round: in capitals or not, where none is declared."""
    told = [set(words) for words in (*before, *now)]
    if (TRUE, FALSE) in (before, now):
        told = [{word.lower() for word in words} for words in told]
    true, false, is_true, is_false = told
    return bool(true & is_false or false & is_true)
