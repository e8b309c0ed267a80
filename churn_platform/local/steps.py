"""Steps: a run's steps in plain words, for whoever waits for it.

Here: what a run and each of its steps is called, and which of how many it is. Not here: running (`runs`), or how it
looks (`progress`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from churn_platform.automation.triggers import CLOSE, MATURE, MEASURE, PROMOTE, REFRESH, RETRAIN
from churn_platform.company.declaration import SNAPSHOTS
from churn_platform.months import Month
from churn_platform.progress import Follow, Step
from churn_platform.tables.names import (
    CANDIDATE,
    CHURN_SCORES,
    DRIFT_REPORT,
    EVALUATION,
    EXPECTED,
    FEATURES,
    REALISED,
    TARGET_DRIFT,
    TRAINING_SET,
)

if TYPE_CHECKING:
    import dagster as dg

_TASKS = {
    CLOSE: "closing",
    MATURE: "taking in the labels of",
    RETRAIN: "training for",
    PROMOTE: "deciding for",
    REFRESH: "delivering again for",
    MEASURE: "measuring on",
    "appoint_champion": "promoting",
    "roll_back_champion": "rolling back",
    "pause_automation": "pausing",
    "resume_automation": "resuming",
}
"""What a job does, before its month if it has one."""

STEPS = {
    "land_drop": "judging the drop and taking it in",
    FEATURES: "building the features",
    DRIFT_REPORT: "looking for drift in the features",
    TARGET_DRIFT: "looking for drift in the labels",
    CHURN_SCORES: "scoring the customers",
    "online_features": "handing the features to serving",
    EXPECTED: "working out what the scores promise",
    REALISED: "measuring what the scores were worth",
    TRAINING_SET: "gathering what to learn from",
    CANDIDATE: "training a candidate",
    EVALUATION: "comparing it with the champion",
    "promotion": "settling the comparison",
    "appoint": "making the version champion",
    "roll_back": "bringing back the version before",
    "pause": "pausing what begins by itself",
    "resume": "letting things begin by themselves again",
}

_PUBLISHED = "published__"


def followed(
    events: Iterable[dg.DagsterEvent], job: dg.JobDefinition, month: Month | None, follow: Follow
) -> Iterator[dg.DagsterEvent]:
    """A run's events as they come; `follow` is told each step that begins."""
    import dagster as dg

    task = task_of(job.name, month)
    number = 0
    for event in events:
        if event.event_type in (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SKIPPED):
            number += 1
        if event.event_type == dg.DagsterEventType.STEP_START:
            follow(Step(task, number, len(job.nodes), words(event.step_key or "")))
        yield event


def task_of(job: str, month: Month | None) -> str:
    """What a job does, in a few words; the name of one that has no words."""
    return f"{_TASKS.get(job, job)} {month or ''}".rstrip()


def words(step: str) -> str:
    """What a step does, in a few words; its key where it has none, as in a run of another version."""
    if step.startswith(_PUBLISHED):
        return f"publishing {step.removeprefix(_PUBLISHED)} in PostgreSQL"
    return STEPS.get(step, f"building {step}" if step.endswith(SNAPSHOTS) else step)
