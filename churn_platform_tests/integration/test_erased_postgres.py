"""Erased from PostgreSQL: texts of every kind, while others write; and what is left alone there."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from churn_platform.erasure import postgres as erasing
from churn_platform.erasure.mentions import Mentions
from churn_platform_tests.published_cases import ask, empty_database, execute

ID = "7590-VHVEG"
MENTIONS = Mentions([ID, "7"], "user_id")


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    with empty_database(postgres) as made:
        yield made


def test_texts_of_every_kind(url: str) -> None:
    execute(
        url,
        'CREATE TABLE "odd ""name" (id int, a text, "b c" varchar(12), d json, e jsonb, f char(10), g bytea, h int,'
        " made text GENERATED ALWAYS AS (upper(a)) STORED)",
        f"""INSERT INTO "odd ""name" VALUES (1, 'for {ID} and 7', '{ID}', '{{"b": "{ID}",  "a": 7}}',
        '{{"a": ["{ID}\\n", 7]}}', '{ID}', '\\x00', 7), (2, '''7''', '"7" x', 'null', '7', '7', NULL, 7),
        (3, 'x{ID}', NULL, NULL, NULL, NULL, NULL, NULL)""",
        "CREATE TABLE alone (name text UNIQUE)",
        f"INSERT INTO alone VALUES ('{ID}'), ('erased')",
        "CREATE TABLE none (name text)",
        "INSERT INTO none VALUES ('nobody')",
    )
    assert erasing.erase(url, MENTIONS) == ["alone", 'odd "name']
    array = '{"a": ["erased\\n", 7]}'
    assert ask(url, 'SELECT id, a, "b c", d::text, e::text, f, g, h, made FROM "odd ""name" ORDER BY id') == [
        (
            1,
            "for erased and 7",
            "erased",
            '{"b": "erased",  "a": 7}',
            array,
            "erased    ",
            b"\0",
            7,
            "FOR ERASED AND 7",
        ),
        (2, "'erased'", '"erased" x', "null", "7", "7         ", None, 7, "'ERASED'"),
        (3, f"x{ID}", None, None, None, None, None, None, f"X{ID}"),
    ]
    (first,), (second,) = ask(url, "SELECT name FROM alone ORDER BY name")
    assert first == "erased" and second.startswith("erased (")
    assert erasing.erase(url, MENTIONS) == []


def test_what_is_not_its_own_stays(url: str) -> None:
    execute(
        url,
        *(f"CREATE TABLE {name} (value text)" for name in (*erasing._KEPT, "other")),
        "CREATE TABLE published (as_of int, user_id text) PARTITION BY LIST (as_of)",
        "CREATE TABLE published_1 PARTITION OF published FOR VALUES IN (1)",
        "CREATE SCHEMA others CREATE TABLE mine (value text)",
        f"INSERT INTO published VALUES (1, '{ID}')",
        *(f"INSERT INTO {name} VALUES ('{ID}')" for name in (*erasing._KEPT, "other", "others.mine")),
    )
    assert erasing.erase(url, MENTIONS) == ["other"]
    for name in (*erasing._KEPT, "others.mine"):
        assert ask(url, f"SELECT value FROM {name}") == [(ID,)]
    assert ask(url, "SELECT user_id FROM published") == [(ID,)]


def test_statistics_list_nobody(url: str) -> None:
    """They are made when a table is analysed, and everybody who may read the table may read them."""
    execute(
        url,
        "CREATE TABLE tags (value text)",
        f"INSERT INTO tags SELECT '{ID}' FROM generate_series(1, 50) UNION ALL SELECT 'x' FROM generate_series(1, 50)",
        "ANALYZE tags",
        "UPDATE tags SET value = 'x'",  # as a run that was killed in between leaves it
    )
    listed = "SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'tags'"
    assert ID in str(ask(url, listed))
    assert erasing.erase(url, MENTIONS) == []
    assert ID not in str(ask(url, listed))


def test_what_others_write_meanwhile_is_kept(url: str) -> None:
    rows = 1_500
    execute(url, "CREATE TABLE t (id int PRIMARY KEY, count int, a text)")
    execute(url, f"INSERT INTO t SELECT n, 0, n || ' {ID}' FROM generate_series(0, {rows - 1}) n")
    begun = threading.Event()

    def write() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for number in range(rows):
                connection.execute("UPDATE t SET count = count + 1 WHERE id = %s", (number,))
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    erasing.erase(url, MENTIONS)
    writer.join()
    erasing.erase(url, MENTIONS)
    assert ask(url, "SELECT count(*), sum(count) FROM t") == [(rows, rows)]
    assert ask(url, "SELECT 1 FROM t WHERE a <> id || ' erased'") == []


def test_a_failure_names_nobody(url: str) -> None:
    execute(url, "CREATE TABLE t (a text CHECK (a <> 'erased'))", f"INSERT INTO t VALUES ('{ID}')")
    with pytest.raises(erasing.PostgresMentionsError, match="CheckViolation: mend that") as raised:
        erasing.erase(url, MENTIONS)
    assert ID not in str(raised.value)
    with pytest.raises(erasing.PostgresMentionsError, match="may still hold mentions") as raised:
        erasing.erase("postgresql://me:secret@localhost:1/nothing", MENTIONS)
    assert "secret" not in str(raised.value)
    assert not raised.value.lasting
