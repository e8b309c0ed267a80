"""Headers: whether delivered drops have the tables and columns that are declared, by their headers alone.

Here: what would stop a month before any of its rows is judged. Not here: reading a header (`reading`), or judging rows
(`landing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from churn_platform.contracts import Contract
from churn_platform.intake.drops import DropError, file_of
from churn_platform.intake.parsing import name_of, parts_of
from churn_platform.intake.reading import read_header
from churn_platform.months import Month


def not_as_declared(contract: Contract, drops: Mapping[Month, Path]) -> Iterator[str]:
    """A sentence about each table of these months' drops that is not as it is declared."""
    tables = contract.states if contract.leaves else contract.tables
    for month, drop in drops.items():
        for table in tables:
            wanted = table.at(month)
            try:
                if path := file_of(drop, wanted):
                    for part, file in parts_of(path):
                        read_header(file, name_of(path, part), wanted)
            except DropError as error:
                yield f"{month} does not fit the declaration: {error}"
