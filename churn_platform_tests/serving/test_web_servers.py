"""Dagster's and MLflow's real web servers: attacks reach nothing, and whoever has to reach them does."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from churn_platform_tests.serving.conftest import Service
from churn_platform_tests.serving.web_servers import TOKEN, Servers, passing_on, started
from churn_platform_tests.serving.world import World, mlflow_client, user_id, write_bundle
from serving.dagster_client import DagsterClient, DagsterUnavailableError
from serving.registry import ALIAS, MODEL, Registered, RegistryUnavailableError, open_registry

if TYPE_CHECKING:
    from mlflow import MlflowClient

Attack = tuple[str, str, dict[str, str], Any]
"""A method, a path, headers, and a body: JSON where it is no text."""

EVIL = "http://evil.example"
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
IMAGE = {"Accept": "image/avif,image/*,*/*", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "image"}
WIPE = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["kept"]}}]) { __typename } }'
ASSETS = "{ assetsOrError { ... on AssetConnection { nodes { key { path } } } } }"
EXPERIMENTS = "/api/2.0/mlflow/experiments"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with started(tmp_path_factory.mktemp("servers")) as found:
        yield found


def ask(method: str, url: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    return httpx.request(method, url, headers=headers, trust_env=False, timeout=30, **more)


def assets(servers: Servers) -> list[str]:
    """The assets that Dagster knows, asked for as its page does."""
    answer = ask("POST", f"{servers.dagster}/graphql", {"Origin": servers.dagster}, json={"query": ASSETS})
    return ["/".join(node["key"]["path"]) for node in answer.json()["data"]["assetsOrError"]["nodes"]]


def experiments(servers: Servers) -> list[str]:
    """The experiments that MLflow knows, asked for as its page does."""
    url = f"{servers.mlflow}/ajax-api/2.0/mlflow/experiments/search"
    answer = ask("POST", url, {"Origin": servers.mlflow}, json={"max_results": 100})
    return sorted(found["name"] for found in answer.json()["experiments"])


@pytest.fixture(scope="module")
def kept(servers: Servers) -> None:
    """An asset with an event, and an experiment, which attacks would change."""
    assert ask("POST", f"{servers.dagster}/report_asset_materialization/kept", json={}).status_code == 200
    assert ask("POST", f"{servers.mlflow}{EXPERIMENTS}/create", json={"name": "kept"}).status_code == 200


BODY = json.dumps({"query": WIPE})
BY_GET = f"/graphql?query={quote(WIPE)}"
DAGSTER_ATTACKS: dict[str, Attack] = {
    "an image in a value of a drop": ("GET", BY_GET, IMAGE, None),
    "an image on another page": ("GET", BY_GET, {**IMAGE, "Sec-Fetch-Site": "cross-site"}, None),
    "an image on a page of this machine": ("GET", BY_GET, {**IMAGE, "Sec-Fetch-Site": "same-site"}, None),
    "an image in an old browser": ("GET", BY_GET, {"Accept": "image/*,*/*", "Referer": EVIL}, None),
    "a link to a mutation": ("GET", BY_GET, {**LINK, "Accept": "text/html"}, None),
    "HEAD": ("HEAD", BY_GET, {}, None),
    "text/plain with the query in the address": ("POST", BY_GET, {"Content-Type": "text/plain"}, b"x"),
    "text/plain that names JSON": ("POST", "/graphql", {"Content-Type": "text/plain; application/json"}, BODY),
    "a query as it is": ("POST", "/graphql", {"Content-Type": "application/graphql"}, WIPE),
    "a form": ("POST", BY_GET, {"Origin": EVIL, "Content-Type": "application/x-www-form-urlencoded"}, b"a=b"),
    "a form in an old browser": ("POST", BY_GET, {"Referer": EVIL, "Content-Type": "multipart/form-data"}, b""),
    "JSON of another origin": ("POST", "/graphql", {"Origin": EVIL}, {"query": WIPE}),
    "JSON of a sandboxed frame": ("POST", "/graphql", {"Origin": "null"}, {"query": WIPE}),
    "JSON of another port": ("POST", "/graphql", {"Origin": "http://127.0.0.1:9"}, {"query": WIPE}),
    "JSON to a name that leads here": ("POST", "/graphql", {"Host": "evil.example", "Origin": EVIL}, {"query": WIPE}),
    "a preflight": ("OPTIONS", "/graphql", {"Origin": EVIL, "Access-Control-Request-Method": "POST"}, None),
    "JSON from elsewhere": ("POST", "/graphql", {"X-Forwarded-For": "127.0.0.1"}, {"query": WIPE}),
    "a report as plain text": ("POST", "/report_asset_materialization/made", {"Content-Type": "text/plain"}, b"{}"),
    "a report without a body": ("POST", "/report_asset_check/made?check_name=a&passed=true", {}, None),
    "a report of another origin": ("POST", "/report_asset_observation/made", {"Origin": EVIL}, {}),
}
CREATE = f"{EXPERIMENTS}/create"
MLFLOW_ATTACKS: dict[str, Attack] = {
    "plain text": ("POST", CREATE, {"Content-Type": "text/plain"}, b'{"name": "made"}'),
    "a form": ("POST", CREATE, {"Content-Type": "application/x-www-form-urlencoded"}, b'{"name": "made"}'),
    "JSON of another origin": ("POST", CREATE, {"Origin": EVIL}, {"name": "made"}),
    "JSON of another port": ("POST", CREATE, {"Origin": "http://localhost:9999"}, {"name": "made"}),
    "JSON to a name that leads here": ("POST", CREATE, {"Host": "evil.example", "Origin": EVIL}, {"name": "made"}),
    "JSON from elsewhere": ("POST", CREATE, {"Forwarded": "for=127.0.0.1"}, {"name": "made"}),
    "GraphQL by GET": ("GET", "/graphql?query=%7B__typename%7D", IMAGE, None),
    "reading by another port's page": ("GET", f"{EXPERIMENTS}/get?experiment_id=0", {"Origin": "http://[::1]:9"}, None),
    "reading by a name that leads here": ("GET", "/health", {"Host": "evil.example"}, None),
    "a file": ("PUT", "/api/2.0/mlflow-artifacts/artifacts/made", {"Origin": EVIL}, b"x"),
    "deleting": ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/made", {"Origin": "null"}, None),
    "a preflight": ("OPTIONS", CREATE, {"Origin": EVIL, "Access-Control-Request-Method": "POST"}, None),
    "a preflight of another port": (
        *("OPTIONS", CREATE),
        {"Origin": "http://localhost:9999", "Access-Control-Request-Method": "POST"},
        None,
    ),
}


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("server", "name"),
    [*(("dagster", name) for name in DAGSTER_ATTACKS), *(("mlflow", name) for name in MLFLOW_ATTACKS)],
)
def test_an_attack_reaches_nothing(server: str, name: str, servers: Servers) -> None:
    method, path, headers, body = (DAGSTER_ATTACKS if server == "dagster" else MLFLOW_ATTACKS)[name]
    given: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"content": body}
    answer = ask(method, getattr(servers, server) + path, headers, **given)
    assert answer.status_code in (401, 403, 405, 415)
    assert not [header for header in answer.headers if header.startswith("access-control")]
    assert assets(servers) == ["kept"]
    assert experiments(servers) == ["Default", "kept"]


@pytest.mark.usefixtures("kept")
def test_what_attacks_send_would_have_worked(servers: Servers) -> None:
    """Their own pages may send the same, and it does what attacks wanted."""
    wiped = ask("POST", f"{servers.dagster}/graphql", {"Origin": servers.dagster}, json={"query": WIPE})
    assert "AssetWipeSuccess" in wiped.text
    assert assets(servers) == []
    made = ask("POST", servers.mlflow + CREATE, {"Origin": servers.mlflow}, json={"name": "made"})
    assert made.status_code == 200
    assert experiments(servers) == ["Default", "kept", "made"]


@pytest.mark.parametrize("prefix", ["//", "/./", "/%67raphql/../"])
def test_no_other_way_to_write_an_address_executes_a_query(prefix: str, servers: Servers) -> None:
    said = spoken(servers.dagster, f"GET {prefix}graphql?query=%7Bversion%7D HTTP/1.1", "Accept: application/json")
    assert '"version"' not in said


def spoken(url: str, *lines: str) -> str:
    """What a server answers to a request's lines, as they are, with the Host that it has."""
    place = urlsplit(url)
    head = "\r\n".join((lines[0], f"Host: {place.netloc}", *lines[1:], "", ""))
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=30) as connection:
        connection.sendall(head.encode())
        return connection.recv(65536).decode()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Accept: */*", 101),  # a program
        ("Origin: {own}", 101),
        (f"Origin: {EVIL}", 403),
        ("Origin: null", 403),
        ("Origin: http://127.0.0.1:9", 403),
        ("X-Forwarded-For: 127.0.0.1", 403),
        (f"X-Forwarded-For: 192.0.2.7\r\nAuthorization: Bearer {TOKEN}", 101),
    ],
)
def test_a_websocket_is_opened_for_its_own_page_alone(header: str, status: int, servers: Servers) -> None:
    wanted = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    key = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: graphql-ws")
    said = spoken(servers.dagster, "GET /graphql HTTP/1.1", *wanted, *key, header.format(own=servers.dagster))
    assert int(said.split()[1]) == status


def test_pages_are_shown_and_held_to_their_origin(servers: Servers) -> None:
    for url, text in ((servers.dagster, "dagster"), (servers.mlflow, "mlflow"), (f"{servers.dagster}/graphql", "raph")):
        for headers in ({"Accept": "text/html", **LINK}, {"Accept": "text/html", "Host": "churn.example:8443"}):
            answer = ask("GET", url, headers)
            assert answer.status_code == 200
            assert text in answer.text.lower()
            assert "connect-src 'self' ws" in answer.headers["content-security-policy"]


def test_a_page_under_another_name_may_do_what_it_does_here(servers: Servers) -> None:
    """MLflow's own middleware knows that name too."""
    headers = {"Host": "churn.example", "Origin": "https://churn.example"}
    found = ask("POST", f"{servers.mlflow}{EXPERIMENTS}/search", headers, json={"max_results": 1})
    assert found.status_code == 200


def test_a_real_tracking_server(
    servers: Servers, new_world: Callable[..., World], serve: Callable[..., Service], tmp_path: Path
) -> None:
    """From elsewhere with the token: MLflow's client, which puts files, and serving."""
    with passing_on(servers.mlflow) as place:
        url = f"http://churn:{TOKEN}@{place}"
        asyncio.run(_asked(url, mlflow_client(url), tmp_path / "bundle"))
        world = new_world(mlflow_tracking_uri=url, serving_timeout_seconds=5)
        world.publish(3)
        service = serve(world.settings)
        answer = service.client.post("/predict", json={"user_id": user_id(0)}).json()
        assert answer["model_version"] == 1
        with pytest.raises(RegistryUnavailableError, match="status 401"):
            asyncio.run(open_registry(f"http://churn:wrong@{place}", 5).champion())


async def _asked(url: str, client: MlflowClient, folder: Path) -> None:
    """What a reader says of a server before there is a model, an alias, a bundle, and after."""
    registry = open_registry(url, 5)
    assert await registry.champion() is None  # no such model
    client.create_registered_model(MODEL)
    assert await registry.champion() is None  # no such alias
    digest = write_bundle(folder, "2024-02", 1)
    run = client.create_run(client.create_experiment("churn"))
    client.log_artifacts(run.info.run_id, str(folder), "bundle")
    uri = f"{run.info.artifact_uri}/bundle"
    assert uri.startswith("mlflow-artifacts:/")
    tags = {"month": "2024-02", "bundle_uri": uri, "bundle_sha256": digest}
    client.create_model_version(MODEL, uri, run_id=run.info.run_id, tags=tags)
    client.set_registered_model_alias(MODEL, ALIAS, "1")
    assert await registry.champion() == await registry.version(1) == Registered(1, tags)
    with pytest.raises(RegistryUnavailableError, match="404"):
        await registry.read(uri, "nothing.json")
    with pytest.raises(RegistryUnavailableError, match="no version 2"):
        await registry.version(2)
    await registry.close()


def test_serving_reaches_dagster(servers: Servers) -> None:
    """On this machine, and from elsewhere with the token. This Dagster has no code, which is what it answers."""

    async def retrained(url: str) -> None:
        client = DagsterClient(url, lambda run_id: run_id)
        try:
            await client.retrain("2024-01")
        finally:
            await client.close()

    with passing_on(servers.dagster) as place:
        for url in (servers.dagster, f"http://churn:{TOKEN}@{place}"):
            with pytest.raises(DagsterUnavailableError, match="no code location that Dagster has loaded has the job"):
                asyncio.run(retrained(url))
        with pytest.raises(DagsterUnavailableError, match="status 401 From another machine, send the token"):
            asyncio.run(retrained(f"http://churn:wrong@{place}"))
