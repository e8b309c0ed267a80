"""The admission: each rule, by what a browser or a program sends, without a server."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from churn_platform.settings import Settings
from churn_platform.web.admission import Admission

TOKEN = "a token: of letters"
LOCAL = "127.0.0.1:3000"
HERE = ("127.0.0.1", 50000)
ELSEWHERE = ("192.0.2.7", 50000)
JSON = {"content-type": "application/json"}

Messages = list[dict[str, Any]]


async def _inside(scope: Any, receive: Any, send: Any) -> None:
    """What is protected: it answers 200, with headers of its own."""
    if scope["type"] == "http":
        own = [
            (b"Referrer-Policy", b"unsafe-url"),
            (b"content-security-policy", b"base-uri 'none'"),
            (b"Access-Control-Allow-Origin", b"http://127.0.0.1"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b"inside"})
    else:
        await send({"type": f"{scope['type']}.reached"})


def sent(
    method: str = "GET",
    path: str = "/",
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    client: tuple[str, int] | None = HERE,
    hosts: str = "",
) -> Messages:
    """What is sent back. `method` may be WEBSOCKET. Host is the server's own unless the headers say otherwise."""
    given = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    if not any(name == "host" for name, _ in given):
        given.append(("host", LOCAL))
    path, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "websocket" if method == "WEBSOCKET" else "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given],
        "client": client,
    }
    if method != "WEBSOCKET":
        scope["method"] = method
    return _run(scope, hosts)


def _run(scope: dict[str, Any], hosts: str = "") -> Messages:
    messages: Messages = []

    async def send(message: Any) -> None:
        messages.append(dict(message))

    async def receive() -> Any:
        raise AssertionError("no rule reads a body")

    admission = Admission(_inside, TOKEN, Settings(allowed_hosts=hosts).host_names)
    asyncio.run(admission(scope, receive, send))
    return messages


def status(*arguments: Any, **named: Any) -> int:
    """The answer's status; a WebSocket that is let in has 101, and one that is closed 403."""
    first = sent(*arguments, **named)[0]
    kinds = {"websocket.reached": 101, "websocket.close": 403}
    return kinds[first["type"]] if first["type"] in kinds else int(first["status"])


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "127.0.0.1", "localhost:3000", "LOCALHOST", "[::1]:3000", "[::1]"])
@pytest.mark.parametrize("method", ["GET", "WEBSOCKET"])
def test_this_machines_names_are_known(method: str, host: str) -> None:
    assert status(method, headers={"host": host}) in (200, 101)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.", "localhost.evil.example",
        "evil.example#localhost", "user@localhost", "localhost:80:80", "localhost:x", "localhost/..", "192.0.2.7", "",
        "127.0.0.1;evil", "[::1", "0.0.0.0:3000", "localhost, evil.example", "x" * 100_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "WEBSOCKET"])
def test_a_name_that_leads_here_is_refused(method: str, host: str) -> None:
    assert status(method, headers={"host": host, **JSON}) == 403


@pytest.mark.parametrize("hosts", [[], ["localhost", "evil.example"], ["localhost", "localhost"]])
def test_there_is_one_host(hosts: list[str]) -> None:
    headers = [("host", host) for host in hosts]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(n.encode(), v.encode()) for n, v in headers]}
    assert _run({**scope, "client": HERE})[0]["status"] == 403


def test_other_names_can_be_set() -> None:
    hosts = "Churn.Example, mlflow,[fd00::2]"
    assert status(headers={"host": "churn.example:8443"}, hosts=hosts) == 200
    assert status(headers={"host": "mlflow:5000"}, hosts=hosts) == 200
    assert status(headers={"host": "[fd00::2]"}, hosts=hosts) == 200
    assert status(headers={"host": "localhost"}, hosts=hosts) == 200
    assert status(headers={"host": "other.example"}, hosts=hosts) == 403


def test_the_refusal_of_a_name_says_what_to_set_and_shows_nothing_that_runs() -> None:
    start, body = sent(headers={"host": "<script>" + "x" * 500})
    text = body["body"].decode()
    assert "CHURN_ALLOWED_HOSTS" in text
    assert "<script>" not in text
    assert len(text) < 300
    assert (b"content-type", b"text/plain; charset=utf-8") in start["headers"]


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "http://localhost:3000"},  # another name of this machine is another origin
    {"origin": "http://127.0.0.1:3000.evil.example"},
    {"origin": "http://evil.example/127.0.0.1:3000"},
    {"origin": "file://127.0.0.1:3000"},
    {"origin": "http://[127.0.0.1:3000"},
    {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none, cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"])
def test_a_page_of_another_origin_is_refused(method: str, headers: dict[str, str]) -> None:
    assert status(method, headers={**headers, **JSON}) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"])
def test_an_old_browser_says_only_which_page_asks(method: str) -> None:
    for referer in ("http://evil.example/page", "http://127.0.0.1:9999/", "http://[", "about:blank"):
        assert status(method, headers={"referer": referer, **JSON}) == 403
    assert status(method, headers={"referer": f"http://{LOCAL}/runs", **JSON}) in (200, 101)


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a program
        {"origin": f"http://{LOCAL}", "sec-fetch-site": "same-origin"},
        {"origin": f"https://{LOCAL}"},  # a proxy has made HTTP of HTTPS
        {"origin": f"http://{LOCAL}".upper()},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},  # typed
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"])
def test_its_own_page_and_programs_are_let_in(method: str, headers: dict[str, str]) -> None:
    assert status(method, headers={**headers, **JSON}) in (200, 101)


def test_a_link_on_another_page_can_be_followed_but_not_embedded() -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert status("GET", "/runs/1", link) == 200
    assert status("GET", "/runs/1", {"referer": "http://serving.example/"}) == 200  # an old browser's
    for changed in ({"sec-fetch-dest": "iframe"}, {"sec-fetch-dest": "image"}, {"sec-fetch-mode": "no-cors"}):
        assert status("GET", "/runs/1", {**link, **changed}) == 403
    assert status("POST", "/runs/1", {**link, **JSON}) == 403
    assert status("GET", "/graphql?query=mutation", link) == 405


@pytest.mark.parametrize("path", ["/graphql", "/prefix/graphql"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accept", ["image/avif,*/*", "text/html", "application/json"])
def test_reading_executes_nothing(method: str, path: str, accept: str) -> None:
    first = sent(method, f"{path}?query=mutation%7Bx%7D", {"accept": accept, "sec-fetch-site": "same-origin"})[0]
    assert first["status"] == 405
    assert (b"allow", b"POST") in first["headers"]
    assert status(method, path, {"accept": "text/html"}) == 200


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", "multipart/form-data",
        "application/graphql", "application/jsonp", "application/json, text/plain", "",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/graphql", "/report_asset_materialization/x", "/api/2.0/mlflow/runs/create"])
def test_only_json_is_posted(path: str, kind: str) -> None:
    assert status("POST", path, {"content-type": kind}) == 415
    assert status("POST", path) == 415
    assert status("POST", path, [("content-type", "application/json"), ("content-type", "text/plain")]) == 415
    for good in ("application/json", "Application/JSON; charset=utf-8"):
        assert status("POST", path, {"content-type": good}) == 200


def test_files_are_put() -> None:
    assert status("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/x", {"content-type": "application/octet-stream"}) == 200


def basic(password: str, user: str = "churn") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("client", [ELSEWHERE, ("2001:db8::1", 1), ("::ffff:192.0.2.7", 1), ("unknown", 1), None])
@pytest.mark.parametrize("method", ["GET", "POST", "WEBSOCKET"])
def test_from_elsewhere_the_token_is_asked_for(method: str, client: tuple[str, int] | None) -> None:
    refused = 403 if method == "WEBSOCKET" else 401
    for wrong in ("", "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", TOKEN, basic("wrong"), "Basic ***", "Basic é",
                  f"Digest {TOKEN}", basic("", TOKEN), f"Bearer {TOKEN[:-1]}"):  # fmt: skip
        assert status(method, headers={"authorization": wrong, **JSON}, client=client) == refused
    assert status(method, headers=JSON, client=client) == refused
    for right in (f"Bearer {TOKEN}", f"bearer {TOKEN}", basic(TOKEN), basic(TOKEN, "")):
        assert status(method, headers={"authorization": right, **JSON}, client=client) in (200, 101)


def test_a_browser_asks_the_person_for_it() -> None:
    headers = dict(sent(client=ELSEWHERE)[0]["headers"])
    assert headers[b"www-authenticate"].startswith(b"Basic ")


@pytest.mark.parametrize("client", [HERE, ("127.8.9.1", 1), ("::1", 1), ("::ffff:127.0.0.1", 1)])
def test_this_machine_needs_no_token(client: tuple[str, int]) -> None:
    assert status(client=client) == 200
    assert status(headers={"authorization": "Bearer wrong"}, client=client) == 200


@pytest.mark.parametrize(
    "header",
    ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-host", "x-forwarded-proto", "cf-connecting-ip"],
)
def test_no_header_makes_an_address(header: str) -> None:
    for told in ("127.0.0.1", "for=127.0.0.1", "::1", "192.0.2.7", ""):
        assert status(headers={header: told}, client=ELSEWHERE) == 401
        assert status(headers={header: told}, client=HERE) == 401  # a proxy beside it passes others on
        assert status(headers={header: told, "authorization": f"Bearer {TOKEN}"}, client=HERE) == 200


def test_the_token_opens_nothing_to_other_pages() -> None:
    """A browser that knows the password sends it for every page."""
    known = {"authorization": basic(TOKEN), **JSON}
    assert status("POST", "/graphql", {**known, "origin": "http://evil.example"}, client=ELSEWHERE) == 403
    assert status("GET", "/graphql?query=x", known, client=ELSEWHERE) == 405
    assert status("GET", "/", {**known, "host": "evil.example"}, client=ELSEWHERE) == 403


@pytest.mark.parametrize("client", [HERE, ELSEWHERE])
def test_answers_are_held_to_their_origin(client: tuple[str, int]) -> None:
    headers = sent(client=client)[0]["headers"]
    for header in [(b"x-content-type-options", b"nosniff"), (b"x-frame-options", b"SAMEORIGIN")]:
        assert header in headers
    assert [value for name, value in headers if name.lower() == b"referrer-policy"] == [b"same-origin"]
    assert not [name for name, _ in headers if name.lower().startswith(b"access-control")]
    policies = [value.decode() for name, value in headers if name == b"content-security-policy"]
    for directive in ("default-src 'self'", "img-src 'self' data: blob:", "form-action 'self'", "frame-ancestors"):
        assert any(directive in policy for policy in policies)
    if client == HERE:
        assert "base-uri 'none'" in policies  # the server's own holds as well
        assert any(f"connect-src 'self' ws://{LOCAL} wss://{LOCAL};" in policy for policy in policies)


def test_start_and_end_are_the_servers_own() -> None:
    assert _run({"type": "lifespan"}) == [{"type": "lifespan.reached"}]
