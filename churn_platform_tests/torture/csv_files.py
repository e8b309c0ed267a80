"""CSV files torn in every way: the records of each are rows or named unreadable lines, or it is refused in words.

Here: making the files, a second reader that says what their records are, and the comparison. `python -m` does it.
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from churn_platform.contracts import Table
from churn_platform.intake.drops import DropError
from churn_platform.intake.parsing import parse
from churn_platform.lake import Lake
from churn_platform_tests.streamflow import LABELS, PAYMENTS, STREAMFLOW, USERS

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

TABLES = (PAYMENTS, LABELS, USERS)

# The second reader


class OpenError(Exception):
    """The file's bytes leave open what its records are: it has to be refused."""


@dataclass
class Record:
    """A record with the lines that it begins and ends on; `fields` is None where a quote is wrong."""

    begin: int
    end: int
    fields: list[str] | None


FIELD = re.compile(r'"((?:[^"]++|"")*+)"(?=[,\r\n]|\Z)|(?!")([^,\r\n]*)')
WRONG = re.compile(r'"(?:[^"]++|"")*+"?[^\r\n]*')
END = re.compile(r"\r\n|\r|\n|\Z")


def records_of(text: str) -> Iterator[Record]:
    """RFC 4180, a field at a time: the slow way, written without looking at the platform's.

    A record ends with LF, CRLF or CR. A quote that begins a field opens it, and quotes within double. After a quote
    that is wrong, the next record begins on the next line.
    """
    place, line = 0, 1
    while place < len(text):
        start, fields = place, list[str]()
        while (found := FIELD.match(text, place)) and text[found.end() : found.end() + 1] == ",":
            fields.append(value_of(found))
            place = found.end() + 1
        if found:
            fields.append(value_of(found))
        last = found or WRONG.match(text, place)
        assert last
        whole = text[start : last.end()]
        end = END.match(text, last.end())
        assert end
        if whole:
            # A quote that nothing closes may swallow the end of the last line, but not a line after it.
            last_line = line + breaks(whole) - whole.endswith(("\r", "\n"))
            yield Record(line, last_line, fields if found else None)
        place = end.end()
        line += breaks(text[start:place])


def value_of(field: re.Match[str]) -> str:
    """A field's value."""
    return field[2] if field[1] is None else field[1].replace('""', '"')


def breaks(text: str) -> int:
    """How many lines end in a text."""
    return text.replace("\r\n", "\n").replace("\r", "\n").count("\n")


def expected(data: bytes) -> list[Record]:
    """The header and the records of a file. Raises OpenError."""
    try:
        found = list(records_of(data.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise OpenError("not UTF-8") from error
    width = len(found[0].fields or ()) if found else 0
    for record in found:
        if record.end > record.begin and swallows(record.fields, width):
            raise OpenError(f"line {record.begin}: a record of several lines may have swallowed others")
    return found


def swallows(fields: list[str] | None, width: int) -> bool:
    """Whether a record of several lines may hold others: its width is wrong, or a value of it is more than one line."""
    for value in fields or ():
        if breaks(value) > 1 or (breaks(value) and value.count(",") >= width - 1):
            return True
    return fields is None or len(fields) != width


# The comparison


def difference(engine: Backend, path: Path, table: Table, data: bytes) -> str | None:
    """What the platform makes of the file that it should not; None where all is well."""
    try:
        header, *wanted = expected(data) or [Record(1, 1, [])]
    except OpenError as error:
        header, wanted = Record(1, 1, None), []
        refusal = str(error)
    else:
        refusal = "" if sorted(header.fields or ()) == sorted(c.name for c in table.columns) else "another header"
        refusal = refusal or ("" if wanted else "no rows")
    try:
        parsed = parse(engine, path, table)
    except DropError as error:
        return None if refusal else f"refused, though it can be read: {error}"
    if refusal:
        return f"read, though it should be refused: {refusal}"
    width = len(header.fields or ())
    unreadable = [r.begin for r in wanted if r.fields is None or len(r.fields) != width]
    if [place.line for place in parsed.unreadable] != unreadable:
        return f"unreadable lines {[place.line for place in parsed.unreadable][:9]}, and not {unreadable[:9]}"
    rows = [r for r in wanted if r.begin not in set(unreadable)]
    count = parsed.typed.count().to_pyarrow().as_py()
    if count != len(rows):
        return f"{count} rows of {len(rows)} records"
    places, values = parsed.places(range(count)), parsed.values(range(count))
    for n, record in enumerate(rows):
        if places[n].line != record.begin:
            return f"row {n} is said to be on line {places[n].line}, but is on line {record.begin}"
        found = [values[n][name] or "" for name in header.fields or ()]
        if found != record.fields:
            return f"line {record.begin} reads as {found}, and not as {record.fields}"
    return None


# The files


def plain(rng: random.Random, table: Table) -> list[list[str]]:
    """A header and some rows of plain values."""
    names = [column.name for column in table.columns]
    return [names, *([f"{n:04d}-AAAAA", *("1" for _ in names[1:])] for n in range(rng.randrange(1, 40)))]


PIECES = (
    *['"', '""', '"\n', '\n"', '","', ',"', '",', '"\r\n"', "'", "\\", '\\"'],
    *[",", ";", "\t", " ", "#", "NULL", "\n", "\r", "\r\n", "\r\r\n"],
    *["\0", "\x0b", "\x0c", "\x1a", "\x1c", "\x85", "\u2028", "\ufeff", "é", "😀"],
)
"""What is put into files: quotes, ends of fields and lines, and what some readers take for ends of lines."""


def written(rng: random.Random, rows: list[list[str]]) -> str:
    """The rows as some program would write them."""
    end = rng.choice(["\n", "\r\n", "\r", None])
    quoted = rng.choice([0.0, 0.0, 0.3, 1.0])
    text = ""
    for row in rows:
        cells = ['"' + cell.replace('"', '""') + '"' if rng.random() < quoted else cell for cell in row]
        text += ",".join(cells) + (end or rng.choice(["\n", "\r\n", "\r"]))
    return text if rng.random() < 0.7 else text.rstrip("\r\n")


def inserted(rng: random.Random, data: bytes) -> bytes:
    """Something put in somewhere."""
    place = rng.randrange(len(data) + 1)
    piece = rng.choice(PIECES).encode() if rng.random() < 0.9 else rng.randbytes(rng.randrange(1, 4))
    return data[:place] + piece + data[place:]


def removed(rng: random.Random, data: bytes) -> bytes:
    """A few bytes gone."""
    place = rng.randrange(len(data) + 1)
    return data[:place] + data[place + rng.randrange(1, 12) :]


def overwritten(rng: random.Random, data: bytes) -> bytes:
    """A few bytes replaced by others."""
    place, count = rng.randrange(len(data) + 1), rng.randrange(1, 5)
    return data[:place] + bytes(rng.choice(b'",\r\n\0 a1;') for _ in range(count)) + data[place + count :]


def cut(rng: random.Random, data: bytes) -> bytes:
    """Only its beginning, as a transfer that broke off leaves it."""
    return data[: rng.randrange(len(data) + 1)]


def lengthened(rng: random.Random, data: bytes) -> bytes:
    """A very long value, now and then longer than any reader's buffer."""
    place = rng.randrange(len(data) + 1)
    letters = rng.choice([b"A", b"\xc3\xa9", b'""', b", ", b"\0"])
    return data[:place] + letters * rng.choice([1_000, 70_000, 70_000, 1_500_000]) + data[place:]


def joined(_: random.Random, data: bytes) -> bytes:
    """Two files in one, header and byte-order mark included."""
    return data + b"\xef\xbb\xbf" + data


def encoded(rng: random.Random, data: bytes) -> bytes:
    """Written in another encoding."""
    text = data.decode("utf-8", "replace")
    return text.encode(rng.choice(["utf-16", "utf-16-le", "latin-1", "cp1252", "utf-8-sig"]), "replace")


MUTATIONS: tuple[tuple[Callable[[random.Random, bytes], bytes], int], ...] = (
    (inserted, 60),
    (removed, 15),
    (overwritten, 15),
    (cut, 3),
    (lengthened, 2),
    (joined, 2),
    (encoded, 3),
)


def torn(rng: random.Random, table: Table) -> bytes:
    """A file as somebody might deliver it, and nobody should."""
    rows = plain(rng, table)
    for _ in range(rng.choice([0, 0, 1, 3])):
        row = rng.choice(rows[1:])
        row[rng.randrange(len(row))] += rng.choice(PIECES)
    for _ in range(rng.choice([0, 0, 0, 1, 3])):
        rows.insert(rng.randrange(1, len(rows) + 1), ["x"] * rng.randrange(len(rows[0]) + 3))
    data = written(rng, rows).encode()
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        [(mutate, _)] = rng.choices(MUTATIONS, [weight for _, weight in MUTATIONS])
        data = mutate(rng, data)
    return data


def torture(seed: int, files: int, folder: Path) -> Iterator[str]:
    """Tear that many files, and yield a sentence for each that is read wrongly; the last one's file is kept."""
    engine = Lake(folder / "lake", STREAMFLOW).engine
    for number in range(files):
        rng = random.Random(f"{seed}/{number}")
        table = rng.choice(TABLES)
        data, packed = torn(rng, table), rng.random() < 0.1
        path = folder / f"{table.name}.csv{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data, 1) if packed else data)
        if told := difference(engine, path, table, data):
            yield f"seed {seed}, file {number} ({table.name}): {told}"


def main() -> None:
    """Tear files, say what is read wrongly, and exit with 1 if anything is."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=10_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faults = list(torture(chosen.seed, chosen.files, Path(folder)))
    print(*faults[:20], f"{chosen.files} files, {len(faults)} of them read wrongly", sep="\n")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
