"""Sensors: what Dagster's daemon asks every few seconds, and what it starts.

Here: decisions turned into run requests, and alerts sent. Not here: the decisions (`closing`, `retraining`,
`promoting`, `refreshing`) or their facts (`watch`). None of them keeps a cursor: all they know is in the lake, in the
runs and in the settings, so that a daemon may die at any time. Only where no setting says which declaration the
platform was started with do they go by what their own process has read.
"""

import time
from collections.abc import Callable

import dagster as dg

from churn_platform import erasure_requests
from churn_platform.automation import forgetting, news, watch
from churn_platform.automation.jobs import Jobs
from churn_platform.automation.triggers import CLOSE, MATURE, MEASURE, PROMOTE, REFRESH, RETRAIN, Action, Launch, Wait
from churn_platform.company.reading import edited
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.settings import Settings
from churn_platform.shown import counted

_LEFT_SECONDS = 300.0
"""How long after it was asked for, or tried last, an erasure that nobody is at is tried again."""

Question = Callable[[Home, dg.DagsterInstance], Action]
Answer = dg.RunRequest | dg.SkipReason


def answer(decision: Action, months: dg.MonthlyPartitionsDefinition) -> Answer:
    """A decision in Dagster's terms; `months` are the ones that it offers."""
    if isinstance(decision, Launch):
        if not months.has_partition_key(str(decision.month)):
            return dg.SkipReason(
                f"{decision.why}: {decision.month} is new, and runs as soon as the definitions are loaded again"
            )
        return dg.RunRequest(
            run_key=decision.run_key, job_name=decision.job, partition_key=str(decision.month), tags=decision.tags
        )
    return dg.SkipReason(decision.why)


def asked(home: Home, instance: dg.DagsterInstance, question: Question) -> Action:
    """The decision now. A changed declaration waits: runs are processes of their own, which would read that one.

    So does an erasure, of which a run could write back what it has read before.
    """
    if changed := edited(home.settings.company, home.settings.company_sha256):
        return Wait(changed.sentence)
    if waiting := erasure_requests.waiting(home.settings.erasure_requests):
        return Wait(f"{counted(len(waiting), 'erasure')} not finished yet")
    return question(home, instance)


def sensors(settings: Settings, months: dg.MonthlyPartitionsDefinition, jobs: Jobs) -> list[dg.SensorDefinition]:
    """Every sensor, for these months and their jobs; each asks every CHURN_SENSOR_SECONDS."""

    def watching(name: str, question: Question, starts: tuple[str, ...], description: str) -> dg.SensorDefinition:
        def ask(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> Answer:
            """Answer the question now; a store or folder that cannot be read is a reason to wait."""
            try:
                decision = asked(home, context.instance, question)
            except Fault as fault:
                return dg.SkipReason(str(fault))
            if isinstance(decision, Launch):
                again = f" (attempt {decision.attempt})" if decision.attempt > 1 else ""
                context.log.info(f"{decision.why}{again}")
            return answer(decision, months)

        return dg.sensor(
            name=name,
            jobs=[jobs[job] for job in starts],
            minimum_interval_seconds=settings.sensor_seconds,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description=description,
        )(ask)

    return [
        watching(
            "drops",
            watch.closing,
            (CLOSE, MATURE),
            "Closes each month that is delivered or corrected, in order, and matures it when its labels arrive.",
        ),
        watching(
            "retraining",
            watch.retraining,
            (RETRAIN,),
            "Retrains on the newest matured month when there is no champion, on drift, or if the champion falls short.",
        ),
        watching(
            "promotions",
            watch.promoting,
            (PROMOTE,),
            "Settles each evaluation that its candidate has won: the gate is asked again, and a receipt written.",
        ),
        watching(
            "refreshing",
            watch.refreshing,
            (REFRESH, MEASURE),
            "Delivers the newest month again when another version has become champion or serving cannot look it up, and"
            " measures the champion on earlier ones.",
        ),
        *_own(settings),
    ]


def _own(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensors that are about no month."""
    return [
        dg.sensor(
            name="alerts",
            minimum_interval_seconds=settings.sensor_seconds,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Tells people what they should know, once, through CHURN_ALERT_URLS.",
        )(tell),
        dg.sensor(
            name="erasures",
            job_name=forgetting.FORGET,
            minimum_interval_seconds=settings.sensor_seconds,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Finishes erasures that were cut off, or stopped for a fault.",
        )(erase),
    ]


def erase(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.RunRequest | dg.SkipReason:
    """Start the oldest erasure that nobody is at, some minutes after it was asked for or tried last."""
    for name in erasure_requests.waiting(home.settings.erasure_requests):
        tried = forgetting.runs_of(context.instance, name)
        last = max((record.update_timestamp.timestamp() for record in tried), default=0.0)
        since = max(last, erasure_requests.asked(home.settings.erasure_requests, name))
        if all(record.dagster_run.is_finished for record in tried) and time.time() - since > _LEFT_SECONDS:
            return dg.RunRequest(run_key=f"{name} {len(tried)}", run_config=forgetting.config_of(name))
    return dg.SkipReason("no erasure is left to finish")


def tell(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.SkipReason:
    """Send the alerts that are new."""
    return dg.SkipReason(news.tell(home, context.instance))
