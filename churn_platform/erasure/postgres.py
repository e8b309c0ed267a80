"""PostgreSQL: the texts in a database's plain tables without mentions of some customers, while others use it.

Here: Dagster's storage, and whatever else keeps texts in the same schema. Not here: receipts, which nobody may change;
the online store (`online.store`) and the published tables (`tables.withdrawing`), whose rows go by their key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from churn_platform.erasure.mentions import Mentions
from churn_platform.faults import Fault
from churn_platform.online.connecting import PUBLISH_SECONDS, transaction
from churn_platform.settings.urls import without_secrets

if TYPE_CHECKING:
    Connection = psycopg.Connection[tuple[Any, ...]]

_KEPT = ["receipts", "receipt_intent", "online_month", "online_customers", "published_months"]
_SCAN_SECONDS = 6 * 3_600.0
"""How long reading one table may take: Dagster's events may be many, over a slow line."""
_ROWS = 200
_LOOKS = 10

_COLUMNS = """
    SELECT relname, attname, format_type(atttypid, atttypmod) FROM pg_class t JOIN pg_attribute ON attrelid = t.oid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition AND relname <> ALL(%s)
      AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
      AND format_type(atttypid, NULL) IN ('text', 'character varying', 'character', 'json', 'jsonb')
    ORDER BY relname, attnum
"""
_STATISTICS = """
    SELECT tablename, concat_ws(' ', most_common_vals::text, histogram_bounds::text) FROM pg_stats
    WHERE schemaname = 'public' AND tablename <> ALL(%s)
"""


class PostgresMentionsError(Fault):
    """A database in which mentions may be left; the message names it, and says what is in the way."""


@dataclass(frozen=True)
class _Texts:
    """A table, and its columns of texts with their types."""

    table: str
    columns: dict[str, str]


Row = tuple[str, dict[str, str]]
"""Where a row is, and those of its texts that mention somebody."""


def erase(url: str, mentions: Mentions) -> list[str]:
    """Take the mentions out of the texts in a database's schema `public`, and return the tables that had some.

    JSON stays JSON. What others write meanwhile is kept. PostgreSQL shows nobody what a row was before; its own
    statistics on a table, which list values, are made again. Raises PostgresMentionsError.
    """
    with _told(url):
        with transaction(url, PUBLISH_SECONDS) as connection:
            found = connection.execute(_COLUMNS, (_KEPT,)).fetchall()
        tables = dict[str, dict[str, str]]()
        for table, column, kind in found:
            tables.setdefault(table, {})[column] = kind
        changed = [table for table, columns in tables.items() if _erase_table(url, _Texts(table, columns), mentions)]
        with transaction(url, PUBLISH_SECONDS) as connection:
            known = connection.execute(_STATISTICS, (_KEPT,)).fetchall()
            for table in {table for table, values in known if mentions.found(values)} | set(changed):
                connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
    return changed


def _erase_table(url: str, texts: _Texts, mentions: Mentions) -> bool:
    """Whether a table had mentions. A row that somebody changes meanwhile is found again by the next look."""
    for look in range(_LOOKS):
        with transaction(url, _SCAN_SECONDS) as reading:
            found = False
            for rows in _batches(_mentioning(reading, texts, mentions)):
                found = True
                with transaction(url, PUBLISH_SECONDS) as writing:
                    for place, values in rows:
                        _update(writing, texts, place, values, mentions)
        if not found:
            return look > 0
    raise PostgresMentionsError(
        f"the table {texts.table} in {without_secrets(url)} goes on being written with mentions: run this again when"
        " that has ended"
    )


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, _ROWS)):
        yield batch


def _mentioning(connection: Connection, texts: _Texts, mentions: Mentions) -> Iterator[Row]:
    """The rows with mentions, streamed."""
    query = sql.SQL("SELECT ctid::text, {} FROM ONLY {}").format(
        sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in texts.columns),
        sql.Identifier(texts.table),
    )
    with connection.cursor(name="mentions") as cursor:
        for place, *values in cursor.execute(query):
            row = dict(zip(texts.columns, values, strict=True))
            if found := {column: text for column, text in row.items() if text and mentions.found(text)}:
                yield place, found


def _update(connection: Connection, texts: _Texts, place: str, values: dict[str, str], mentions: Mentions) -> None:
    """Change a row, if it is still there as it was."""
    kinds = [sql.SQL(texts.columns[column]) for column in values]  # PostgreSQL's own name of each
    names = list(map(sql.Identifier, values))
    statement = sql.SQL("UPDATE {} SET {} WHERE ctid = %s::tid AND {}").format(
        sql.Identifier(texts.table),
        sql.SQL(", ").join(sql.SQL("{} = %s::{}").format(*pair) for pair in zip(names, kinds, strict=True)),
        sql.SQL(" AND ").join(sql.SQL("{}::text = %s").format(name) for name in names),
    )
    without = [mentions.without(text) for text in values.values()]
    try:
        with connection.transaction():
            connection.execute(statement, [*without, place, *values.values()])
    except psycopg.errors.UniqueViolation:  # where no two may be the same, the row's place tells them apart
        connection.execute(statement, [*(f"{text} {place}" for text in without), place, *values.values()])


@contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        known = isinstance(error, psycopg.OperationalError)
        reason = " ".join(str(error).split()) if known else type(error).__name__  # another's text may hold a value
        raise PostgresMentionsError(
            f"{without_secrets(url)} may still hold mentions: {reason}: mend that, then run this again"
        ) from None
