"""Schedules: the monthly safety net for where the sensor that watches drops is turned off."""

import dagster as dg

from churn_platform.automation import jobs, watch
from churn_platform.automation.sensors import answer
from churn_platform.automation.triggers import CLOSE, Launch
from churn_platform.faults import Fault
from churn_platform.home import Home


@dg.schedule(
    job=jobs.month_close,
    cron_schedule="0 6 2 * *",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Closes the month that is due, on the second day of each month; the sensor `drops` does so at once.",
)
def monthly_closing(
    context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[Home]
) -> dg.RunRequest | dg.SkipReason:
    """Ask what the sensor asks, which closes older months first."""
    try:
        decision = watch.closing(home, context.instance)
    except Fault as fault:
        return dg.SkipReason(str(fault))
    if isinstance(decision, Launch) and decision.job != CLOSE:
        return dg.SkipReason(f"{decision.why}: the sensor `drops` lands them")
    return answer(decision)


SCHEDULES = [monthly_closing]
