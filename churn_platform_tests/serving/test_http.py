"""HTTP: health, readiness, every error as problem+json, the token, the limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from churn_platform.settings import Settings
from churn_platform.web.token import TokenError, api_token
from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.world import World, user_id
from serving.limits import Limit
from serving.predictor import Predictor
from serving.problems import ProblemError

Serve = Callable[..., Service]


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:churn:problem:{code}")
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in answer.text
    return body


def test_health_and_readiness(steady: Service) -> None:
    client = steady.client
    assert client.get("/health").json().keys() == {"status", "timestamp", "version"}
    assert client.get("/ready").json() == {
        "status": "ready",
        "model_version": 1,
        "as_of": "2024-02-29",
        "customers": 50,
        "warnings": [],
    }
    model = client.get("/model").json()
    assert (model["version"], model["month"], model["threshold"], model["metrics"]) == (1, "2024-02", 0.5, {"auc": 0.8})


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        (b'{"user_id": 5}', "user_id", "Expected `str`, got `int`"),
        (b'{"user_id": ""}', "user_id", "Expected `str` of length >= 1"),
        (b"{}", "user_id", "Object missing required field `user_id`"),
        (b'{"user_id": "a", "user": "b"}', "user", "Object contains unknown field `user`"),
        (b"[]", "body", "Expected `object`, got `array`"),
        (b"", "body", "a JSON body is required"),
        (b'{"user_id"', "body", "Input data was truncated"),
        (b'{"user_id": "\xff"}', "body", "cannot be read"),
        (b'{"user_id": ' + b"[" * 50_000, "body", "cannot be read"),
    ],
)
def test_a_bad_body_is_400_with_the_field(steady: Service, content: bytes, field: str, message: str) -> None:
    answer = steady.client.post("/predict", content=content)
    [found] = assert_problem(answer, 400, "bad_request")["fields"]
    assert found["field"] == field
    assert message in found["message"]


def test_a_bad_element_is_named(steady: Service) -> None:
    answer = steady.client.post("/predict/batch", json={"user_ids": ["a", 5]})
    assert assert_problem(answer, 400, "bad_request")["fields"][0]["field"] == "user_ids[1]"


def test_a_field_of_any_name_is_named_in_a_few_words(steady: Service) -> None:
    name = "\x1b]0;owned\x07\u202e" + "A" * 5000
    answer = steady.client.post("/predict/features", json={"features": {name: 1}})
    problem = assert_problem(answer, 400, "bad_request")
    assert problem["fields"][0]["field"].startswith("features.?]0;owned??AAA")
    assert len(answer.text) < 3000 and "\u202e" not in answer.text


def test_other_errors_are_problems_too(world: World, serve: Serve) -> None:
    client = serve(world.settings.model_copy(update={"serving_max_body_bytes": 1000})).client
    assert_problem(client.get("/nothing"), 404, "not_found")
    assert_problem(client.delete("/predict"), 405, "method_not_allowed")
    assert_problem(client.post("/predict", json={"user_id": "x" * 2000}), 413, "too_large")

    def chunks() -> Any:  # without a Content-Length to go by
        yield from [b'{"user_id": "'] + [b"x" * 400] * 5

    assert_problem(client.post("/predict", content=chunks()), 413, "too_large")


def test_an_unexpected_error_is_500_without_its_text(
    world: World, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(self: Predictor, user: str) -> bytes:
        raise RuntimeError("the secret reason")

    service = serve(world.settings)
    monkeypatch.setattr(Predictor, "predict", broken)
    answer = service.client.post("/predict", json={"user_id": "a"})
    assert_problem(answer, 500, "unexpected")
    assert "secret reason" not in answer.text
    assert "the secret reason" in caplog.text
    name = 'churn_request_seconds_count{method="POST",route="/predict",status="500"}'
    assert service.metric(name) == 1


def test_metrics_take_no_labels_from_clients(world: World, serve: Serve) -> None:
    service = serve(world.settings)
    for number in range(5):
        service.client.get(f"/made/up/{number}")
        service.client.get(f"/features/nobody{number}")
        service.client.request(f"MADE{number}", "/health")
    text = service.client.get("/metrics").text
    assert "made" not in text.lower()
    assert "nobody" not in text
    assert service.metric('churn_request_seconds_count{method="GET",route="unmatched",status="404"}') == 5
    assert service.metric('churn_request_seconds_count{method="GET",route="/features/{customer}",status="404"}') == 5


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/generate"), ("POST", "/retrain"), ("GET", "/retrain/0e4a34a3-8e5d-4a8b-9d0a-1c2f6e9b7a11")],
)
def test_changes_need_the_token(steady: Service, method: str, path: str) -> None:
    client = steady.client
    token = (steady.settings.home / "api_token").read_text().strip()
    for header in (None, "", token, f"Basic {token}", f"Bearer {token}x", f"Bearer {token[:-1]}", "Bearer ü"):
        headers = [] if header is None else [(b"Authorization", header.encode())]
        answer = client.request(method, path, headers=headers, json={"samples": 1})
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = client.request(method, path, headers={"Authorization": f"Bearer {token}"}, json={"samples": 1})
    assert answer.status_code in (400, 503)  # samples out of range, no Dagster


def test_the_token_is_made_once_and_is_its_owner_s(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: api_token(settings), range(32)))
    assert len(tokens) == 1
    assert len(tokens.pop()) >= 32
    [file] = settings.home.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("api_token", 0o600)


def test_the_token_may_be_set(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", api_token=SecretStr("chosen"))
    assert api_token(settings) == "chosen"
    assert not settings.home.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n", "api_token is empty: remove the file"),
        (b"\xffsecret", "api_token cannot be made or read: it is not text"),
    ],
)
def test_a_token_file_that_holds_no_token_lets_nobody_in(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "api_token").write_bytes(content)
    with pytest.raises(TokenError, match=message) as refused:
        api_token(Settings(home=tmp_path))
    assert "secret" not in str(refused.value)


def test_a_home_that_is_no_folder_has_no_token(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(TokenError, match=r"home/api_token cannot be made or read: .*; correct that"):
        api_token(Settings(home=tmp_path / "home"))


def test_changes_are_limited_per_minute(world: World, serve: Serve) -> None:
    client = serve(world.settings.model_copy(update={"serving_change_limit": 3})).client
    statuses = [client.post("/retrain").status_code for _ in range(8)]
    assert statuses.count(401) in (3, 4, 5, 6)  # more than 3 only if a minute ended in between
    limited = client.post("/retrain")
    if limited.status_code != 429:
        limited = [client.post("/retrain") for _ in range(3)][-1]
    body = assert_problem(limited, 429, "too_many_requests")
    assert "3 calls" in body["detail"]
    assert re.fullmatch(r"\d+", limited.headers["retry-after"])
    assert client.post("/predict", json={"user_id": user_id(0)}).status_code == 200


def test_all_requests_can_be_limited(world: World, serve: Serve) -> None:
    service = serve(world.settings.model_copy(update={"serving_rate_limit": 20}))
    answers = [service.client.post("/predict", json={"user_id": user_id(0)}) for _ in range(200)]
    limited = [answer for answer in answers if answer.status_code != 200]
    assert limited
    assert_problem(limited[0], 429, "too_many_requests")


def test_a_limit_counts_each_address_in_each_window() -> None:
    now = [1000.0]
    limit = Limit(2, 60, lambda: now[0])
    for client in ("a", "a", "b"):
        limit.check(client)
    with pytest.raises(ProblemError) as refused:
        limit.check("a")
    assert refused.value.headers == {"Retry-After": "20"}
    limit.check("b")
    now[0] = 1020.0
    limit.check("a")
