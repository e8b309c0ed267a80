"""StreamFlow's contract, and what follows from it, for tests of what is done with tables like these."""

from __future__ import annotations

from churn_platform.company.declaration import LABELS as OF_EVERY_COMPANY
from churn_platform.company.declaration import SNAPSHOTS as SUFFIX
from churn_platform.company.declaration import Declaration
from churn_platform.contracts import streamflow
from churn_platform.tables.catalog import catalog
from churn_platform.tables.features import schema

STREAMFLOW = streamflow()
KEY, LABEL, FEE = STREAMFLOW.key, STREAMFLOW.label, STREAMFLOW.fee
TABLES, STATE_TABLES = STREAMFLOW.tables, STREAMFLOW.states
BY_NAME = {table.name: table for table in TABLES}
USERS, LABELS = STREAMFLOW.customers, STREAMFLOW.labels
SUBSCRIPTIONS = BY_NAME["subscriptions"]
USAGE = BY_NAME["usage_agg_30d"]
PAYMENTS = BY_NAME["payments_agg_90d"]

SNAPSHOTS = STREAMFLOW.snapshots
SCHEMA = schema(STREAMFLOW)
HISTORY = STREAMFLOW.declaration.features.history.columns
DERIVED = STREAMFLOW.declaration.features.derived
CATALOG = catalog(STREAMFLOW)


def words_of(declaration: Declaration) -> set[str]:
    """What is the company's own: its key, its currency, its tables and their snapshots, its columns and features."""
    found = {declaration.customer.key, declaration.company.currency, declaration.label.column}
    for name, table in declaration.tables.items():
        found |= {name, table.snapshots or f"{name}{SUFFIX}", *table.columns}
        found |= {old for column in table.columns.values() for old in column.was}
    found |= declaration.features.derived.keys()
    return found - {"", OF_EVERY_COMPANY}  # the platform calls every company's labels so


WORDS = words_of(STREAMFLOW.declaration)
