"""The code location: every part of the platform, put together."""

from __future__ import annotations

import dagster as dg

from churn_platform.assets import decisions, delivery, landing, models, monitoring, published, snapshots, tracking
from churn_platform.automation import jobs
from churn_platform.automation.schedules import SCHEDULES
from churn_platform.automation.sensors import SECONDS, SENSORS
from churn_platform.home import Home
from churn_platform.settings import Settings


def build_defs(settings: Settings | None = None) -> dg.Definitions:
    """The platform's definitions for these settings; for those of the environment by default."""
    settings = settings or Settings()
    return dg.Definitions(
        assets=[
            landing.landed_tables,
            landing.landed_labels,
            *snapshots.snapshot_assets,
            snapshots.features,
            models.training_set,
            models.candidate,
            decisions.evaluation,
            decisions.promotion,
            *monitoring.ASSETS,
            *delivery.ASSETS,
            *(published.ASSETS if settings.postgres_url.get_secret_value() else []),
        ],
        jobs=[
            jobs.month_close,
            jobs.month_mature,
            jobs.retrain,
            jobs.promote,
            jobs.refresh,
            jobs.appoint_champion,
            jobs.roll_back_champion,
        ],
        schedules=SCHEDULES,
        sensors=[
            *SENSORS,
            dg.AutomationConditionSensorDefinition(
                "promotions",
                target=dg.AssetSelection.assets(decisions.PROMOTION),
                default_status=dg.DefaultSensorStatus.RUNNING,  # Dagster's own stays off until somebody turns it on
                minimum_interval_seconds=SECONDS,
            ),
        ],
        resources={"home": Home(settings), "mlflow": tracking.mlflow},
        executor=dg.in_process_executor,  # one process a run: starting one a step costs more than the step
    )


defs = build_defs()
