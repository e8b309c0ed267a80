"""Partitions: Dagster's view of months, and how an asset's months depend on another's."""

from __future__ import annotations

import dagster as dg

from churn_platform.intake.drops import newest
from churn_platform.months import Month
from churn_platform.settings import DELIVERED, Settings
from churn_platform.tables.features import WINDOW


def months_of(settings: Settings) -> dg.MonthlyPartitionsDefinition:
    """The months that Dagster offers: those that have ended, up to CHURN_LAST_MONTH where that is set.

    A backfill of all of them succeeds only if each was delivered, and a backfill of some extends to the months after
    them, since features look back: hence `delivered`. It is looked up when the definitions are loaded.
    """
    delivered = settings.last_month == DELIVERED
    last = str(newest(settings.drops, settings.first) or settings.first) if delivered else settings.last_month
    return dg.MonthlyPartitionsDefinition(
        start_date=settings.first_month,  # in the format of `fmt`, or Dagster fails to parse it
        end_date=str(Month.parse(last) + 1) if last else None,
        fmt="%Y-%m",
    )


def months_back(first: int, last: int = 0) -> dg.TimeWindowPartitionMapping:
    """Depend on the months M-first to M-last, as many of them as there are."""
    return dg.TimeWindowPartitionMapping(
        start_offset=-first, end_offset=-last, allow_nonexistent_upstream_partitions=True
    )


PREVIOUS = months_back(1, 1)
FEATURE_WINDOW = months_back(WINDOW - 1)
TRAINING_WINDOW = months_back(11)


def month_of(context: dg.AssetExecutionContext) -> Month:
    """The month that a run is for."""
    return Month.parse(context.partition_key)
