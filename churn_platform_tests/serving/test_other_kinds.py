"""Features of another kind than the champion knows: nobody gets an answer from values that it takes for unknown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from churn_platform.bundle import FeatureKind, Value
from churn_platform.months import Month
from churn_platform.online import store
from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.world import World, customers, user_id
from churn_platform_tests.streamflow import SCHEMA

FEBRUARY = Month(2024, 2)


@pytest.mark.parametrize(
    ("feature", "kind", "value"),
    [
        ("contract_type", "number", 2),  # which a model takes for an unknown category
        ("monthly_fee", "category", "12.5"),  # which a model takes for a number
        ("has_family", "number", None),
    ],
)
def test_another_kind_is_neither_ready_nor_scored(
    new_world: Callable[..., World],
    serve: Callable[..., Service],
    store_url: str,
    feature: str,
    kind: FeatureKind,
    value: Value,
) -> None:
    world = new_world(store_url)
    world.promote(world.register(1))
    rows = [(user, (*(features | {feature: value}).values(),)) for user, features in customers(3)]
    store.publish(store_url, FEBRUARY, {f.name: f.kind for f in SCHEMA} | {feature: kind}, rows)
    service = serve(world.settings, ready=False)
    service.until(lambda: service.client.get("/model").is_success)
    told = (
        f"he online store has {feature} of another kind than the champion knows: publish the features again"
        " (churn close 2024-02); if that stops, promote a version that fits the declaration, or declare what"
    )
    service.until(lambda: told in service.client.get("/ready").text)
    assert service.client.get("/ready").status_code == 503
    for path, asked in (("/predict", {"user_id": user_id(0)}), ("/predict/batch", {"user_ids": [user_id(0)]})):
        answer = service.client.post(path, json=asked)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_lacks_features")
        assert told in answer.json()["detail"]
    world.publish()
    service.ready()
    assert service.client.post("/predict", json={"user_id": user_id(0)}).status_code == 200
