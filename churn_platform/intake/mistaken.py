"""Mistaken: in what way a file is not the table that its name says, with the likely cause, in one short sentence.

Here: what the first bytes and the header tell. Not here: reading files (`reading`).
Each answer continues "table users".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from churn_platform.company.declaration import Role
from churn_platform.contracts import Column, Table, TableFile
from churn_platform.shown import inert

_BYTES = (
    (b"PK\x03\x04", "an Excel or zip file: save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file: save it as CSV"),
    (b"\x1f\x8b", "compressed by gzip: end its name with .csv.gz"),
    (b"PAR1", "a Parquet file: end its name with .parquet"),
    (b"BZh", "compressed by bzip2: deliver it as CSV or CSV.gz"),
    (b"\xfd7zXZ", "compressed by xz: deliver it as CSV or CSV.gz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: deliver it as CSV or CSV.gz"),
    (b"SQLite format 3\0", "an SQLite database: deliver it as CSV or Parquet"),
    (b"%PDF", "a PDF: deliver it as CSV"),
    (b"\xff\xfe", "UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save it as UTF-8"),
)
_TEXTS = (
    ("<", "an HTML or XML page, perhaps an error or a login page: fetch the file again"),
    ("{", "JSON: deliver it as CSV"),
    ("[", "JSON: deliver it as CSV"),
    ("sep=", "CSV with a line sep= before its header, as Excel takes it: remove that line"),
)
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_LINE = 4096
"""How many bytes of a file are looked at for its header."""

_SHOWN = 3
"""How many names of columns are shown."""


def for_csv(table: Table, data: bytes) -> str | None:
    """What a file is that is no CSV file, by its first bytes and line; None where it may be one."""
    if data and not data[:4096].strip(b"\0"):
        return "has nothing but zero bytes: it was not written to its end; fetch it again"
    for beginning, kind in _BYTES:
        if data.startswith(beginning):
            return f"is {kind}"
    if b"\0\0" in (data[0:4:2], data[1:4:2]):  # there is no byte-order mark, but every other byte of a letter is zero
        return "is UTF-16 text: save it as UTF-8"
    text = data[:_LINE].decode("utf-8-sig", "replace").lstrip()
    if found := next((kind for beginning, kind in _TEXTS if text.lower().startswith(beginning)), None):
        return f"is {found}"
    return _separated(table.file, text.partition("\n")[0])


def columns(table: Table, names: Sequence[str]) -> str | None:
    """How these columns differ from the contract's, whose order is free; None where they do not."""
    known = {*table.file.columns, passed_over(table)}
    unknown = [name for name in names if name not in known]
    lacking = [_in_file(table, c) for c in table.columns if c.name not in set(names) and not c.optional]
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if not (unknown or lacking or repeated):
        return None
    return (
        _headless(table, names)
        or _nameless(names)
        or _misspelled(lacking, unknown)
        or _changed(table, lacking, unknown)
        or _columns("repeats", repeated)
    )


def key_of(table: Table) -> str:
    """What the table's file calls the key."""
    return next((called for called, name in table.file.renamed if name == table.key.name), table.key.name)


def passed_over(table: Table) -> str | None:
    """What to call the column that has the key's name where another one is the key; no column is declared so."""
    return f" {table.key.name}" if key_of(table) != table.key.name else None


def _in_file(table: Table, column: Column) -> str:
    return key_of(table) if column.role is Role.KEY else column.name


def _changed(table: Table, lacking: Sequence[str], unknown: Sequence[str]) -> str:
    """Both at once, since a column with a new name is one that lacks and one that is unknown."""
    told = (_columns(fault, names) for fault, names in (("lacks", lacking), ("has unknown", unknown)) if names)
    return " and ".join(told) + (_indexed(unknown) or _to_declare(table, lacking, unknown))


def _to_declare(table: Table, lacking: Sequence[str], unknown: Sequence[str]) -> str:
    """What to declare where the company has changed its table. The key and the label have to be there always."""
    always = {_in_file(table, column) for column in table.with_role(Role.KEY, Role.LABEL)}
    if table.month is None or not (lacking or unknown) or not always.isdisjoint(lacking):
        return ""
    cures = []
    if unknown:
        cures.append(f'since = "{table.month}" for a column that is new')
    if lacking:
        cures.append(f'until = "{table.month - 1}" for one that has ended')
    if unknown and lacking:
        cures.append(f'was = ["{inert(lacking[0])}"] for one that has another name now')
    gone = ", or remove one that no earlier month had" if lacking else ""
    return f": declare {', '.join(cures)}{gone}"


def _columns(fault: str, names: Sequence[str]) -> str:
    """The fault with the contract's names, or with the first of a file's."""
    more = len(names) - _SHOWN if fault != "lacks" else 0
    shown = ", ".join(inert(name) for name in (names[:_SHOWN] if more > 0 else names))
    return f"{fault} column{'s' * (len(names) > 1)} {shown}{f' and {more:,} more' if more > 0 else ''}"


def _separated(file: TableFile, line: str) -> str | None:
    """What separates the columns in the header, if it is not what the table declares."""
    known, own = set(file.columns), file.delimiter

    def columns_by(separator: str) -> int:
        return len(known & {part.strip(' "\r') for part in line.split(separator)})

    found = max((own, *_SEPARATORS), key=columns_by)
    return f"has {_SEPARATORS[found]} between its columns: write {_SEPARATORS[own]}" if found != own else None


def _headless(table: Table, names: Sequence[str]) -> str | None:
    pattern = table.key.pattern
    if pattern and any(re.fullmatch(pattern, name) for name in names):
        return f"has no header: its first line is a row, with {inert(next(filter(None, names)))}"
    return None


def _nameless(names: Sequence[str]) -> str | None:
    blank = [place for place, name in enumerate(names, start=1) if not name.strip()]
    if not blank:
        return None
    if blank == [1]:
        return "has a first column without a name, perhaps an index of pandas: write it with index=False"
    if blank == list(range(len(names) - len(blank) + 1, len(names) + 1)):
        return f"has a header that ends with {len(blank):,} comma{'s' * (len(blank) > 1)} too many"
    return f"has a column without a name: column {blank[0]:,}{f' and {len(blank) - 1:,} more' * (len(blank) > 1)}"


def _misspelled(lacking: Sequence[str], unknown: Iterable[str]) -> str:
    """The columns that lack, with the first unknown name that somebody may have written for one of them."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in unknown}
    for name in lacking:
        if other := plain.get(re.sub(r"[^a-z0-9]", "", name.lower())):
            return f"{_columns('lacks', lacking)}: it has '{inert(other)}', which must be {name}"
    return ""


def _indexed(unknown: Iterable[str]) -> str:
    known = not {"Unnamed: 0", "__index_level_0__"}.isdisjoint(unknown)
    return ", perhaps an index of pandas: write it with index=False" if known else ""
