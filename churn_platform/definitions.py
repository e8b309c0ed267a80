"""The code location: every part of the platform, put together for some settings."""

from __future__ import annotations

import dagster as dg

from churn_platform.assets import decisions, delivery, landing, models, monitoring, published, snapshots, tracking
from churn_platform.assets.partitions import months_of
from churn_platform.automation import forgetting, jobs
from churn_platform.automation.dagster_private import blank_errors, end_every_run
from churn_platform.automation.schedules import schedules
from churn_platform.automation.sensors import sensors
from churn_platform.home import Home
from churn_platform.settings import Settings, begin


def build_defs(settings: Settings | None = None) -> dg.Definitions:
    """The platform's definitions for these settings, by default those of the environment."""
    settings = settings or begin()
    home = Home(settings)
    contract, months = home.contract, months_of(settings)
    monthly = jobs.monthly(contract)
    return dg.Definitions(
        assets=[
            *landing.assets(months, contract),
            *snapshots.assets(months, contract, settings.features_due_days),
            *models.assets(months, contract),
            *decisions.assets(months, contract, settings.warning_gates),
            *monitoring.assets(months, contract),
            *delivery.assets(months),
            *(published.assets(months, contract) if settings.postgres_url.get_secret_value() else []),
        ],
        jobs=[*monthly.values(), *jobs.BY_HAND, forgetting.forget_customers],
        schedules=schedules(months, monthly),
        sensors=sensors(settings, months, monthly),
        resources={"home": home, "mlflow": tracking.mlflow},
        executor=dg.in_process_executor,  # one process per run: starting one per step costs more than the step
    )


blank_errors()
end_every_run()
defs = build_defs()
