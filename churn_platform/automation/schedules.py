"""Schedules: the monthly safety net for when the sensor that watches drops is turned off."""

import dagster as dg

from churn_platform.automation import watch
from churn_platform.automation.jobs import Jobs
from churn_platform.automation.sensors import Answer, answer, asked
from churn_platform.automation.triggers import CLOSE, Launch
from churn_platform.faults import Fault
from churn_platform.home import Home


def schedules(months: dg.MonthlyPartitionsDefinition, jobs: Jobs) -> list[dg.ScheduleDefinition]:
    """Every schedule, for these months and their jobs."""

    def monthly_closing(context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[Home]) -> Answer:
        """Ask what the sensor asks, so that older months are closed first."""
        try:
            decision = asked(home, context.instance, watch.closing)
        except Fault as fault:
            return dg.SkipReason(str(fault))
        if isinstance(decision, Launch) and decision.job != CLOSE:
            return dg.SkipReason(f"{decision.why}: the sensor `drops` lands them")
        return answer(decision, months)

    description = "Closes the month that is due, on the second day of each month; the sensor `drops` does so at once."
    return [
        dg.schedule(
            job=jobs[CLOSE],
            cron_schedule="0 6 2 * *",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            description=description,
        )(monthly_closing)
    ]
