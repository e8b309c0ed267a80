"""SQLite: every SQLite file of a home without mentions of some customers, while other programs use it.

Here: Dagster's and MLflow's storage, by their values alone, and the bytes that SQLite leaves behind in a file. Not
here: the online store, which is replaced as a whole (`online.store`), and PostgreSQL (`postgres`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from pathlib import Path

from churn_platform.erasure.mentions import Mentions
from churn_platform.erasure.places import files
from churn_platform.faults import Fault, placing

SECONDS = 60.0
"""How long to wait for the programs that use a file: none of theirs holds one for as long."""

_HEADER = b"SQLite format 3\0"
_AT_ONCE = 32 * 1024 * 1024
_OVERLAP = 8 * 1024  # what is told of a mention lies as near
_LOOKS = 10
_ROWS = 200

_TABLES = (
    "SELECT name, wr FROM pragma_table_list"
    " WHERE schema = 'main' AND type = 'table' AND substr(name, 1, 7) <> 'sqlite_'"
)
_COLUMNS = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0"
_TEXT = "CASE WHEN typeof({0}) IN ('text', 'blob') THEN CAST({0} AS BLOB) END"


class SqliteMentionsError(Fault):
    """A file in which mentions are left; the message names it, and says what is in the way."""


def erase(home: Path, mentions: Mentions, besides: Collection[Path] = ()) -> list[Path]:
    """Take the mentions out of all SQLite files in a home, and return those files that had some.

    A value that is text stays what it is, such as JSON. What the programs that use a file write meanwhile is kept.
    `besides` are left alone. Raises SqliteMentionsError where a file cannot be freed of them now, and PlaceError.
    """
    left = {path.resolve() for path in besides}
    return [path for path in files(home) if path not in left and _is_sqlite(path) and _erase(path, mentions)]


def _is_sqlite(path: Path) -> bool:
    with suppress(FileNotFoundError), placing(path), path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER
    return False


def _erase(path: Path, mentions: Mentions) -> bool:
    try:
        with closing(_connected(path, mentions)) as database:
            return _erased(path, database, mentions)
    except sqlite3.Error as error:
        if not path.exists():  # Dagster has removed it, with its run
            return False
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise _in_use(path) from None
        raise SqliteMentionsError(
            f"{path} cannot be freed of mentions: {error}: mend its disk or permissions, or restore it from a backup"
        ) from None


def _in_use(path: Path) -> SqliteMentionsError:
    return SqliteMentionsError(
        f"{path} still holds mentions, since another program has been using it for {SECONDS:.0f} seconds: run this"
        " again, or end that program first"
    )


def _connected(path: Path, mentions: Mentions) -> sqlite3.Connection:
    """A connection on which SQL knows `mentioning`, `without` and `masked`, and what is overwritten leaves no bytes."""

    def without(value: bytes) -> bytes:
        return mentions.without(value.decode(errors="surrogateescape")).encode(errors="surrogateescape")

    def mentioning(*values: bytes | None) -> bool:
        return any(value is not None and mentions.in_bytes(value) for value in values)

    database = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=SECONDS, isolation_level=None)
    database.execute("PRAGMA secure_delete = ON")
    database.create_function("mentioning", -1, mentioning, deterministic=True)
    database.create_function("without", 1, without, deterministic=True)
    database.create_function("masked", 1, mentions.masked, deterministic=True)
    return database


def _erased(path: Path, database: sqlite3.Connection, mentions: Mentions) -> bool:
    """Whether something had to be erased, and is. What is written meanwhile is looked at again."""
    remained = _remain(path, mentions)
    changed = False
    for look in range(_LOOKS):
        found = sum(_erase_table(database, name, bare) for name, bare in database.execute(_TABLES).fetchall()) > 0
        if not found and (look or not remained):
            # What the bytes still seem to hold is a part of longer words: every page is used, and no value mentions it.
            return changed or (remained and not _remain(path, mentions))
        changed |= found
        _write_through(path, database)
        if _remain(path, mentions):
            database.execute("VACUUM")  # they are in pages that nothing uses, or in what is left of others
            _write_through(path, database)
    raise SqliteMentionsError(f"{path} goes on being written with mentions: run this again when that has ended")


def _erase_table(database: sqlite3.Connection, table: str, bare: int) -> int:
    """Take the mentions out of a table's values, and say how many rows had some. A `bare` one has no row numbers.

    The rows are looked for before anything is locked, and changed a few at a time: others wait for no more than that.
    """
    name = _quoted(table)
    texts = {_quoted(column): _TEXT.format(_quoted(column)) for (column,) in database.execute(_COLUMNS, (table,))}
    which = f"SELECT {'NULL' if bare else 'rowid'} FROM {name} WHERE mentioning({', '.join(texts.values())})"  # noqa: S608  # quoted
    rows = database.execute(f"{which} LIMIT {1 if bare else -1}").fetchall()
    for at in range(0, len(rows), _ROWS):
        database.execute("BEGIN IMMEDIATE")
        for (row,) in rows[at : at + _ROWS]:
            for column, text in texts.items():
                where = f"mentioning({text}) AND {'?1 IS NULL' if bare else 'rowid = ?1'}"
                _erase_values(database, name, column, where, row)
        database.execute("COMMIT")
    return len(rows)


def _erase_values(database: sqlite3.Connection, table: str, column: str, where: str, row: int | None) -> None:
    value = f"CAST(without(CAST({column} AS BLOB)) AS TEXT)"
    for unique in ("", " || ' ' || ?1"):  # where no two may be the same, the row's number tells them apart
        text = f"CASE typeof({column}) WHEN 'text' THEN {value}{unique} ELSE masked({column}) END"
        with suppress(sqlite3.IntegrityError):
            database.execute(f"UPDATE {table} SET {column} = {text} WHERE {where}", (row,))  # noqa: S608  # quoted
            return
    raise SqliteMentionsError(f"{table} has a column {column} that may not be changed: delete its row by hand")


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _write_through(path: Path, database: sqlite3.Connection) -> None:
    """Have what has been written in the file itself, and nothing in its log."""
    if database.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise _in_use(path)


def _remain(path: Path, mentions: Mentions) -> bool:
    """Whether the bytes of a file or of its log may hold a mention, wherever SQLite keeps them."""
    return any(_may_hold(file, mentions) for file in (path, path.with_name(f"{path.name}-wal")))


def _may_hold(file: Path, mentions: Mentions) -> bool:
    with suppress(FileNotFoundError), file.open("rb") as opened:
        before = b""
        while data := opened.read(_AT_ONCE):
            block = before + data
            if mentions.touched(block) or mentions.in_bytes(block):
                return True
            before = block[-_OVERLAP:]
    return False
