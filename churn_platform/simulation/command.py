"""The command: `churn simulate`, and `python -m churn_platform.simulation`.

Here: the options, and what is printed. Not here: what a month holds and how it is written (`drops`). That module is
imported in the function, since `churn --help` should not wait for numpy.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from itertools import islice
from pathlib import Path

import click

from churn_platform.progress import Progress
from churn_platform.settings import Settings
from churn_platform.simulation import CUSTOMERS
from churn_platform.simulation.hazard import Shock, ShockKind


@click.command("simulate")
@click.option(
    "--out",
    type=click.Path(file_okay=False, writable=True, path_type=Path),
    required=True,
    help="The folder to write drops to.",
)
@click.option("--months", type=click.IntRange(min=1), help="How many months, starting with the first.  [default: 1]")
@click.option("--next", "only_next", is_flag=True, help="Only the month after the newest drop in the folder.")
@click.option(
    "--customers", type=click.IntRange(min=1), default=CUSTOMERS, show_default=True, help="Customers at the start."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same bytes.")
@click.option(
    "--shock",
    "shocks",
    multiple=True,
    metavar="YYYY-MM:KIND",
    help=f"A lasting change from a month on; may be repeated. With --next, KIND alone means from that month on."
    f" Kinds: {', '.join(ShockKind)}.",
)
@click.option(
    "--known-by",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Write the labels that are known on this day; those of the newest months may come later.  [default: today]",
)
def simulate(
    out: Path,
    months: int | None,
    only_next: bool,
    customers: int,
    seed: int,
    shocks: tuple[str, ...],
    known_by: datetime | None,
) -> None:
    """Write the monthly drops of a synthetic company.

    One JSON line per month says what was written. The first month is CHURN_FIRST_MONTH. With --next, earlier months
    that have no labels get them once they are known, even where somebody has removed them.
    """
    from churn_platform.contracts import declared
    from churn_platform.simulation import drops

    if only_next and months is not None:
        raise click.UsageError("give --months or --next, not both")
    settings = Settings()
    drops.refuse_others(declared(settings.company))
    first = settings.first
    upcoming = drops.next_month(out, first) if only_next else None
    known = [Shock.parse(shock, upcoming) for shock in shocks]
    skipped = upcoming.since(first) if upcoming else 0
    wanted = skipped + 1 if months is None else months
    day = known_by.date() if known_by else date.today()
    simulated, total = drops.simulate(wanted, customers, seed, known, first), wanted - skipped
    for month in islice(simulated, skipped):
        if labels := drops.deliver_labels(month.known_by(day), out):
            click.echo(json.dumps({"month": str(month.month), "folder": month.folder, "labels": labels}))
    progress = Progress(by_task=True)
    for number in range(1, total + 1):
        with progress.of(f"writing month {number} of {total}"):
            month = next(simulated).known_by(day)
            drops.write_drop(month, out)
        click.echo(json.dumps(month.summary()))
