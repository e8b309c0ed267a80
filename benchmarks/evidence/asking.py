"""Asking: which studies there are, in which worlds, and the answers of one world.

Here: what decides on answers. Not here: keeping them (`kept`), or what they add up to (`rates`, `page`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import process_time

from benchmarks.evidence import changes, estimates, intervals, leaks, platform, rules
from benchmarks.evidence.changes import Answers
from benchmarks.evidence.versions import Asked
from benchmarks.evidence.worlds import MONTHS, world

Worlds = Mapping[int, int]
"""How many seeds there are, by the number of customers."""

WORLDS: Worlds = {1_000: 20, 7_043: 20, 50_000: 6}

QUICK: Worlds = {1_000: 2}
"""For a look that takes minutes."""

QUICK_MONTHS = 7
"""How many months a world has for that: one shock, and what follows it."""

COMPANIES, QUICK_COMPANIES = 5, 1
"""How many companies the population is taken from, each as large as one can be without copies of its customers."""

STUDIES: Mapping[str, Callable[[Asked], Answers]] = {
    "drift": changes.drift,
    "promotions": changes.promotions,
    "luck": changes.luck,
    "leaks": leaks.study,
    "intervals": intervals.coverage,
    "estimates": estimates.against_truth,
    "rules": rules.study,
    "platform": platform.study,
}


def answers(studies: Sequence[str], customers: int, seed: int, *, quick: bool) -> Iterator[tuple[str, Answers, float]]:
    """Each study's answers in one world, one after the other, and the seconds of CPU that it took."""
    with world(customers, seed, QUICK_MONTHS if quick else MONTHS) as made:
        asked = Asked(made, QUICK_COMPANIES if quick else COMPANIES)
        for study in studies:
            began = process_time()
            found = STUDIES[study](asked)
            yield study, found, process_time() - began
