"""Evidence: how often the platform is right in simulated worlds whose truth is known: `make evidence`.

Each world's answers are kept in a folder that is named after the code, so that a run that was cut off goes on where it
was, and other code begins anew. Everything follows from the seeds. Prints JSON, and writes a table for people.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.evidence import delta, estimates, leaks, studies
from benchmarks.evidence.rates import Mean, Rate, summed
from benchmarks.evidence.studies import Answers, questions
from churn_platform.files import sha256

Worlds = Mapping[int, int]
"""How many seeds there are, by the number of customers."""

WORLDS: Worlds = {1_000: 20, 7_043: 20, 50_000: 6}

QUICK: Worlds = {1_000: 2}
"""For a look that takes minutes."""


class Study(NamedTuple):
    """What is asked in a world, by its number of customers and a seed, and in which worlds; whether quickly, too."""

    ask: Callable[[int, int], Answers]
    worlds: Worlds = WORLDS
    quick: bool = True


STUDIES: Mapping[str, Study] = {
    "drift": Study(studies.drift),
    "promotions": Study(studies.promotions),
    "luck": Study(studies.luck, {1_000: 20, 7_043: 4}, quick=False),
    "leaks": Study(leaks.study),
    "estimates": Study(estimates.against_truth),
    "rules": Study(delta.rules, {1_000: 20, 7_043: 20}, quick=False),
    "platform": Study(delta.platform, {1_000: 10}, quick=False),
}
"""Sixteen months, two dozen candidates, and Dagster's runs take long: fewer worlds fit into four hours."""


CLAIMS = {
    "quiet month called shifted": (0.0, 1 / 20),
    "new plan found": (0.95, 1.0),
    "promoted in a quiet month": (0.0, 1 / 20),
    "quiet month stopped as leaking": (0.0, 1 / 60),
    "plain leak stopped": (1.0, 1.0),
    "faint leak stopped": (0.95, 1.0),
    "gaps leak stopped": (1.0, 1.0),
}
"""Between which shares what the platform promises lies; a rate whose interval excludes all of them breaks a promise."""


Asked = tuple[Path, str, int, int]
"""A folder for answers, a study, a number of customers and a seed."""


def main() -> None:
    """Run what is not there yet, and say what came out. Ends with 1 where a rate breaks a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kept", type=Path, default=Path(".evidence"), help="where each world's answers are kept")
    parser.add_argument("--table", type=Path, help="a Markdown file to write the rates to")
    parser.add_argument("--quick", action="store_true", help="a few small worlds only")
    parser.add_argument("--processes", type=int, default=1, help="how many worlds are made at a time")
    options = parser.parse_args()
    kept = options.kept / code()
    worlds = {
        n: QUICK if options.quick else study.worlds for n, study in STUDIES.items() if study.quick or not options.quick
    }
    asked = [
        (kept, name, size, seed)
        for name, sizes in worlds.items()
        for size, seeds in sizes.items()
        for seed in range(seeds)
    ]
    _work_out([one for one in asked if not _file(*one).exists()], options.processes)
    rates = [
        (question, size, summed(answers))
        for name, sizes in worlds.items()
        for size, seeds in sizes.items()
        for question, answers in questions(_read(kept, name, size, seed) for seed in range(seeds)).items()
    ]
    print(json.dumps([{"question": q, "customers": n, **r.figures} for q, n, r in rates]))
    if options.table:
        options.table.write_text(_table(rates))
    if broken := [f"{q}, {n:,} customers: {r}" for q, n, r in rates if isinstance(r, Rate) and not _holds(q, r)]:
        raise SystemExit(f"not as promised: {'; '.join(broken)}")


def code() -> str:
    """A name for the code that answers: other code gives other answers."""
    root = Path(__file__).parents[2]
    files = sorted(path for room in ("benchmarks", "churn_platform") for path in (root / room).rglob("*.py"))
    return sha256(b"".join(path.read_bytes() for path in files))[:12]


def _work_out(asked: Sequence[Asked], processes: int) -> None:
    """Answer, several at a time, and keep each answer as it comes."""
    if processes == 1:
        for one in asked:
            _answer(one)
        return
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(_answer, asked))


def _answer(asked: Asked) -> None:
    _, study, size, seed = asked
    answers = STUDIES[study].ask(size, seed)
    file = _file(*asked)
    file.parent.mkdir(parents=True, exist_ok=True)
    (partial := file.with_suffix(".partial")).write_text(json.dumps(answers))
    partial.rename(file)


def _file(kept: Path, study: str, size: int, seed: int) -> Path:
    return kept / f"{study}-{size}-{seed}.json"


def _read(*asked: Any) -> Answers:
    found: Answers = json.loads(_file(*asked).read_text())
    return found


def _holds(question: str, rate: Rate) -> bool:
    (least, most), (low, high) = CLAIMS.get(question, (0.0, 1.0)), rate.interval
    return low <= most and high >= least


def _table(rates: list[tuple[str, int, Rate | Mean]]) -> str:
    rows = "".join(f"| {question} | {size:,} | {rate} |\n" for question, size, rate in rates)
    return (
        "# Evidence\n\nWritten by `make evidence`. Each rate or mean is of simulated worlds, one for each seed, with"
        " its 95 % interval, exact for rates.\n\n| in a world | customers | happened |\n|---|---|---|\n" + rows
    )


if __name__ == "__main__":
    main()
