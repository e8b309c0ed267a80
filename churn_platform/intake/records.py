"""Records: what the records of a CSV file are, by one definition that whatever parses the file is held to.

Here: the definition, and the lines that are no record of the table. Not here: typed tables (`parsing`).

The definition is RFC 4180's, as Python's csv module reads it in strict mode: UTF-8; fields between commas, or what the
table declares in their place; a field that begins with a quote ends with one, and two quotes in it stand for one; a
quote further on in a field is an ordinary character. A record ends with LF, CRLF or CR, and a file may mix them. Empty
lines are no records. Where a quote is wrong within one line, that line is no record, and the next one begins after it.
"""

from __future__ import annotations

import csv
import io
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from churn_platform.faults import Fault

csv.field_size_limit(sys.maxsize)  # a stray quote can turn a whole file into one field, which Python would not read

NOT_CLOSED = "A quoted value has no closing quote, or goes on after it"


class RecordsError(Fault):
    """A fault for which a file is no table; its message continues "table users"."""


@dataclass(frozen=True)
class Unreadable:
    """A line that is no record of the table; `line` counts from 1, the header included."""

    line: int
    text: str
    reason: str


@dataclass
class Records:
    """A file's records: the header's fields, the line on which each later one starts, and the lines that are none."""

    header: tuple[str, ...] = ()
    starts: array[int] = field(default_factory=lambda: array("q"))
    unreadable: list[Unreadable] = field(default_factory=list)


def fields_of(line: str, delimiter: str) -> list[str]:
    """About what the fields of a line would be that cannot be read: blanks around them do not count."""
    try:
        found = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        found = line.split(delimiter)
    return [field.strip(' "') for field in found] or [""]


def records(data: bytes, delimiter: str = ",") -> Records:
    """The records of a file's bytes. Raises RecordsError where its encoding or a quote leaves them open."""
    try:
        found, reasons = _found(data, delimiter)
    except UnicodeDecodeError as error:
        raise RecordsError(f"is not UTF-8 text: line {_misencoded(data)}") from error
    if reasons:
        lines = data.splitlines()
        found.unreadable = [Unreadable(line, lines[line - 1].decode(), reason) for line, reason in reasons.items()]
    return found


def header_of(data: bytes, delimiter: str) -> tuple[str, ...]:
    """The header's fields alone, by a file's first bytes; none where it is empty. Raises RecordsError."""
    try:
        return next((tuple(found) for found in csv.reader(_text(data), strict=True, delimiter=delimiter) if found), ())
    except csv.Error as error:
        raise RecordsError("has a quote in its header that nothing closes") from error


def _found(data: bytes, delimiter: str) -> tuple[Records, dict[int, str]]:
    """The records, and why a line is none of them."""
    found, reasons = Records(), dict[int, str]()
    reader, width, end = csv.reader(_text(data), strict=True, delimiter=delimiter), 0, 0
    while True:
        start = end + 1
        try:
            fields = next(reader)
        except StopIteration:
            return found, reasons
        except csv.Error:
            fields = None
        end = reader.line_num
        if end > start and fields != [] and (fields is None or _swallows(fields, width, delimiter)):
            raise RecordsError(f"has a quote on line {start} that swallows the lines after it, up to line {end}")
        if fields is None and not width:
            raise RecordsError(f"has a quote on line {start}, in its header, that nothing closes")
        if fields is None:
            reasons[start] = NOT_CLOSED
        elif not width:
            found.header, width = tuple(fields), len(fields)
        elif len(fields) == width:
            found.starts.append(start)
        elif fields:
            reasons[start] = f"Expected Number of Columns: {width} Found: {len(fields)}"


def _swallows(fields: Sequence[str], width: int, delimiter: str) -> bool:
    """Whether a record that spans lines holds others: a quote too many makes them its text.

    They would be lost, and count as one broken row, well within the tolerance. A quoted value may hold one line break,
    but as many commas as a whole record has are one.
    """
    breaks = {value: len(f"{value}.".encode().splitlines()) - 1 for value in fields}
    return len(fields) != width or any(n > 1 or (n and v.count(delimiter) >= width - 1) for v, n in breaks.items())


def _misencoded(data: bytes) -> int:
    """The line of the first byte that is not UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return len((data[: error.start] + b".").splitlines())
    raise AssertionError("every byte is UTF-8")


def sound(data: bytes, unreadable: Iterable[Unreadable]) -> bytes:
    """The bytes without these lines."""
    bad = {found.line for found in unreadable}
    return b"".join(line for n, line in enumerate(data.splitlines(keepends=True), 1) if n not in bad) if bad else data


def agreeing(data: bytes, delimiter: str, rows: Iterator[Sequence[str | None]]) -> int:
    """How many records after the header are as the rows that were made of them, before the first that is not."""
    wanted = [fields for fields in csv.reader(_text(data), delimiter=delimiter) if fields][1:]
    for n, fields in enumerate(wanted):
        row = next(rows, None)
        if row is None or fields != [value or "" for value in row]:
            return n
    return len(wanted)


def _text(data: bytes) -> io.TextIOWrapper:
    """The text line by line, without its byte-order mark."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
