"""The online store, for tests that think of features by name, and as earlier versions left it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from churn_platform.bundle import FeatureKind
from churn_platform.months import Month
from churn_platform.online import store
from churn_platform.online.types import Publication, Row
from churn_platform_tests.streamflow import SCHEMA

_KINDS = {feature.name: feature.kind for feature in SCHEMA}

Named = Iterable[tuple[str, Mapping[str, Any]]]
"""Customers, each with the same features by name."""


def named(rows: Named) -> tuple[dict[str, FeatureKind], Iterator[tuple[str, Sequence[Any]]]]:
    """The features and the rows that a store publishes: StreamFlow's kinds, and of other features the first value's."""
    rows = iter(rows)
    first = next(rows, None)
    kinds = {name: _KINDS.get(name) or _kind(value) for name, value in first[1].items()} if first else {}
    return kinds, ((customer, tuple(values.values())) for customer, values in chain([first] if first else [], rows))


def _kind(value: Any) -> FeatureKind:
    return "boolean" if isinstance(value, bool) else "category" if isinstance(value, str) else "number"


def publish(url: str, month: Month, rows: Named) -> Publication:
    """Publish customers whose features are by name."""
    return store.publish(url, month, *named(rows))


def features(row: Row) -> dict[str, Any]:
    """A customer's features by name."""
    return dict(zip(row.schema.features, msgspec.msgpack.decode(row.values), strict=True))


_EARLIER = """
CREATE TABLE online_publication ({publication}
    month TEXT NOT NULL, as_of TEXT NOT NULL, customers {whole} NOT NULL, published_at TEXT NOT NULL);
CREATE TABLE online_features ({publication}
    user_id TEXT NOT NULL, as_of TEXT NOT NULL, features TEXT NOT NULL);
INSERT INTO online_publication VALUES ({number} '{month}', '{month.as_of}', 1, '2024-03-01T00:00:00+00:00');
INSERT INTO online_features VALUES ({number} '00000', '{month.as_of}', '{{"number": 0}}');
"""


def publish_as_earlier(url: str, month: Month) -> None:
    """What version 0.1 left in an empty store: one customer."""
    if not url.startswith("sqlite"):
        with psycopg.connect(url) as connection:
            sql = _EARLIER.format(publication="publication bigint,", whole="bigint", number="7,", month=month)
            connection.execute(sql)
        return
    path = Path(url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name("earlier.db")
    with closing(sqlite3.connect(made)) as connection:
        connection.executescript(_EARLIER.format(publication="", whole="INTEGER", number="", month=month))
    made.replace(path)


def publish_without_kinds(url: str, month: Month) -> None:
    """What versions left that had today's tables, but knew features by their names alone: one customer."""
    publish(url, month, [("00000", {"number": 0})])
    statement = """UPDATE online_month SET features = '["number"]'"""
    if not url.startswith("sqlite"):
        with psycopg.connect(url) as database:
            database.execute(statement)
        return
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(statement)
