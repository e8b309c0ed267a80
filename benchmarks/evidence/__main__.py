"""Evidence: how often the platform is right in simulated worlds whose truth is known: `make evidence`.

Each world's answers are kept in a folder, so that a run that was cut off goes on where it was. Everything follows from
the seeds. Prints JSON, and writes a table for people.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.evidence import estimates, leaks, studies
from benchmarks.evidence.rates import Mean, Rate, summed
from benchmarks.evidence.studies import Answers, questions

STUDIES: Mapping[str, Callable[[int, int], Answers]] = {
    "drift": studies.drift,
    "promotions": studies.promotions,
    "luck": studies.luck,
    "leaks": leaks.study,
    "estimates": estimates.against_truth,
}
"""Each takes the number of customers and a seed."""

WORLDS = {1_000: 20, 7_043: 20, 50_000: 6}
"""How many seeds there are, by the number of customers."""

QUICK = {1_000: 3}
"""The same for a look that takes minutes."""


def main() -> None:
    """Run what is not there yet, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kept", type=Path, default=Path(".evidence"), help="where each world's answers are kept")
    parser.add_argument("--table", type=Path, help="a Markdown file to write the rates to")
    parser.add_argument("--quick", action="store_true", help="a few small worlds only")
    asked = parser.parse_args()
    worlds = QUICK if asked.quick else WORLDS
    found = {
        name: {size: questions(_answers(asked.kept, name, size, seeds)) for size, seeds in worlds.items()}
        for name in STUDIES
    }
    rates = [
        (question, size, summed(answers))
        for sizes in found.values()
        for size, asked_of in sizes.items()
        for question, answers in asked_of.items()
    ]
    print(json.dumps([{"question": q, "customers": n, **r.figures} for q, n, r in rates]))
    if asked.table:
        asked.table.write_text(_table(rates))


def _answers(kept: Path, study: str, size: int, seeds: int) -> Iterator[Answers]:
    """Each world's answers, as kept or worked out now."""
    for seed in range(seeds):
        file = kept / f"{study}-{size}-{seed}.json"
        if not file.exists():
            answers = STUDIES[study](size, seed)
            kept.mkdir(parents=True, exist_ok=True)
            (partial := file.with_suffix(".partial")).write_text(json.dumps(answers))
            partial.rename(file)
        yield json.loads(file.read_text())


def _table(rates: list[tuple[str, int, Rate | Mean]]) -> str:
    rows = "".join(f"| {question} | {size:,} | {rate} |\n" for question, size, rate in rates)
    return (
        "# Evidence\n\nWritten by `make evidence`. Each rate or mean is of simulated worlds, one for each seed, with"
        " its 95 % interval, exact for rates.\n\n| in a world | customers | happened |\n|---|---|---|\n" + rows
    )


if __name__ == "__main__":
    main()
