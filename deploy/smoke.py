"""Smoke: drive a running platform from its drops to a prediction, through the interfaces that people use.

It closes every delivered month through Dagster's GraphQL API, retrains and promotes for the newest one, and asks
serving about one of its customers. It needs only the standard library, so it runs wherever Python does:

    python deploy/smoke.py data/seeds --dagster http://127.0.0.1:3000 --serving http://127.0.0.1:8000

Dagster in a container asks for the token: the variable CHURN_API_TOKEN holds it.

Here: what shows that a deployment works. Not here: starting it (`docker-compose.yml`).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

LOCATION = "churn_platform"
LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
  }
}"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } ... on Error { message } } }"
ENDED_BADLY = ("FAILURE", "CANCELED")

# No proxy comes between this script and the platform, neither one from the environment nor one of the system's.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class NotWorkingError(Exception):
    """What the platform did not do; the message is for whoever reads the log."""


def main(arguments: list[str] | None = None) -> None:
    """Do it, printing one line for each step. Exits with 1 if something does not work."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("drops", type=Path, help="the folder of drops that the platform reads")
    parser.add_argument("--dagster", default="http://127.0.0.1:3000", help="the Dagster UI")
    parser.add_argument("--serving", default="http://127.0.0.1:8000", help="serving")
    parser.add_argument("--first-month", default="2024-01", help="the month of the drop month_000")
    parser.add_argument("--patience", type=float, default=600, help="how many seconds one step may take")
    asked = parser.parse_args(arguments)
    try:
        prediction = smoke(asked.drops, asked.dagster, asked.serving, asked.first_month, asked.patience)
    except NotWorkingError as fault:
        sys.exit(f"does not work: {fault}")
    say(json.dumps(prediction))


def smoke(drops: Path, dagster: str, serving: str, first_month: str, patience: float) -> dict[str, Any]:
    """The prediction for the newest month's first customer. Raises NotWorkingError."""
    delivered = months(drops, first_month)
    if not delivered:
        raise NotWorkingError(f"{drops} has no drop: expected folders such as month_000")
    newest = max(delivered)
    for month in delivered:
        run(dagster, "month_close", month, patience)
    run(dagster, "retrain", newest, patience)
    run(dagster, "promote", newest, patience)
    with (delivered[newest] / "users.csv").open(newline="") as file:
        customer = next(csv.DictReader(file))["user_id"]
    model = until(lambda: ask(f"{serving}/model"), f"serving has a champion at {serving}/model", patience)
    say(f"version {model['version']}, trained on {model['month']}, serves")
    as_of = _last_day(newest).isoformat()
    prediction = until(
        lambda: _of(ask(f"{serving}/predict", {"user_id": customer}), as_of),
        f"{serving}/predict answers for {customer} as of {as_of}",
        patience,
    )
    if not 0 <= prediction["probability"] <= 1:
        raise NotWorkingError(f"{prediction['probability']} is not a probability")
    return prediction


def months(drops: Path, first_month: str) -> dict[str, Path]:
    """The folders of the delivered months, by month such as 2024-01, oldest first."""
    year, month = map(int, first_month.split("-"))
    found = {}
    for folder in sorted(drops.glob("month_[0-9][0-9][0-9]")):
        count = year * 12 + month - 1 + int(folder.name[-3:])
        found[f"{count // 12:04}-{count % 12 + 1:02}"] = folder
    return found


def _last_day(month: str) -> date:
    year, number = map(int, month.split("-"))
    return date(year + number // 12, number % 12 + 1, 1) - timedelta(days=1)


def _of(prediction: dict[str, Any], as_of: str) -> dict[str, Any] | None:
    return prediction if prediction["as_of"] == as_of else None


def run(dagster: str, job: str, month: str, patience: float) -> None:
    """Run a job for a month to its end. Raises NotWorkingError."""
    began = time.monotonic()
    selector = {"jobName": job, "repositoryName": "__repository__", "repositoryLocationName": LOCATION}
    tags = [{"key": "dagster/partition", "value": month}]
    launched = until(
        lambda: graphql(
            dagster,
            LAUNCH,
            params={"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}},
        )["launchRun"],
        f"{dagster}/graphql answers",
        patience,
    )
    if launched["__typename"] != "LaunchRunSuccess":
        raise NotWorkingError(f"{job} of {month} was not launched: {launched.get('message', launched['__typename'])}")
    run_id = launched["run"]["runId"]

    def finished() -> str | None:
        found = graphql(dagster, STATUS, id=run_id)["runOrError"]
        return found["status"] if found.get("status") in ("SUCCESS", *ENDED_BADLY) else None

    status = until(finished, f"{job} of {month} ends", patience)
    if status in ENDED_BADLY:
        raise NotWorkingError(f"{job} of {month} ended with {status}: {dagster}/runs/{run_id}")
    say(f"{job} of {month}: {time.monotonic() - began:.0f} s")


def graphql(dagster: str, query: str, **variables: Any) -> dict[str, Any]:
    """The data in an answer. Raises NotWorkingError where there is none."""
    answer = ask(f"{dagster}/graphql", {"query": query, "variables": variables})
    if not isinstance(answer.get("data"), dict):
        raise NotWorkingError(f"{dagster}/graphql: {answer}")
    data: dict[str, Any] = answer["data"]
    return data


def ask(url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A GET, or a POST of a body, both JSON. Raises OSError where it is not answered with 200."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get("CHURN_API_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data, headers)  # noqa: S310  # ours alone
    with _open(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def until(attempt: Callable[[], T | None], what: str, patience: float) -> T:
    """Try until there is an answer, and return it. Raises NotWorkingError with the last reason."""
    end = time.monotonic() + patience
    reason = "no answer"
    while time.monotonic() < end:
        try:
            if (found := attempt()) is not None:
                return found
        except urllib.error.HTTPError as error:
            reason = f"{error} {error.read().decode(errors='replace')[:500]}"
        except OSError as error:
            reason = str(error)
        time.sleep(0.25)
    raise NotWorkingError(f"gave up after {patience:.0f} s of waiting until {what}: {reason}")


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
