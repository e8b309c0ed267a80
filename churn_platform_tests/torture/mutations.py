"""Mutations: a drop's files, broken in the ways in which files break, seeded.

Here: what is done to a file or a folder. Not here: what the platform has to make of it (`test_drops`).
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

from churn_platform_tests.homes import edit

STRANGE = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1e309",
        "nan",
        "inf",
        "-inf",
        "1,5",
        "1.5.2",
        "0x10",
        "1_000",
        "\uff19",
        "null",
        "None",
        "NA",
    ),
    *("2024-02-30", "24-01-05", "9999-12-31", "0001-01-01", "2031-01-01", "31/01/2024", "2024-01-05T00:00:00Z"),
    *(
        "true",
        "TRUE",
        "yes",
        "2",
        '"',
        '""',
        "'",
        "=1+1",
        "<b>x</b>",
        "![x](y)",
        "\u202e",
        "\x1b[31m",
        "\x00",
        "ß" * 5_000,
    ),
)
"""Values that some parser somewhere takes for something else."""

Chance = random.Random


def _bytes(path: Path, chance: Chance) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 20))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)


def _cut(path: Path, chance: Chance) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def _lines(path: Path, chance: Chance) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for _ in range(chance.choice((1, 3, 30))):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        chance.choice(
            (
                lambda at=at, other=other: lines.insert(at, lines[other]),
                lambda at=at: lines.pop(at) if len(lines) > 1 else None,
                lambda at=at: lines.insert(at, b"\n"),
                lambda at=at: lines.insert(at, b"\r"),
            )
        )()
    path.write_bytes(b"".join(lines))


def _values(path: Path, chance: Chance) -> None:
    def change(rows: list[list[str]]) -> None:
        for _ in range(chance.choice((1, 1, 2, 40))):
            row = chance.choice(rows)
            row[chance.randrange(len(row))] = chance.choice(STRANGE)

    edit(path, change)


def _columns(path: Path, chance: Chance) -> None:
    def change(rows: list[list[str]]) -> None:
        at, other = chance.randrange(len(rows[0])), chance.randrange(len(rows[0]))
        kind = chance.randrange(4)
        for number, row in enumerate(rows):
            if kind == 0:
                row.pop(at)
            elif kind == 1:
                row[at], row[other] = row[other], row[at]
            elif kind == 2:
                row.insert(at, "" if chance.random() < 0.5 else row[other])
            elif number == 0:
                row[at] = chance.choice((row[at].upper(), f" {row[at]}", row[other], "", *STRANGE))

    edit(path, change)


def _ends(path: Path, chance: Chance) -> None:
    ends = chance.choice(((b"\r\n",), (b"\r",), (b"\n", b"\r\n"), (b"\n\n",)))
    path.write_bytes(b"".join(line + chance.choice(ends) for line in path.read_bytes().splitlines()))


def _quotes(path: Path, chance: Chance) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 2, 7))):
        data.insert(chance.randrange(len(data)), ord('"'))
    path.write_bytes(data)


def _encoding(path: Path, chance: Chance) -> None:
    text = path.read_text()
    encoded = chance.choice(
        (text.encode("utf-16"), text.encode("utf-8-sig"), text.encode("utf-16-le"), text.encode("cp500"))
    )
    path.write_bytes(encoded)


def _separators(path: Path, chance: Chance) -> None:
    path.write_bytes(path.read_bytes().replace(b",", chance.choice((b";", b"\t", b"|", b", "))))


def _other_file(path: Path, chance: Chance) -> None:
    path.write_bytes(chance.choice((b"", b"\n", b"{}", b"<html>", b"PK\x03\x04", b"PAR1PAR1", b"\x1f\x8b", bytes(200))))


def _packed(path: Path, chance: Chance) -> None:
    packed = path.with_name(path.name + ".gz")
    data = gzip.compress(path.read_bytes())
    packed.write_bytes(data[: chance.choice((len(data), len(data) // 2))])
    if chance.random() < 0.7:
        path.unlink()


def _name(path: Path, chance: Chance) -> None:
    names = (
        path.name.upper(),
        f" {path.name}",
        f"{path.stem}.CSV",
        f"{path.stem}s.csv",
        f"{path.name}.part",
        f"._{path.name}",
    )
    path.rename(path.with_name(chance.choice(names)))


def _folder(path: Path, chance: Chance) -> None:
    data = path.read_bytes()
    path.unlink()
    kind = chance.randrange(3)
    if kind == 0:
        path.symlink_to("nowhere")
    elif kind == 1:
        path.mkdir()
        (path / "part-00000.csv").write_bytes(data)


def _beside(path: Path, chance: Chance) -> None:
    names = (
        ".~lock.users.csv#",
        "~$users.xlsx",
        ".users.csv.swp",
        ".DS_Store",
        "Thumbs.db",
        "notes.txt",
        "users (1).csv",
    )
    (path.parent / chance.choice(names)).write_bytes(b"anything")


MUTATIONS: tuple[Callable[[Path, Chance], None], ...] = (
    *(_bytes, _cut, _lines, _values, _values, _values, _columns, _ends, _quotes, _encoding, _separators),
    *(_other_file, _packed, _name, _folder, _beside),
)


def mutate(drop: Path, chance: Chance) -> str:
    """Break one file of a drop, or two. Returns what was done, for the message of a test that fails."""
    done = []
    files = sorted(path for path in drop.iterdir() if path.suffix == ".csv" and path.is_file())
    for path in chance.sample(files, chance.choice((1, 1, 1, 2))):  # a file that is broken already may hold no rows
        if path.is_file() and path.stat().st_size:
            mutation = chance.choice(MUTATIONS)
            mutation(path, chance)
            done.append(f"{mutation.__name__} {path.name}")
    return ", ".join(done)
