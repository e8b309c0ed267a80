"""The commands about the company's declaration: what it says, what follows from it, and how to write one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from churn_platform.saying import say
from churn_platform.settings import begin
from churn_platform.shown import as_text, counted

if TYPE_CHECKING:
    from churn_platform.contracts import Contract


@click.group()
def company() -> None:
    """Look at the declaration of the company, the file that CHURN_COMPANY names."""


@company.command()
def check() -> None:
    """Check the declaration, and what it means for closed months, the champion and a retrain.

    Looks at the headers of delivered months that are not closed yet, too. Exits with 1 where something has to be done
    first. An alert goes out where the champion is concerned.
    """
    from churn_platform.automation import news
    from churn_platform.company.checking import formulas
    from churn_platform.home import Home
    from churn_platform.intake import drops, headers
    from churn_platform.monitoring.consequences import of_all
    from churn_platform.tables.names import FEATURES

    home = Home(begin())
    contract = home.contract
    formulas(contract.declaration)
    columns = sum(len(table.columns) - 1 for table in contract.tables)
    counts = f"{counted(len(contract.tables), 'table')}, {counted(columns, 'column')}"
    say(f"{as_text(contract.declaration.company.name)}: the declaration is sound: {counts}")
    closed, first = home.lake.months(FEATURES), home.settings.first
    delivered = drops.delivered(home.settings.drops, first).items()
    upcoming = {month: drop for month, drop in delivered if month >= first and month not in closed}
    unfit = tuple(headers.not_as_declared(contract, upcoming))
    for sentence in unfit:
        say(sentence)
    if not closed:
        say("no month is closed yet: nothing follows from it so far")
        raise SystemExit(bool(unfit))
    found = of_all(home)
    for consequence in found:
        say(consequence.sentence)
    if not found:
        say("the closed months and the champion have the declared features")
    news.tell_of_declaration(home)
    if unfit or any(consequence.pressing for consequence in found):
        raise SystemExit(1)


@company.command()
def show() -> None:
    """Show the declaration as a table: every column, its kind, its role, what may be in it, and what is made of it."""
    from churn_platform.home import Home

    contract = Home(begin()).contract
    rows = [("table", "column", "kind", "role", "values"), *_columns(contract), *_made(contract)]
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        say("  ".join([*cells, row[4]]).rstrip())


def _columns(contract: Contract) -> Iterator[tuple[str, ...]]:
    for table in contract.tables:
        name = contract.declaration.label.table if table is contract.labels else table.name
        for column in table.columns:
            values = column.pattern or ", ".join(column.allowed) or _bounds(column.minimum, column.maximum)
            past = (
                f"since {column.since}" if column.since else "",
                f"until {column.until}" if column.until else "",
                f"was {', '.join(column.was)}" if column.was else "",
            )
            kind = "integer" if column.whole else str(column.kind)
            yield name, column.name, kind, str(column.role), "; ".join(filter(None, (values, *past)))


def _made(contract: Contract) -> Iterator[tuple[str, ...]]:
    """The features that are made of columns: those that are declared as formulas, and those of the past."""
    from churn_platform.company import past

    features = contract.declaration.features
    for name, made in features.derived.items():
        yield "features", name, str(made.kind), "derived", made.sql
    for name, column in past.features(features.history):
        yield "features", name, "number", "history", column


def _bounds(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return f"{'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"


@company.command()
def schema() -> None:
    """Print the JSON Schema of declarations, for editors: `#:schema FILE` in a declaration's first line names it."""
    import sys

    from churn_platform.company.reading import json_schema

    sys.stdout.write(json_schema())


@company.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--key", metavar="COLUMN", help="The column that says which customer a row is about.")
@click.option("--label", metavar="TABLE.COLUMN", help="The column that says who left.")
def propose(files: tuple[Path, ...], key: str | None, label: str | None) -> None:
    """Propose a declaration for one month's CSV or Parquet files, one table each: `... > company.toml`.

    A folder of parts, as Spark writes it, is one file.

    Comments say what it was told by. Read it, correct it, and run `churn company check`. How much may be broken or
    missing is as CHURN_QUARANTINE_TOLERANCE and CHURN_ABSENCE_TOLERANCE say.
    """
    from churn_platform.proposing.proposal import propose as proposed
    from churn_platform.proposing.tolerances import Tolerances

    settings = begin()
    tolerated = Tolerances(settings.quarantine_tolerance, settings.absence_tolerance)
    click.echo(proposed(files, tolerated, key, label).encode(), nl=False)  # TOML is UTF-8, whatever the terminal is
