"""Erased from SQLite: every value and every byte of a file, while others read and write it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from churn_platform.erasure import sqlite
from churn_platform.erasure.mentions import Mentions

ID = "7590-VHVEG"
MENTIONS = Mentions([ID, "7"], "user_id")


@contextmanager
def made(path: Path, *statements: str) -> Iterator[sqlite3.Connection]:
    """A connection that commits each statement, and leaves bytes behind, as SQLite does unless it is told otherwise."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete = OFF")
        for statement in statements:
            database.execute(statement)
        yield database


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_no_byte_is_left_in_pages_that_nothing_uses(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "runs.db"
    with made(path, f"PRAGMA journal_mode = {mode}", "CREATE TABLE events (id INTEGER PRIMARY KEY, event TEXT)") as db:
        rows = [(json.dumps({"number": number, "said": f"line '{ID}' " + "x" * 600}),) for number in range(300)]
        db.executemany("INSERT INTO events (event) VALUES (?)", rows)
        db.execute("CREATE TABLE old AS SELECT * FROM events")
        db.execute("DROP TABLE old")
        db.execute("DELETE FROM events WHERE id % 3 = 0")
        db.execute("UPDATE events SET event = '{}' WHERE id % 3 = 1")
    assert bytes_of(tmp_path).count(ID.encode()) > 400
    assert sqlite.erase(tmp_path, MENTIONS) == [path]
    assert ID.encode() not in bytes_of(tmp_path)
    with made(path) as db:
        left = db.execute("SELECT id, event FROM events WHERE event <> '{}'").fetchall()
    assert [number for number, _ in left] == list(range(2, 301, 3))
    assert json.loads(left[0][1]) == {"number": 1, "said": "line 'erased' " + "x" * 600}
    assert sqlite.erase(tmp_path, MENTIONS) == []


def test_free_pages_alone_are_emptied_too(tmp_path: Path) -> None:
    """As a run that was killed leaves them: no value mentions anybody any more."""
    with made(tmp_path / "a.db", "CREATE TABLE t (a)", "CREATE TABLE kept AS SELECT 1 AS b") as db:
        db.executemany("INSERT INTO t VALUES (?)", [("y" * 900 + ID,)] * 50)
        db.execute("DELETE FROM t")
    assert ID.encode() in bytes_of(tmp_path)
    assert sqlite.erase(tmp_path, MENTIONS) == [tmp_path / "a.db"]
    assert ID.encode() not in bytes_of(tmp_path)
    with made(tmp_path / "a.db") as db:
        assert db.execute("SELECT b FROM kept").fetchall() == [(1,)]


def test_a_mention_on_two_pages_is_found(tmp_path: Path) -> None:
    """A long value lies on several pages, so no look at the bytes finds all of it."""
    with made(tmp_path / "a.db", "CREATE TABLE t (a TEXT)") as db:
        db.executemany(
            "INSERT INTO t VALUES (?)", [("x" * (4_000 + at) + f" {ID} " + "y" * 9_000,) for at in range(200)]
        )
    sqlite.erase(tmp_path, MENTIONS)
    with made(tmp_path / "a.db") as db:
        assert {text.strip("xy") for (text,) in db.execute("SELECT a FROM t")} == {" erased "}


def test_values_of_every_kind(tmp_path: Path) -> None:
    tables = (
        'CREATE TABLE "odd ""name" ("a b" TEXT, number INTEGER, data BLOB, made TEXT AS (upper("a b")))',
        "CREATE TABLE bare (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
        "CREATE TABLE alone (id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
    )
    with made(tmp_path / "a.db", *tables) as db:
        values = [(ID, 7, f"{ID}\0'7'".encode()), ("'7' 7", f"x{ID}", None), ("\u00e9", 0.5, b"\xff\0")]
        db.executemany('INSERT INTO "odd ""name" VALUES (?, ?, ?)', values)
        db.execute('INSERT INTO "odd ""name" VALUES (CAST(x\'ff20373539302d5648564547\' AS TEXT), NULL, NULL)')
        db.executemany("INSERT INTO bare VALUES (?, ?)", [(ID, ID), ("b", "7"), ("c", "8")])
        db.executemany("INSERT INTO alone (name) VALUES (?)", [(ID,), (f"{ID} ",), (f" {ID}",), ("8",)])
        db.execute(f"UPDATE alone SET name = '{ID}.' WHERE id = 2")
        db.execute(f"UPDATE alone SET name = '({ID}' WHERE id = 3")
        db.execute("INSERT INTO alone (name) VALUES ('erased')")
    sqlite.erase(tmp_path, MENTIONS)
    with made(tmp_path / "a.db") as db:
        db.text_factory = bytes
        assert db.execute('SELECT * FROM "odd ""name"').fetchall() == [
            (b"erased", 7, b"**********\0'*'", b"ERASED"),
            (b"'erased' 7", f"x{ID}".encode(), None, b"'ERASED' 7"),
            ("\u00e9".encode(), 0.5, b"\xff\0", "\u00e9".encode()),
            (b"\xff erased", None, None, b"\xff ERASED"),
        ]
        assert db.execute("SELECT * FROM bare").fetchall() == [(b"b", b"7"), (b"c", b"8"), (b"erased", b"erased")]
        assert [name for (name,) in db.execute("SELECT name FROM alone ORDER BY id")] == [
            *(b"erased 1", b"erased.", b"(erased", b"8", b"erased")
        ]


def test_a_part_of_a_longer_word_stays(tmp_path: Path) -> None:
    with made(tmp_path / "a.db", "CREATE TABLE t (a, b)") as db:
        db.execute("INSERT INTO t VALUES (?, ?)", (f"x{ID}", f"{ID}-2"))
    assert sqlite.erase(tmp_path, MENTIONS) == []
    with made(tmp_path / "a.db") as db:
        assert db.execute("SELECT * FROM t").fetchall() == [(f"x{ID}", f"{ID}-2")]


def test_values_that_touch_are_told_apart(tmp_path: Path) -> None:
    with made(tmp_path / "a.db", "CREATE TABLE t (a, b, c)") as db:
        db.execute("INSERT INTO t VALUES ('before', ?, 'after')", (ID,))
        db.execute("INSERT INTO t VALUES ('other', ?, 'after')", (ID,))
        db.execute("DELETE FROM t WHERE a = 'other'")
    sqlite.erase(tmp_path, MENTIONS)
    assert ID.encode() not in bytes_of(tmp_path)
    with made(tmp_path / "a.db") as db:
        assert db.execute("SELECT * FROM t").fetchall() == [("before", "erased", "after")]


def test_a_reader_of_the_past_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its snapshot the old value is still there, so the log that holds it cannot end."""
    monkeypatch.setattr(sqlite, "SECONDS", 0.2)
    path = tmp_path / "a.db"
    with (
        made(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", f"INSERT INTO t VALUES ('{ID}')"),
        made(path) as db,
    ):
        db.execute("BEGIN")
        assert db.execute("SELECT a FROM t").fetchall() == [(ID,)]
        with pytest.raises(sqlite.SqliteMentionsError, match=r"a\.db still holds mentions, since another") as raised:
            sqlite.erase(tmp_path, MENTIONS)
        assert ID not in str(raised.value)
        assert not raised.value.lasting
        db.execute("COMMIT")
        assert db.execute("SELECT a FROM t").fetchall() == [("erased",)]
        assert sqlite.erase(tmp_path, MENTIONS) == [path]
        assert ID.encode() not in bytes_of(tmp_path)


def test_what_a_kill_left_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values are changed, but the log still has the pages as they were."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.db"
    with made(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", f"INSERT INTO t VALUES ('{ID}')"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(sqlite, "_write_through", killed)
            sqlite.erase(tmp_path, MENTIONS)
        assert ID.encode() in bytes_of(tmp_path)
        assert sqlite.erase(tmp_path, MENTIONS) == [path]
        assert ID.encode() not in bytes_of(tmp_path)


def test_a_writer_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "SECONDS", 0.2)
    statements = ("CREATE TABLE t (a)", f"INSERT INTO t VALUES ('{ID}')", "BEGIN IMMEDIATE")
    told = pytest.raises(sqlite.SqliteMentionsError, match=r"a\.db still holds mentions")
    with made(tmp_path / "a.db", *statements), told:
        sqlite.erase(tmp_path, MENTIONS)
    assert sqlite.erase(tmp_path, MENTIONS) == [tmp_path / "a.db"]


def test_what_others_write_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    rows = 2_000
    with made(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)"):

        def write() -> None:
            with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
                for number in range(rows):
                    database.execute("INSERT INTO t (a) VALUES (?)", (f"{number} {ID if number < rows // 2 else 'x'}",))

        writer = threading.Thread(target=write)
        writer.start()
        sqlite.erase(tmp_path, MENTIONS)
        writer.join()
    sqlite.erase(tmp_path, MENTIONS)
    with made(path) as db:
        found = [text.split() for (text,) in db.execute("SELECT a FROM t ORDER BY id")]
    assert found == [[str(number), "erased" if number < rows // 2 else "x"] for number in range(rows)]
    assert ID.encode() not in bytes_of(tmp_path)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("online.db", "a.db"):
        with made(tmp_path / name, "CREATE TABLE t (a)", f"INSERT INTO t VALUES ('{ID}')"):
            pass
    (tmp_path / "b.db").write_bytes(ID.encode())
    (tmp_path / "empty.db").touch()
    assert sqlite.erase(tmp_path, MENTIONS, [tmp_path / "online.db"]) == [tmp_path / "a.db"]
    assert (tmp_path / "b.db").read_bytes() == ID.encode()
    assert (tmp_path / "empty.db").read_bytes() == b""


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    with made(tmp_path / "a.db", "CREATE TABLE t (a)", f"INSERT INTO t VALUES ('{ID}')"):
        pass
    data = (tmp_path / "a.db").read_bytes()
    (tmp_path / "a.db").write_bytes(data[:100] + b"\xff" * 3_000 + data[3_100:])
    with pytest.raises(sqlite.SqliteMentionsError, match=r"a\.db cannot be freed of mentions: .*restore it"):
        sqlite.erase(tmp_path, MENTIONS)
