"""Write the gym's drops: three months of two CSV files, as a gym might export them.

`python make_drops.py FOLDER` writes `members.csv` and `gone.csv` of each month into FOLDER/YYYY-MM. Whoever comes
rarely is more likely to leave. The last month has no `gone.csv` yet, since nobody knows who will leave. The numbers
are made up, and the same in every run.
"""

from __future__ import annotations

import csv
import random
import sys
from datetime import date
from pathlib import Path

MONTHS = ("2024-01", "2024-02", "2024-03")
MEMBERS = 800
FEES = {"Basic": "19,90", "Plus": "34,90", "Team": ""}  # a team's company pays
CHANCE = random.Random(7)  # noqa: S311 - nothing secret is drawn


class Member:
    """Somebody who trains at the gym, and comes as often as they like it."""

    def __init__(self, number: int, joined: date) -> None:
        self.number, self.joined = number, joined
        self.plan = CHANCE.choice(list(FEES))
        self.keenness = CHANCE.random()

    def row(self, visits: int) -> list[object]:
        """The member's line in `members.csv`."""
        return [self.number, self.plan, FEES[self.plan], f"{self.joined:%d.%m.%Y}", visits]


def month(folder: Path, members: list[Member], known: bool) -> list[Member]:
    """Write a month's files, and return who stays. `known` says whether it is known yet who left."""
    visits = [min(30, int(CHANCE.expovariate(1 / (1 + 12 * member.keenness)))) for member in members]
    leaves = [CHANCE.random() < 0.5 / (1 + count) for count in visits]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "members.csv").open("w", newline="") as file:
        lines = csv.writer(file, delimiter=";", lineterminator="\n")
        lines.writerow(["Member No", "Plan", "Monthly Fee", "Joined", "Visits"])
        lines.writerows(member.row(count) for member, count in zip(members, visits, strict=True))
    if known:
        with (folder / "gone.csv").open("w", newline="") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerow(["Member No", "Gone"])
            told = zip(members, leaves, strict=True)
            lines.writerows([member.number, "yes" if left else "no"] for member, left in told)
    return [member for member, left in zip(members, leaves, strict=True) if not left]


def main(drops: Path) -> None:
    """Write all months. Whoever has left is gone in the next, and others have joined."""
    members: list[Member] = []
    number = 0
    for name in MONTHS:
        year, of_year = map(int, name.split("-"))
        while len(members) < MEMBERS:
            number += 1
            earlier = date(CHANCE.randrange(2020, 2024), CHANCE.randrange(1, 13), CHANCE.randrange(1, 29))
            members.append(Member(number, earlier if name == MONTHS[0] else date(year, of_year, 1)))
        members = month(drops / name, members, known=name != MONTHS[-1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
