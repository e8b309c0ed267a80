"""Partitions: Dagster's view of months, and how an asset's months depend on another's."""

from __future__ import annotations

import dagster as dg

from churn_platform.features import WINDOW
from churn_platform.months import Month
from churn_platform.settings import Settings


def _months(settings: Settings) -> dg.MonthlyPartitionsDefinition:
    """The months that Dagster offers: those that have ended, or up to CHURN_LAST_MONTH where that is set."""
    end = str(Month.parse(settings.last_month) + 1) if settings.last_month else None
    # The dates have to be in fmt's own format, or Dagster fails to parse them.
    return dg.MonthlyPartitionsDefinition(start_date=settings.first_month, end_date=end, fmt="%Y-%m")


MONTHS = _months(Settings())


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
