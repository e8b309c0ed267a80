"""The platform's assets as definitions make them, one by one, for tests that materialize some of them alone."""

from __future__ import annotations

from churn_platform.assets import decisions, landing, models, snapshots
from churn_platform.assets.partitions import months_of
from churn_platform.settings import Settings
from churn_platform_tests.streamflow import STREAMFLOW

_SETTINGS = Settings()
_MONTHS = months_of(_SETTINGS)

(LAND_DROP,) = landing.assets(_MONTHS, STREAMFLOW)
*SNAPSHOTS, FEATURES = snapshots.assets(_MONTHS, STREAMFLOW, _SETTINGS.features_due_days)
TRAINING_SET, CANDIDATE = models.assets(_MONTHS, STREAMFLOW)
EVALUATION, PROMOTION = decisions.assets(_MONTHS, STREAMFLOW)
