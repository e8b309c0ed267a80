"""`python -m churn_platform.simulation`: write drops, and print one JSON line for each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from churn_platform.simulation.drops import CUSTOMERS, simulate, simulate_next, write_drop
from churn_platform.simulation.hazard import Shock, ShockKind


def main(arguments: Sequence[str] | None = None) -> None:
    """Write drops and print one JSON line for each."""
    parser = argparse.ArgumentParser(prog="python -m churn_platform.simulation", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of drops")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--months", type=int, metavar="N", help="the first N months (1)")
    which.add_argument("--next", action="store_true", help="only the month after the newest in DIR")
    parser.add_argument("--customers", type=int, default=CUSTOMERS, metavar="K", help=f"({CUSTOMERS})")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, another company (0)")
    parser.add_argument(
        "--shock",
        action="append",
        default=[],
        metavar="YYYY-MM:KIND",
        help=f"what happens from a month on, may be repeated; kinds: {', '.join(ShockKind)}",
    )
    asked = parser.parse_args(arguments)
    try:
        shocks = [Shock.parse(text) for text in asked.shock]
        company = (asked.customers, asked.seed, shocks)
        months = 1 if asked.months is None else asked.months
        for month in [simulate_next(asked.out, *company)] if asked.next else simulate(months, *company):
            write_drop(month, asked.out)
            sys.stdout.write(json.dumps(month.summary()) + "\n")
            sys.stdout.flush()
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
