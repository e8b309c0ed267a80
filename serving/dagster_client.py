"""Dagster as serving needs it, over GraphQL: start a retraining or an erasure, and report how it went.

Here: asking, and the shapes of the answers. Not here: the documents (`dagster_queries`), what the jobs do, or the HTTP
routes. Dagster itself is not imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import msgspec

from churn_platform.faults import Fault
from serving.asking import Asker, NoAnswerError, decoded, shown, within
from serving.dagster_queries import FIND_JOB, FIND_LABELLED_MONTHS, FIND_RUN, LAUNCH
from serving.messages import ErasureStarted, ErasureState, RetrainStarted, RetrainState

JOB = "retrain"
FORGET, FORGET_OP = "forget_customers", "forget"
LABELS = ["landed", "labels"]
EVALUATION = ["evaluation"]
PARTITION_TAG = "dagster/partition"

T = TypeVar("T")

_TIMEOUT = 10.0  # seconds: the first launch of a job makes Dagster load its code
_ANSWER_BYTES = 10_000_000
_FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})


class DagsterUnavailableError(Fault):
    """Dagster cannot be reached, or cannot do what was asked at present; the message says why."""


class NothingToRetrainOnError(Fault):
    """The month has no labels, or no month has any."""


class Evaluated(msgspec.Struct, frozen=True):
    """What the evaluation's materialization says. `champion_auc` is absent where there was no champion."""

    version: int
    auc: float
    promote: bool
    decision: str
    champion_auc: float | None = None


# What Dagster answers, as far as it is used. Each union's members share one type, so most fields may be absent.


class _Named(msgspec.Struct):
    name: str


class _Repository(msgspec.Struct):
    name: str
    location: _Named
    jobs: list[_Named]


class _Repositories(msgspec.Struct):
    nodes: list[_Repository] = []


class _Range(msgspec.Struct, rename="camel"):
    start_key: str
    end_key: str
    status: str


class _Statuses(msgspec.Struct, rename="camel"):
    ranges: list[_Range] = []
    materialized_partitions: list[str] = []


class _Asset(msgspec.Struct, rename="camel"):
    asset_partition_statuses: _Statuses | None = None


class _Error(msgspec.Struct):
    message: str


class _RunId(msgspec.Struct, rename="camel"):
    run_id: str


class _Launched(msgspec.Struct):
    run: _RunId | None = None
    errors: list[_Error] = []
    message: str = "no reason given"


class _Tag(msgspec.Struct):
    key: str
    value: str


class _AssetKey(msgspec.Struct):
    path: list[str]


class _Materialization(msgspec.Struct, rename="camel"):
    asset_key: _AssetKey | None
    metadata_entries: list[dict[str, Any]]


class _Run(msgspec.Struct, rename="camel"):
    typename: str = msgspec.field(name="__typename")
    run_id: str = ""
    job_name: str = JOB
    status: str = ""
    tags: list[_Tag] = []
    asset_materializations: list[_Materialization] = []
    message: str = "no reason given"


class _Answered(msgspec.Struct, Generic[T]):
    data: dict[str, T | None] | None = None


class DagsterClient:
    """One Dagster webserver; `url` has no trailing slash. `run_url` gives the address of the page that shows a run."""

    def __init__(self, url: str, run_url: Callable[[str], str]) -> None:
        self._url = url
        self._run_url = run_url
        self._asker = Asker()

    async def retrain(self, month: str | None) -> RetrainStarted:
        """Start the retraining of a month, by default the newest one with labels.

        Raises DagsterUnavailableError and NothingToRetrainOnError.
        """
        where = await self._find_job(JOB)
        month = await self._labelled_month(month)
        run_id = await self._launch(JOB, where, f"for {month}", {}, {PARTITION_TAG: month})
        return RetrainStarted(run_id, self._run_url(run_id), month)

    async def forget(self, request: str) -> ErasureStarted:
        """Start the erasure that this request asks for. Raises DagsterUnavailableError."""
        config = {"ops": {FORGET_OP: {"config": {"request": request}}}}
        run_id = await self._launch(FORGET, await self._find_job(FORGET), "for this request", config, {})
        return ErasureStarted(run_id, self._run_url(run_id))

    async def _launch(
        self, job: str, where: tuple[str, str], what: str, config: dict[str, Any], tags: dict[str, str]
    ) -> str:
        """Start a job that is in this repository and location; returns its run's id. Raises DagsterUnavailableError."""
        repository, location = where
        tags = {**tags, "churn/requested_by": "serving"}
        found = await self._ask(
            LAUNCH,
            "launchRun",
            _Launched,
            params={
                "selector": {"jobName": job, "repositoryName": repository, "repositoryLocationName": location},
                "runConfigData": config,
                "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
            },
        )
        if found.run is None:
            reasons = "; ".join(error.message for error in found.errors) or found.message
            raise DagsterUnavailableError(f"Dagster did not start {job} {what}: {shown(reasons)}")
        return found.run.run_id

    async def state(self, run_id: str) -> RetrainState | None:
        """A retraining's state, or None where Dagster has no such run of the job. Raises DagsterUnavailableError."""
        if (found := await self._run(run_id, JOB)) is None:
            return None
        evaluated = _evaluated(found.asset_materializations)
        state = RetrainState(
            run_id=found.run_id,
            url=self._run_url(found.run_id),
            month=next((tag.value for tag in found.tags if tag.key == PARTITION_TAG), None),
            status=found.status.lower(),
            finished=found.status in _FINISHED,
        )
        if evaluated is None:
            return state
        metrics = {"auc": evaluated.auc}
        if evaluated.champion_auc is not None:
            metrics["champion_auc"] = evaluated.champion_auc
        verdict: Literal["promote", "keep"] = "promote" if evaluated.promote else "keep"
        return msgspec.structs.replace(
            state, version=evaluated.version, metrics=metrics, verdict=verdict, decision=evaluated.decision
        )

    async def erasure_state(self, run_id: str) -> ErasureState | None:
        """An erasure's state, or None where Dagster has no such run of the job. Raises DagsterUnavailableError."""
        if (found := await self._run(run_id, FORGET)) is None:
            return None
        return ErasureState(found.run_id, self._run_url(found.run_id), found.status.lower(), found.status in _FINISHED)

    async def _run(self, run_id: str, job: str) -> _Run | None:
        """A run of this job, or None where Dagster has none of that id. Raises DagsterUnavailableError."""
        found = await self._ask(FIND_RUN, "runOrError", _Run, id=run_id)
        if found.typename == "RunNotFoundError" or found.job_name != job:
            return None
        if found.typename != "Run":
            raise DagsterUnavailableError(f"Dagster cannot say how the run is doing: {shown(found.message)}")
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._asker.close()

    async def _find_job(self, wanted: str) -> tuple[str, str]:
        """The repository that has the job, and its code location."""
        found = await self._ask(FIND_JOB, "repositoriesOrError", _Repositories)
        for node in found.nodes:
            if any(job.name == wanted for job in node.jobs):
                return node.name, node.location.name
        raise DagsterUnavailableError(f"no code location that Dagster has loaded has the job {wanted}")

    async def _labelled_month(self, asked: str | None) -> str:
        """The month asked for, or the newest one, if its labels have landed."""
        found = await self._ask(FIND_LABELLED_MONTHS, "assetNodeOrError", _Asset, asset={"path": LABELS})
        statuses = found.asset_partition_statuses or _Statuses()
        ranges = [(part.start_key, part.end_key) for part in statuses.ranges if part.status == "MATERIALIZED"]
        ranges += [(key, key) for key in statuses.materialized_partitions]
        if not ranges:
            raise NothingToRetrainOnError("No month's labels have landed yet: deliver a drop with labels.")
        month = asked or max(last for _, last in ranges)
        if not any(first <= month <= last for first, last in ranges):  # months in text order are in time order
            raise NothingToRetrainOnError(f"The labels of {month} have not landed yet.")
        return month

    async def _ask(self, document: str, field: str, kind: type[T], **variables: Any) -> T:
        question = {"query": document, "variables": variables}
        try:
            async with within(_TIMEOUT, "serving's limit for Dagster"):
                answer = await self._asker.ask("POST", f"{self._url}/graphql", _ANSWER_BYTES, question)
            if answer.status in (401, 403):
                raise NoAnswerError(f"status {answer.status} {shown(answer.body.decode(errors='replace'))}")
            found = (decoded(answer.body, _Answered[kind]).data or {}).get(field)  # type: ignore[valid-type]
        except NoAnswerError as error:
            raise DagsterUnavailableError(
                f"Dagster at {self._url} (CHURN_DAGSTER_URL) does not answer as it should: {error}"
            ) from error
        if found is None:
            raise DagsterUnavailableError(f"Dagster at {self._url} answered {answer.status} without data")
        return found


def _evaluated(materializations: list[_Materialization]) -> Evaluated | None:
    """The evaluation's facts among a run's materializations, or None while there are none."""
    for event in materializations:
        if event.asset_key and event.asset_key.path == EVALUATION:
            entries = {
                entry.get("label"): next((value for key, value in entry.items() if key != "label"), None)
                for entry in event.metadata_entries
            }
            try:
                return msgspec.convert({name: entries.get(name) for name in Evaluated.__struct_fields__}, Evaluated)
            except msgspec.ValidationError as error:
                raise DagsterUnavailableError(f"the evaluation's metadata is not as expected: {error}") from error
    return None
