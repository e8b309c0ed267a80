"""Predictions and features, on both online stores; what is unknown, and what is refused."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest

from churn_platform.bundle import TOLERANCE
from churn_platform.months import Month
from churn_platform_tests.online import publish, publish_as_earlier
from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.world import World, customer, customers, user_id
from churn_platform_tests.streamflow import SCHEMA

Serve = Callable[..., Service]


@pytest.fixture
def stored(new_world: Callable[..., World], store_url: str) -> World:
    """A world on each kind of online store."""
    world = new_world(store_url)
    world.promote(world.register(1))
    world.publish()
    return world


def test_every_customer_gets_the_model_s_probability(stored: World, serve: Serve) -> None:
    service = serve(stored.settings)
    for user, features in customers(50):
        answer = service.client.post("/predict", json={"user_id": user})
        assert answer.status_code == 200
        body = answer.json()
        assert body.keys() == {
            "user_id",
            "prediction",
            "probability",
            "model_version",
            "as_of",
            "features_used",
            "timestamp",
        }
        assert (body["user_id"], body["model_version"], body["as_of"]) == (user, 1, "2024-02-29")
        assert body["probability"] == pytest.approx(stored.probability(1, features), abs=TOLERANCE)
        assert body["prediction"] == (body["probability"] >= 0.5)
        assert body["features_used"] == features
        assert abs(datetime.now(UTC) - datetime.fromisoformat(body["timestamp"])) < timedelta(minutes=1)
        found = service.client.get(f"/features/{user}").json()
        assert found == {"user_id": user, "as_of": "2024-02-29", "features": features}


def test_a_customers_reasons_add_up_to_the_prediction(stored: World, serve: Serve) -> None:
    service = serve(stored.settings)
    user, features = list(customers(4))[3]
    predicted = service.client.post("/predict", json={"user_id": user}).json()
    body = service.client.post("/explain", json={"user_id": user}).json()
    assert {name: body[name] for name in ("user_id", "prediction", "probability", "model_version", "as_of")} == {
        name: predicted[name] for name in ("user_id", "prediction", "probability", "model_version", "as_of")
    }
    p = body["probability"]
    assert body["log_odds"] == pytest.approx(math.log(p / (1 - p)), abs=1e-4)
    parts = [reason["contribution"] for reason in body["reasons"]]
    assert body["base_log_odds"] + sum(parts) == pytest.approx(body["log_odds"], abs=1e-4)
    assert parts == sorted(parts, key=abs, reverse=True)
    assert len(parts) > 1
    assert all(reason["value"] == pytest.approx(features[reason["feature"]]) for reason in body["reasons"])
    assert all(reason["words"] and reason["sentence"].endswith("the risk.") for reason in body["reasons"])
    assert body["compared_with"] == "golden rows"  # this bundle has no background
    assert service.client.post("/explain", json={"user_id": "nobody"}).status_code == 404


def test_an_unknown_customer_is_404(stored: World, serve: Serve) -> None:
    service = serve(stored.settings)
    for answer in (service.client.post("/predict", json={"user_id": "nobody"}), service.client.get("/features/nobody")):
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert body["code"] == "missing_features"
        assert "missing_features" not in body  # it would be all of them
        assert "nobody" in body["detail"]


def test_a_batch_answers_each_in_order(stored: World, serve: Serve) -> None:
    service = serve(stored.settings)
    asked = [user_id(3), "nobody", user_id(1), user_id(3)]
    body = service.client.post("/predict/batch", json={"user_ids": asked}).json()
    assert body["model_version"] == 1
    assert [result["user_id"] for result in body["results"]] == asked
    assert [result["kind"] for result in body["results"]] == ["prediction", "error", "prediction", "prediction"]
    assert body["results"][1]["error"] == "missing_features"
    alone = service.client.post("/predict", json={"user_id": user_id(1)}).json()
    same = {"prediction", "probability", "model_version", "as_of", "features_used"}
    assert {key: body["results"][2][key] for key in same} == {key: alone[key] for key in same}


def test_a_batch_has_from_1_to_1000_customers(stored: World, serve: Serve) -> None:
    service = serve(stored.settings)
    full = service.client.post("/predict/batch", json={"user_ids": [user_id(number % 60) for number in range(1000)]})
    assert full.status_code == 200
    kinds = [result["kind"] for result in full.json()["results"]]
    assert (len(kinds), kinds.count("error")) == (1000, 160)
    for user_ids in ([], ["x"] * 1001):
        answer = service.client.post("/predict/batch", json={"user_ids": user_ids})
        assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "user_ids")


def test_a_new_publication_is_served(stored: World, serve: Serve) -> None:
    service = serve(stored.settings)
    stored.publish(10, "2024-03", seed=9)
    service.until(lambda: service.client.get("/ready").json()["as_of"] == "2024-03-31")
    features = dict(customers(10, 9))[user_id(4)]
    body = service.client.post("/predict", json={"user_id": user_id(4)}).json()
    assert (body["as_of"], body["features_used"]) == ("2024-03-31", features)
    assert body["probability"] == pytest.approx(stored.probability(1, features), abs=TOLERANCE)
    assert service.client.post("/predict", json={"user_id": user_id(40)}).status_code == 404
    assert service.metric("churn_features_customers") == 10
    age = (datetime.now(UTC) - datetime(2024, 4, 1, tzinfo=UTC)).total_seconds()
    assert service.metric("churn_features_age_seconds") == pytest.approx(age, abs=60)


def test_without_features_nothing_is_guessed(new_world: Callable[..., World], store_url: str, serve: Serve) -> None:
    world = new_world(store_url)
    world.promote(world.register(1))
    service = serve(world.settings, ready=False)
    service.until(lambda: "none were published" in service.client.get("/ready").text)
    service.until(lambda: service.client.get("/model").status_code == 200)
    for answer in (
        service.client.post("/predict", json={"user_id": user_id(0)}),
        service.client.post("/predict/batch", json={"user_ids": [user_id(0)]}),
        service.client.get(f"/features/{user_id(0)}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    world.publish()
    service.ready()


def test_what_an_earlier_version_published_is_named_until_it_is_published_again(stored: World, serve: Serve) -> None:
    """Also where it comes back while serving runs, from a backup."""
    service, url = serve(stored.settings), stored.settings.online_store
    if url.startswith("postgres"):
        with psycopg.connect(url) as connection:
            connection.execute("DROP TABLE online_month, online_customers")
    publish_as_earlier(url, Month(2024, 2))
    service.until(lambda: "by an earlier version" in service.client.get("/ready").text)
    for answer in (
        service.client.get("/ready"),
        service.client.post("/predict", json={"user_id": "00000"}),
        service.client.post("/predict/batch", json={"user_ids": ["00000"]}),
        service.client.get("/features/00000"),
        service.client.get("/customers"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert "features: the online store was published by an earlier version" in answer.json()["detail"]
    stored.publish()
    service.ready()
    assert service.client.post("/predict", json={"user_id": user_id(0)}).status_code == 200


def without(features: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in features.items() if name not in names}


def test_a_store_that_lacks_a_feature_altogether(world: World, serve: Serve) -> None:
    """It counts as unknown if the model allows that; otherwise there is no answer."""
    features = customer(random.Random(5))
    march = Month(2024, 3)
    publish(world.settings.online_store, march, [("a", without(features, "add_ons") | {"new": 1})])
    service = serve(world.settings)
    body = service.client.post("/predict", json={"user_id": "a"}).json()
    unknown = features | {"add_ons": None}
    assert list(body["features_used"]) == [feature.name for feature in SCHEMA]
    assert body["features_used"] == unknown
    assert body["probability"] == pytest.approx(world.probability(1, unknown), abs=TOLERANCE)
    publish(world.settings.online_store, march, [("a", without(features, "monthly_fee", "net_service"))])
    service.until(lambda: service.client.post("/predict", json={"user_id": "a"}).status_code == 503)
    body = service.client.post("/predict", json={"user_id": "a"}).json()
    assert (body["code"], body["missing_features"]) == ("store_lacks_features", ["monthly_fee", "net_service"])
    assert service.client.post("/predict/batch", json={"user_ids": ["a"]}).status_code == 503


_WIDE = [None] * len(SCHEMA)


@pytest.mark.parametrize(
    "features",
    [
        b"",
        b"\xc1",
        "text",
        b"\x91" * 100_000,
        *(msgspec.msgpack.encode(value) for value in ([], None, _WIDE[1:], [*_WIDE, None], [[1], *_WIDE[1:]])),
        msgspec.msgpack.encode([*(customer(random.Random(5)) | {"monthly_fee": "dear"}).values()]),
    ],
    ids=[
        "nothing",
        "no msgpack",
        "text",
        "deep",
        "empty",
        "null",
        "short",
        "long",
        "a list in it",
        "text for a number",
    ],
)
def test_a_store_that_holds_something_else(world: World, serve: Serve, features: bytes | str) -> None:
    with closing(sqlite3.connect(world.settings.online_store.removeprefix("sqlite:///"))) as store, store:
        store.execute("UPDATE online_customers SET features = ? WHERE customer = ?", (features, user_id(0)))
    client = serve(world.settings).client
    for path, body in (("/predict", {"user_id": user_id(0)}), ("/predict/batch", {"user_ids": [user_id(0)]})):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_lacks_features")
        assert "publish the features again" in answer.json()["detail"]
    assert client.post("/predict", json={"user_id": user_id(1)}).status_code == 200


REQUIRED = {feature.name for feature in SCHEMA if feature.must_be_given}


def test_what_if(world: World, serve: Serve) -> None:
    service = serve(world.settings)
    features = customer(random.Random(3)) | {"months_active": 12}
    given = {name: value for name, value in features.items() if name in REQUIRED}
    body = service.client.post("/predict/features", json={"features": given}).json()
    used = {feature.name: given.get(feature.name) for feature in SCHEMA}
    assert body["features_used"] == used
    assert body["probability"] == pytest.approx(world.probability(1, used), abs=TOLERANCE)
    assert body.keys() == {"prediction", "probability", "model_version", "features_used", "timestamp"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("contract_type", "Three years", "must be one of Month-to-month, One year, Two year"),
        ("contract_type", 1, "must be one of Month-to-month, One year, Two year"),
        ("has_family", None, "must be given"),
        ("has_family", 1, "must be true or false"),
        ("monthly_fee", "12", "must be a number"),
        ("monthly_fee", True, "must be a number"),
        ("monthly_fee", -0.5, "must be between 0 and 10000"),
        ("monthly_fee", 1e300, "must be between 0 and 10000"),
        ("monthly_fees", 3, "the champion has no such feature: did you mean monthly_fee? /model names all"),
    ],
)
def test_what_if_refuses(steady: Service, name: str, value: Any, message: str) -> None:
    features = customer(random.Random(3)) | {name: value}
    answer = steady.client.post("/predict/features", json={"features": features})
    assert answer.status_code == 400
    assert answer.json()["fields"] == [{"field": f"features.{name}", "message": message}]


def test_what_if_may_leave_unknown_but_not_leave_out_what_a_drop_delivers(world: World, steady: Service) -> None:
    features = customer(random.Random(3))
    unknown = features | {"monthly_fee": None, "contract_type": None}
    body = steady.client.post("/predict/features", json={"features": unknown}).json()
    assert body["features_used"] == unknown
    assert body["probability"] == pytest.approx(world.probability(1, unknown), abs=TOLERANCE)
    left_out = without(features, "monthly_fee", "contract_type")
    answer = steady.client.post("/predict/features", json={"features": left_out})
    assert answer.status_code == 400
    assert answer.json()["fields"] == [
        {"field": "features.contract_type", "message": "must be given"},
        {"field": "features.monthly_fee", "message": "must be given"},
    ]


def test_predictions_are_counted_by_version_and_class(world: World, serve: Serve) -> None:
    service = serve(world.settings)
    calls = [service.client.post("/predict", json={"user_id": user_id(n)}).json()["prediction"] for n in range(20)]
    calls += [service.client.post("/predict", json={"user_id": user_id(n)}).json()["prediction"] for n in range(20)]
    assert set(calls) == {0, 1}
    for call in (0, 1):
        name = f'churn_predictions_total{{model_version="1",prediction="{call}"}}'
        assert service.metric(name) == calls.count(call)
    name = 'churn_request_seconds_count{method="POST",route="/predict",status="200"}'
    assert service.metric(name) == len(calls)


def test_remembering_scores_changes_no_answer(world: World, serve: Serve) -> None:
    keys = ("prediction", "probability", "features_used")
    answers = []
    for remembered in (0, 5):
        service = serve(world.settings.model_copy(update={"serving_remembered_scores": remembered}))
        users = [user_id(number % 8) for number in range(24)]
        bodies = [service.client.post("/predict", json={"user_id": user}).json() for user in users]
        answers.append([[body[key] for key in keys] for body in bodies])
    assert answers[0] == answers[1]
