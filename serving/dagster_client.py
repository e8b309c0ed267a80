"""Dagster as serving needs it, over GraphQL: start a retraining, and report how it went.

Here: the three queries and the mutation, and the shapes of their answers. Not here: what a retraining does (the
platform's job `retrain`), or HTTP routes. Dagster itself is not imported; tests check the documents against its schema.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from churn_platform.faults import Fault
from serving.messages import RetrainStarted, RetrainState

if TYPE_CHECKING:
    import httpx

JOB = "retrain"
LABELS = ["landed", "labels"]
EVALUATION = ["evaluation"]
PARTITION_TAG = "dagster/partition"

_TIMEOUT = 10.0  # seconds: the first launch of a job makes Dagster load its code
_FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

FIND_JOB = """
query ServingFindJob {
  repositoriesOrError {
    __typename
    ... on RepositoryConnection { nodes { name location { name } jobs { name } } }
    ... on PythonError { message }
  }
}"""

FIND_LABELLED_MONTHS = """
query ServingLabelledMonths($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) {
    __typename
    ... on AssetNode {
      assetPartitionStatuses {
        __typename
        ... on TimePartitionStatuses { ranges { startKey endKey status } }
        ... on DefaultPartitionStatuses { materializedPartitions }
      }
    }
  }
}"""

LAUNCH = """
mutation ServingLaunch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on Error { message }
  }
}"""

FIND_RUN = """
query ServingRun($id: ID!) {
  runOrError(runId: $id) {
    __typename
    ... on Run {
      runId jobName status
      tags { key value }
      assetMaterializations {
        assetKey { path }
        metadataEntries {
          label
          ... on IntMetadataEntry { intValue }
          ... on FloatMetadataEntry { floatValue }
          ... on BoolMetadataEntry { boolValue }
          ... on TextMetadataEntry { text }
        }
      }
    }
    ... on PythonError { message }
  }
}"""


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


class DagsterClient:
    """One Dagster webserver; `url` has no trailing slash. `run_url` gives the address of the page that shows a run."""

    def __init__(self, url: str, run_url: Callable[[str], str]) -> None:
        self._url = url
        self._run_url = run_url
        self._client: httpx.AsyncClient | None = None

    async def retrain(self, month: str | None) -> RetrainStarted:
        """Start the retraining of a month, by default the newest one with labels.

        Raises DagsterUnavailableError and NothingToRetrainOnError.
        """
        repository, location = await self._find_job()
        month = await self._labelled_month(month)
        found = await self._ask(
            LAUNCH,
            "launchRun",
            params={
                "selector": {"jobName": JOB, "repositoryName": repository, "repositoryLocationName": location},
                "runConfigData": {},
                "executionMetadata": {
                    "tags": [{"key": PARTITION_TAG, "value": month}, {"key": "churn/requested_by", "value": "serving"}]
                },
            },
        )
        if found["__typename"] != "LaunchRunSuccess":
            reasons = [error["message"] for error in found.get("errors", [])] or [
                found.get("message", "no reason given")
            ]
            raise DagsterUnavailableError(f"Dagster did not start {JOB} for {month}: {'; '.join(reasons)}")
        run_id = found["run"]["runId"]
        return RetrainStarted(run_id, self._run_url(run_id), month)

    async def state(self, run_id: str) -> RetrainState | None:
        """A retraining's state, or None where Dagster has no such run of the job. Raises DagsterUnavailableError."""
        found = await self._ask(FIND_RUN, "runOrError", id=run_id)
        if found["__typename"] == "RunNotFoundError" or found.get("jobName", JOB) != JOB:
            return None
        if found["__typename"] != "Run":
            raise DagsterUnavailableError(
                f"Dagster cannot say how the run is doing: {found.get('message', 'no reason given')}"
            )
        evaluated = _evaluated(found["assetMaterializations"])
        state = RetrainState(
            run_id=found["runId"],
            url=self._run_url(found["runId"]),
            month=next((tag["value"] for tag in found["tags"] if tag["key"] == PARTITION_TAG), None),
            status=found["status"].lower(),
            finished=found["status"] in _FINISHED,
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

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _find_job(self) -> tuple[str, str]:
        """The repository that has the job, and its code location."""
        found = await self._ask(FIND_JOB, "repositoriesOrError")
        for node in found.get("nodes", []):
            if any(job["name"] == JOB for job in node["jobs"]):
                return node["name"], node["location"]["name"]
        raise DagsterUnavailableError(f"no code location that Dagster has loaded has the job {JOB}")

    async def _labelled_month(self, asked: str | None) -> str:
        """The month asked for, or the newest one, if its labels have landed."""
        found = await self._ask(FIND_LABELLED_MONTHS, "assetNodeOrError", asset={"path": LABELS})
        statuses = found.get("assetPartitionStatuses") or {}
        ranges = [
            (part["startKey"], part["endKey"])
            for part in statuses.get("ranges", [])
            if part["status"] == "MATERIALIZED"
        ]
        ranges += [(key, key) for key in statuses.get("materializedPartitions", [])]
        if not ranges:
            raise NothingToRetrainOnError("No month's labels have landed yet: deliver a drop with labels.")
        month = asked or str(max(last for _, last in ranges))
        if not any(first <= month <= last for first, last in ranges):  # months in text order are in time order
            raise NothingToRetrainOnError(f"The labels of {month} have not landed yet.")
        return month

    async def _ask(self, document: str, field: str, **variables: Any) -> dict[str, Any]:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT)
        try:
            response = await self._client.post(f"{self._url}/graphql", json={"query": document, "variables": variables})
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise DagsterUnavailableError(f"Dagster at {self._url} does not answer: {type(error).__name__}") from error
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get(field), dict):
            raise DagsterUnavailableError(f"Dagster at {self._url} answered {response.status_code} without data")
        found: dict[str, Any] = data[field]
        return found


def _evaluated(materializations: list[dict[str, Any]]) -> Evaluated | None:
    """The evaluation's facts among a run's materializations, or None while there are none."""
    for event in materializations:
        if event["assetKey"] and event["assetKey"]["path"] == EVALUATION:
            entries = {
                entry["label"]: next((value for key, value in entry.items() if key != "label"), None)
                for entry in event["metadataEntries"]
            }
            try:
                return msgspec.convert({name: entries.get(name) for name in Evaluated.__struct_fields__}, Evaluated)
            except msgspec.ValidationError as error:
                raise DagsterUnavailableError(f"the evaluation's metadata is not as expected: {error}") from error
    return None
