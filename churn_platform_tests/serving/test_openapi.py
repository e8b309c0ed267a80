"""The OpenAPI document, and the app held against it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import pytest
import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

from churn_platform.settings import Settings
from churn_platform.web.token import api_token
from churn_platform_tests import foreign
from churn_platform_tests.serving.conftest import Service, running
from churn_platform_tests.serving.test_changes import EVALUATION, REPOSITORIES, RUN, Dagster, labels, run
from churn_platform_tests.serving.world import World, customer, user_id
from churn_platform_tests.streamflow import WORDS
from serving.app import create_app

ROUTES = {
    ("/health", "get"),
    ("/ready", "get"),
    ("/predict", "post"),
    ("/predict/batch", "post"),
    ("/predict/features", "post"),
    ("/explain", "post"),
    ("/features/{customer}", "get"),
    ("/customers", "get"),
    ("/model", "get"),
    ("/generate", "post"),
    ("/retrain", "post"),
    ("/retrain/{run_id}", "get"),
    ("/erasures", "post"),
    ("/erasures/{run_id}", "get"),
    ("/metrics", "get"),
}


def test_every_route_is_documented_with_examples(steady: Service) -> None:
    document = steady.client.get("/docs/openapi.json").json()
    asked: dict[str, list[dict[str, list[str]]]] = {"changes": [{"token": []}], "predictions": [{}, {"token": []}]}
    operations = {
        (path, method): found for path, methods in document["paths"].items() for method, found in methods.items()
    }
    assert operations.keys() == ROUTES
    for (_, method), operation in operations.items():
        assert operation["summary"]
        assert operation["description"]
        assert "429" in operation["responses"]
        if method == "post":
            assert operation["requestBody"]["content"]["application/json"]["schema"]["examples"]
        assert operation.get("security") == asked.get(operation["tags"][0])


def test_the_documentation_page_needs_no_network(steady: Service) -> None:
    client = steady.client
    answer = client.get("/", follow_redirects=True)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?://|src=|@import", answer.text)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, registry_template: Path) -> Iterator[Service]:
    """Version 1 serves, and Dagster answers."""
    dagster = Dagster(
        {
            "repositoriesOrError": REPOSITORIES,
            "assetNodeOrError": labels(("2024-01", "2024-01", "MATERIALIZED")),
            "launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": RUN}},
            "runOrError": run("SUCCESS", EVALUATION),
        }
    )
    home = tmp_path_factory.mktemp("openapi") / "home"
    world = World(home, registry_template, dagster_url=dagster.url, serving_change_limit=10_000)
    world.promote(world.register(1))
    world.publish()
    with running(world.settings) as started:
        started.ready()
        yield started
    dagster.server.shutdown()


@cache
def schema(url: str) -> Any:
    return schemathesis.openapi.from_url(f"{url}/docs/openapi.json")


def operation(service: Service, route: tuple[str, str]) -> Any:
    path, method = route
    return schema(service.url)[path][method.upper()]


def headers(service: Service) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_token(service.settings)}"}


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_no_answer_lies_outside_the_document(service: Service, route: tuple[str, str]) -> None:
    @hypothesis.given(case=operation(service, route).as_strategy())
    @hypothesis.settings(
        max_examples=8 if route[0] == "/generate" else 40,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def hold(case: Any) -> None:
        # A body may fit the document and still be refused, because of what the champion needs or an unknown field.
        case.call_and_validate(headers=headers(service), excluded_checks=[positive_data_acceptance])

    hold()


GOOD: list[tuple[tuple[str, str], int, dict[str, Any]]] = [
    (("/predict", "post"), 200, {"body": {"user_id": user_id(3)}}),
    (("/predict/batch", "post"), 200, {"body": {"user_ids": [user_id(3), "nobody"]}}),
    (("/predict/features", "post"), 200, {"body": {"features": customer(random.Random(3))}}),
    (("/explain", "post"), 200, {"body": {"user_id": user_id(3)}}),
    (("/features/{customer}", "get"), 200, {"path_parameters": {"customer": user_id(3)}}),
    (("/retrain", "post"), 202, {"body": {"month": "2024-01"}}),
    (("/retrain/{run_id}", "get"), 200, {"path_parameters": {"run_id": RUN}}),
    (("/generate", "post"), 201, {"body": {"samples": 100}}),
]


@pytest.mark.parametrize(("route", "status", "parts"), GOOD, ids=[route[0] for route, *_ in GOOD])
def test_good_answers_fit_the_document(
    service: Service, route: tuple[str, str], status: int, parts: dict[str, Any]
) -> None:
    case = operation(service, route).Case(**parts, media_type="application/json" if "body" in parts else None)
    answer = case.call_and_validate(headers=headers(service))
    assert answer.status_code == status


def test_another_company_s_document_is_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "bank.toml").write_text(foreign.BANK)
    edge = create_app(Settings(home=tmp_path / "home", company=tmp_path / "bank.toml"))
    document = msgspec.json.encode(edge.app.openapi_schema.to_schema()).decode()
    assert WORDS.intersection(re.findall(r"\w+", document)) == set()
    assert "/retrain" in document
    assert "synthetic" not in document  # only StreamFlow can be simulated
    assert "CustomerId" in document
    assert "No features for 1: not an active customer in the newest published month." in document
