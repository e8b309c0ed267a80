"""Retraining and erasing, against Dagster's GraphQL in its real shapes."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from churn_platform import erasure_requests
from churn_platform.web.token import api_token
from churn_platform_tests.serving.conftest import Service, running
from churn_platform_tests.serving.fake_registry import WAYS, fake_registry
from churn_platform_tests.serving.world import World
from serving import dagster_client, dagster_queries

Serve = Callable[..., Service]
RUN = "0e4a34a3-8e5d-4a8b-9d0a-1c2f6e9b7a11"


@pytest.mark.parametrize("name", ["FIND_JOB", "FIND_LABELLED_MONTHS", "LAUNCH", "FIND_RUN"])
def test_the_documents_are_valid_in_dagster_s_schema(name: str) -> None:
    from dagster_graphql.schema import create_schema
    from graphql import parse, validate

    schema = create_schema().graphql_schema
    assert validate(schema, parse(getattr(dagster_queries, name))) == []


class Dagster:
    """Answers GraphQL as Dagster does; `answers` maps fields to their values, and `asked` keeps the variables."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[dict[str, Any]] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stub.asked.append(question["variables"])
                field = next(field for field in stub.answers if f" {field}" in question["query"])
                body = json.dumps({"data": {field: stub.answers[field]}}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


REPOSITORIES = {
    "__typename": "RepositoryConnection",
    "nodes": [
        {"name": "__repository__", "location": {"name": "other"}, "jobs": [{"name": "__ASSET_JOB"}]},
        {
            "name": "platform",
            "location": {"name": "churn"},
            "jobs": [{"name": "__ASSET_JOB"}, {"name": "retrain"}, {"name": "forget_customers"}],
        },
    ],
}


def labels(*ranges: tuple[str, str, str]) -> dict[str, Any]:
    parts = [{"startKey": first, "endKey": last, "status": status} for first, last, status in ranges]
    return {
        "__typename": "AssetNode",
        "assetPartitionStatuses": {"__typename": "TimePartitionStatuses", "ranges": parts},
    }


def run(status: str, entries: list[dict[str, Any]] | None = None, job: str = "retrain") -> dict[str, Any]:
    materializations = [{"assetKey": {"path": ["candidate"]}, "metadataEntries": [{"label": "rows", "intValue": 9}]}]
    if entries is not None:
        materializations.append({"assetKey": {"path": ["evaluation"]}, "metadataEntries": entries})
    return {
        "__typename": "Run",
        "runId": RUN,
        "jobName": job,
        "status": status,
        "tags": [{"key": "dagster/partition", "value": "2024-02"}, {"key": "other", "value": "x"}],
        "assetMaterializations": materializations,
    }


EVALUATION: list[dict[str, Any]] = [
    {"label": "version", "intValue": 4},
    {"label": "auc", "floatValue": 0.8123},
    {"label": "champion_auc", "floatValue": 0.7951},
    {"label": "promote", "boolValue": True},
    {"label": "decision", "text": "0.8123 > 0.7951 + 0.01: version 4 wins"},
    {"label": "roc", "description": None},  # a kind of entry that is not asked for
]


@pytest.fixture(scope="module")
def stub() -> Iterator[Dagster]:
    made = Dagster({})
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def service(stub: Dagster, tmp_path_factory: pytest.TempPathFactory, registry_template: Path) -> Iterator[Service]:
    """A service without a champion that knows this Dagster."""
    home = tmp_path_factory.mktemp("changes") / "home"
    world = World(home, registry_template, dagster_url=f"{stub.url}/", serving_change_limit=10_000)
    with running(world.settings) as started:
        yield started


@pytest.fixture
def dagster(stub: Dagster) -> Dagster:
    """All is well there."""
    stub.answers = {
        "repositoriesOrError": REPOSITORIES,
        "assetNodeOrError": labels(("2023-11", "2024-02", "MATERIALIZED"), ("2024-03", "2024-03", "FAILED")),
        "launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": RUN}},
        "runOrError": run("STARTED"),
    }
    return stub


@pytest.fixture
def call(service: Service, dagster: Dagster) -> Callable[..., httpx.Response]:
    """Calls a route with the token."""
    headers = {"Authorization": f"Bearer {api_token(service.settings)}"}
    return lambda method, path, **more: service.client.request(method, path, headers=headers, **more)


def test_retrain_starts_the_job_on_the_newest_labelled_month(
    call: Callable[..., httpx.Response], dagster: Dagster
) -> None:
    bodies: list[dict[str, Any]] = [{}, {"content": b"null"}, {"json": {}}, {"json": {"month": None}}]
    for body in bodies:
        answer = call("POST", "/retrain", **body)
        assert answer.status_code == 202
        assert answer.json() == {"run_id": RUN, "url": f"{dagster.url}/runs/{RUN}", "month": "2024-02"}
    params = dagster.asked[-1]["params"]
    assert params["selector"] == {
        "jobName": "retrain",
        "repositoryName": "platform",
        "repositoryLocationName": "churn",
    }
    assert {"key": "dagster/partition", "value": "2024-02"} in params["executionMetadata"]["tags"]


def test_retrain_takes_a_month(call: Callable[..., httpx.Response], dagster: Dagster) -> None:
    assert call("POST", "/retrain", json={"month": "2024-01"}).json()["month"] == "2024-01"
    assert {"key": "dagster/partition", "value": "2024-01"} in dagster.asked[-1]["params"]["executionMetadata"]["tags"]
    for month in ("2023-10", "2024-03", "2031-01"):
        answer = call("POST", "/retrain", json={"month": month})
        assert (answer.status_code, month in answer.json()["detail"]) == (409, True)
    answer = call("POST", "/retrain", json={"month": "January"})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "month")


def test_retrain_without_labels_is_409(call: Callable[..., httpx.Response], dagster: Dagster) -> None:
    dagster.answers["assetNodeOrError"] = labels(("2024-01", "2024-01", "FAILED"))
    assert call("POST", "/retrain").status_code == 409
    dagster.answers["assetNodeOrError"] = {"__typename": "AssetNotFoundError"}
    assert call("POST", "/retrain").status_code == 409


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("repositoriesOrError", {"__typename": "RepositoryConnection", "nodes": []}, "has the job retrain"),
        ("repositoriesOrError", {"__typename": "PythonError", "message": "broken"}, "has the job retrain"),
        ("launchRun", {"__typename": "PythonError", "message": "no such partition"}, "no such partition"),
        (
            "launchRun",
            {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "bad"}, {"message": "worse"}]},
            "bad; worse",
        ),
        ("launchRun", {"__typename": "NoModeProvidedError"}, "no reason given"),
        ("launchRun", None, "without data"),
    ],
)
def test_what_dagster_cannot_do_is_503(
    call: Callable[..., httpx.Response], dagster: Dagster, field: str, value: Any, message: str
) -> None:
    dagster.answers[field] = value
    answer = call("POST", "/retrain")
    assert (answer.status_code, answer.json()["code"]) == (503, "dagster_unavailable")
    assert message in answer.json()["detail"]


def test_dagster_that_is_down_is_503(world: World, serve: Serve) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = world.settings.model_copy(update={"dagster_url": SecretStr(url)})
        client = serve(settings).client
        headers = {"Authorization": f"Bearer {api_token(settings)}"}
        for answer in (client.post("/retrain", headers=headers), client.get(f"/retrain/{RUN}", headers=headers)):
            assert (answer.status_code, answer.json()["code"]) == (503, "dagster_unavailable")
            assert url in answer.json()["detail"]


@pytest.mark.parametrize("way", WAYS)
def test_whatever_else_answers_in_dagster_s_place_is_503(
    way: str, world: World, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dagster_client, "_TIMEOUT", 0.3)
    with fake_registry(1, {}, world.home) as other:
        other.way = WAYS[way]
        settings = world.settings.model_copy(update={"dagster_url": SecretStr(other.url)})
        client = serve(settings).client
        headers = {"Authorization": f"Bearer {api_token(settings)}"}
        for answer in (client.post("/retrain", headers=headers), client.get(f"/retrain/{RUN}", headers=headers)):
            assert (answer.status_code, answer.json()["code"]) == (503, "dagster_unavailable"), answer.text
            assert "CHURN_DAGSTER_URL" in answer.json()["detail"] or "without data" in answer.json()["detail"]


@pytest.mark.parametrize("status", ["QUEUED", "STARTED", "FAILURE", "CANCELED"])
def test_a_run_s_state_before_its_evaluation(
    call: Callable[..., httpx.Response], dagster: Dagster, status: str
) -> None:
    dagster.answers["runOrError"] = run(status)
    assert call("GET", f"/retrain/{RUN}").json() == {
        "run_id": RUN,
        "url": f"{dagster.url}/runs/{RUN}",
        "month": "2024-02",
        "status": status.lower(),
        "finished": status in ("FAILURE", "CANCELED"),
        "version": None,
        "metrics": None,
        "verdict": None,
        "decision": None,
    }


def test_a_run_s_verdict(call: Callable[..., httpx.Response], dagster: Dagster) -> None:
    dagster.answers["runOrError"] = run("SUCCESS", EVALUATION)
    body = call("GET", f"/retrain/{RUN}").json()
    assert (body["status"], body["finished"], body["version"]) == ("success", True, 4)
    assert body["metrics"] == {"auc": 0.8123, "champion_auc": 0.7951}
    assert (body["verdict"], body["decision"]) == ("promote", EVALUATION[4]["text"])
    first = [entry for entry in EVALUATION if entry["label"] != "champion_auc"]
    first[2] = {"label": "promote", "boolValue": False}
    dagster.answers["runOrError"] = run("SUCCESS", first)
    body = call("GET", f"/retrain/{RUN}").json()
    assert (body["metrics"], body["verdict"]) == ({"auc": 0.8123}, "keep")
    dagster.answers["runOrError"] = run("SUCCESS", EVALUATION[1:])
    answer = call("GET", f"/retrain/{RUN}")
    assert (answer.status_code, "version" in answer.json()["detail"]) == (503, True)


def test_runs_that_are_no_retraining_are_404(call: Callable[..., httpx.Response], dagster: Dagster) -> None:
    dagster.answers["runOrError"] = run("SUCCESS", job="month_close")
    assert call("GET", f"/retrain/{RUN}").status_code == 404
    dagster.answers["runOrError"] = {"__typename": "RunNotFoundError"}
    assert call("GET", f"/retrain/{RUN}").status_code == 404
    asked = len(dagster.asked)
    assert call("GET", "/retrain/not-a-run").status_code == 404
    assert len(dagster.asked) == asked


def test_an_erasure_is_asked_for_without_naming_anybody_to_dagster(
    call: Callable[..., httpx.Response], dagster: Dagster, service: Service
) -> None:
    answer = call("POST", "/erasures", json={"customers": ["C-1", 7, "C-1"], "reason": "asked by letter"})
    assert (answer.status_code, answer.json()) == (202, {"run_id": RUN, "url": f"{dagster.url}/runs/{RUN}"})
    asked = dagster.asked[-1]
    assert asked["params"]["selector"]["jobName"] == "forget_customers"
    name = asked["params"]["runConfigData"]["ops"]["forget"]["config"]["request"]
    folder = service.settings.erasure_requests
    request = erasure_requests.read(folder, name)
    assert (request.customers, request.reason) == (("C-1", "7"), "asked by letter")
    assert stat.S_IMODE((folder / f"{name}.json").stat().st_mode) == 0o600
    assert "C-1" not in json.dumps(dagster.asked)


@pytest.mark.parametrize(
    "body",
    [
        {"customers": [], "reason": "asked"},
        {"customers": ["C-1"]},
        {"customers": ["C-1"], "reason": ""},
        {"customers": ["C-1"], "reason": "C-1 asked"},
        {"customers": ["x"] * 1001, "reason": "asked"},
        {"customers": ["C-1"], "reason": "asked", "also": 1},
    ],
)
def test_an_erasure_needs_customers_and_a_reason_that_names_none(
    call: Callable[..., httpx.Response], service: Service, body: dict[str, Any]
) -> None:
    before = erasure_requests.waiting(service.settings.erasure_requests)
    assert call("POST", "/erasures", json=body).status_code == 400
    assert erasure_requests.waiting(service.settings.erasure_requests) == before


def test_an_erasure_that_dagster_does_not_start_leaves_nothing(
    call: Callable[..., httpx.Response], dagster: Dagster, service: Service
) -> None:
    before = erasure_requests.waiting(service.settings.erasure_requests)
    dagster.answers["launchRun"] = {"__typename": "PythonError", "message": "broken"}
    answer = call("POST", "/erasures", json={"customers": ["C-2"], "reason": "asked by letter"})
    assert answer.status_code == 503
    assert erasure_requests.waiting(service.settings.erasure_requests) == before


def test_an_erasure_is_for_the_admin_alone(service: Service) -> None:
    answer = service.client.post("/erasures", json={"customers": ["C-3"], "reason": "asked"})
    assert answer.status_code == 401


def test_an_erasures_state_is_its_runs(call: Callable[..., httpx.Response], dagster: Dagster) -> None:
    dagster.answers["runOrError"] = run("SUCCESS", job="forget_customers")
    told = call("GET", f"/erasures/{RUN}").json()
    assert told == {"run_id": RUN, "url": f"{dagster.url}/runs/{RUN}", "status": "success", "finished": True}
    dagster.answers["runOrError"] = run("SUCCESS")
    assert call("GET", f"/erasures/{RUN}").status_code == 404
    assert call("GET", "/erasures/another").status_code == 404
