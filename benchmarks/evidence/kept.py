"""Kept: each world's answers on disk, so that a run that was cut off goes on where it was.

Here: reading and writing them, and working out those that lack. Not here: the answers (`asking`), or what code they
hold for (`code`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.evidence import asking
from benchmarks.evidence.changes import Answers


class Place(NamedTuple):
    """Whose answers these are: a study's in the world of a size and a seed."""

    study: str
    customers: int
    seed: int


class KeptAnswers(NamedTuple):
    """A study's answers in a world, and how many seconds of CPU they took."""

    answers: Answers
    seconds: float


@dataclass(frozen=True)
class Kept:
    """A folder of answers, of all worlds or of those for a quick look."""

    folder: Path
    quick: bool

    @property
    def places(self) -> Sequence[Place]:
        """All that is asked, largest worlds first: they take longest, and should not be waited for in the end."""
        worlds = asking.QUICK if self.quick else asking.WORLDS
        sizes = sorted(worlds, reverse=True)
        return [Place(study, size, seed) for size in sizes for seed in range(worlds[size]) for study in asking.STUDIES]

    def read(self, place: Place) -> KeptAnswers | None:
        """The answers; None where they are not there yet."""
        file = self._file(place)
        return KeptAnswers(*json.loads(file.read_text())) if file.exists() else None

    def work_out(self, processes: int) -> None:
        """Answer what is not answered yet, so many worlds at a time."""
        missing: dict[tuple[int, int], list[str]] = {}
        for place in self.places:
            if not self._file(place).exists():
                missing.setdefault((place.customers, place.seed), []).append(place.study)
        if processes == 1:
            for world in missing.items():
                self._answer(*world)
        elif missing:
            with ProcessPoolExecutor(processes) as pool:
                list(pool.map(partial(self._answer), missing.keys(), missing.values()))

    def _answer(self, world: tuple[int, int], studies: Sequence[str]) -> None:
        customers, seed = world
        for study, answers, seconds in asking.answers(studies, customers, seed, quick=self.quick):
            file = self._file(Place(study, customers, seed))
            file.parent.mkdir(parents=True, exist_ok=True)
            (partial := file.with_suffix(".partial")).write_text(json.dumps([answers, seconds]))
            partial.rename(file)
            print(f"{customers:,} customers, seed {seed}: {study} took {seconds:.0f} s", file=sys.stderr, flush=True)

    def _file(self, place: Place) -> Path:
        return self.folder / ("quick" if self.quick else "all") / f"{place.customers}-{place.seed}-{place.study}.json"

    def there(self) -> Iterator[tuple[Place, KeptAnswers]]:
        """The answers of the worlds in which every study has its own."""
        found = {place: answered for place in self.places if (answered := self.read(place)) is not None}
        for place, answered in found.items():
            if all(place._replace(study=study) in found for study in asking.STUDIES):
                yield place, answered
