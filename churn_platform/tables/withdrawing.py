"""Withdrawing: customers taken out of the published tables, in every month.

Here: their rows in PostgreSQL, and what `published_months` says of the months. Not here: publishing and withdrawing a
month (`published`), or the lake's tables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from churn_platform.months import Month
from churn_platform.online.connecting import transaction
from churn_platform.online.types import is_text
from churn_platform.tables.published import ADVISORY_LOCK, URL_SETTING, NotPublishedError, PostgresUnavailableError

if TYPE_CHECKING:
    Connection = psycopg.Connection[tuple[Any, ...]]

SECONDS = 1_800.0
"""How long all of it may take: the keys have no index of their own, so every month's rows are read."""

_TABLES = """
    SELECT relname FROM pg_class t JOIN pg_attribute ON attrelid = t.oid
    WHERE relname IN (SELECT table_name FROM published_months) AND t.oid = to_regclass(quote_ident(relname))
      AND relkind = 'p' AND attname = %s AND NOT attisdropped ORDER BY relname
"""
_DELETE = """
    WITH gone AS (DELETE FROM {table} WHERE {key} = ANY(%s) RETURNING as_of)
    SELECT as_of, count(*) FROM gone GROUP BY as_of
"""


def erase(url: str, key: str, customers: Collection[str], digests: Mapping[tuple[str, Month], str]) -> int:
    """Take these customers' rows out of every published table with this key, and say how many those were.

    `digests` has the SHA-256 of the lake's new file, without them, by the published table's name and month: of those
    months alone that were published from the file before. Any other month keeps its own, so that the next time the
    lake's file is published, whatever it holds. All is one transaction, and again it does nothing.

    Raises PostgresUnavailableError and NotPublishedError.
    """
    gone = [customer for customer in customers if is_text(customer)]
    try:
        with transaction(url, SECONDS) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
            if connection.execute("SELECT to_regclass('published_months')").fetchone() == (None,):
                return 0
            rows = 0
            for (table,) in connection.execute(_TABLES, (key,)).fetchall():
                found = _delete(connection, table, key, gone)
                rows += sum(found.values())
                _record(connection, table, found, digests)
            return rows
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise PostgresUnavailableError(
            f"customers are not withdrawn from the published tables: the PostgreSQL of {URL_SETTING} cannot be used at"
            f" present: {reason}: start it, or correct the URL"
        ) from None
    except psycopg.Error as error:  # its own text may hold a customer's id
        raise NotPublishedError(
            f"customers are not withdrawn from the published tables: PostgreSQL refuses it: {type(error).__name__}:"
            " look at its log"
        ) from None


def _delete(connection: Connection, table: str, key: str, customers: list[str]) -> dict[date, int]:
    """Delete the rows, and say how many each month had."""
    names = {"table": sql.Identifier(table), "key": sql.Identifier(key)}
    found: dict[date, int] = dict(connection.execute(sql.SQL(_DELETE).format(**names), (customers,)).fetchall())
    if found:  # what PostgreSQL knows of a column's values lists some of them
        connection.execute(sql.SQL("ANALYZE {table}").format(**names))
    return found


def _record(
    connection: Connection, table: str, gone: Mapping[date, int], digests: Mapping[tuple[str, Month], str]
) -> None:
    changed = {as_of: digests.get((table, Month.of(as_of))) for as_of in gone}
    changed |= {month.as_of: digest for (name, month), digest in digests.items() if name == table}
    for as_of, digest in changed.items():
        connection.execute(
            "UPDATE published_months SET rows = rows - %s, sha256 = coalesce(%s, sha256), published_at = now()"
            " WHERE table_name = %s AND as_of = %s AND (%s > 0 OR sha256 <> %s)",
            (gone.get(as_of, 0), digest, table, as_of, gone.get(as_of, 0), digest),
        )
