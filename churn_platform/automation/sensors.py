"""Sensors: what Dagster's daemon asks every few seconds, and starts.

Here: decisions turned into run requests, and alerts sent. Not here: the decisions (`triggers`), their facts (`watch`).
None of them keeps a cursor: all they know is in the lake and in the runs, so that a daemon may die at any time.
"""

from collections.abc import Callable

import dagster as dg

from churn_platform.assets.partitions import MONTHS
from churn_platform.automation import jobs, news, watch
from churn_platform.automation.triggers import Decision, Launch
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.settings import Settings

SECONDS = Settings().sensor_seconds


def answer(decision: Decision) -> dg.RunRequest | dg.SkipReason:
    """A decision in Dagster's words."""
    if isinstance(decision, Launch):
        if not MONTHS.has_partition_key(str(decision.month)):
            return dg.SkipReason(
                f"{decision.month} is new: {decision.why}, as soon as the definitions are loaded again"
            )
        return dg.RunRequest(
            run_key=decision.run_key, job_name=decision.job, partition_key=str(decision.month), tags=decision.tags
        )
    return dg.SkipReason(decision.why)


def _ask(
    context: dg.SensorEvaluationContext, home: Home, question: Callable[[Home, dg.DagsterInstance], Decision]
) -> dg.RunRequest | dg.SkipReason:
    """The answer to a question now; a store or folder that cannot be read is a reason to wait."""
    try:
        decision = question(home, context.instance)
    except Fault as fault:
        return dg.SkipReason(str(fault))
    if isinstance(decision, Launch):
        context.log.info(f"{decision.why} (attempt {decision.attempt})" if decision.attempt > 1 else decision.why)
    return answer(decision)


@dg.sensor(
    jobs=[jobs.month_close, jobs.month_mature],
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Closes each month that is delivered or corrected, in order, and matures it when its labels come.",
)
def drops(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.RunRequest | dg.SkipReason:
    """Watch the folder of drops."""
    return _ask(context, home, watch.closing)


@dg.sensor(
    job=jobs.retrain,
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Retrains on the newest matured month: without a champion, on drift, where the champion falls short.",
)
def retraining(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.RunRequest | dg.SkipReason:
    """Watch for a cause to retrain."""
    return _ask(context, home, watch.retraining)


@dg.sensor(
    job=jobs.refresh,
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Scores the newest month again when another version has become champion.",
)
def refreshing(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.RunRequest | dg.SkipReason:
    """Watch for a promotion that the newest month's scores do not know of."""
    return _ask(context, home, watch.refreshing)


@dg.sensor(
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people what they should know, once each, through CHURN_ALERT_URLS.",
)
def alerts(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.SkipReason:
    """Send what is new."""
    told = news.tell(home, context.instance)
    return dg.SkipReason(told)


SENSORS = [drops, retraining, refreshing, alerts]
