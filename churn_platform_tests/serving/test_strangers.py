"""Strangers: pages and clients that nobody has asked, and what serving lets them do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from churn_platform.settings import Settings, SettingsError
from churn_platform_tests.serving.conftest import Service, running
from churn_platform_tests.serving.world import World, user_id
from serving.access import OPEN
from serving.hosts import Hosts, hosts_of

PATHS = ("/", "/docs", "/docs/openapi.json", "/health", "/features/nobody", "/nowhere", "/reports/none.html")


# Names


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST.", "[::1]"])
def test_this_machines_names_are_answered(host: str, steady: Service) -> None:
    for port in ("", ":80", f":{steady.settings.serving_port}"):
        assert steady.client.get("/health", headers={"Host": host + port}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "169.254.169.254", "localhost:x", "", "["],
)
@pytest.mark.parametrize("path", PATHS)
def test_other_names_are_not(host: str, path: str, steady: Service) -> None:
    answer = steady.client.get(path, headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "unknown_host")
    assert "CHURN_ALLOWED_HOSTS" in answer.json()["detail"]


def test_every_host_header_counts() -> None:
    assert not Hosts(["localhost"]).know([(b"host", b"localhost"), (b"host", b"evil.example")])


def test_settings_name_more_hosts() -> None:
    settings = Settings(
        serving_host="0.0.0.0", public_serving_url="https://Churn.example.com:8443", allowed_hosts="serving, [fd00::1]"
    )
    hosts = hosts_of(settings)
    assert hosts.names == {"localhost", "127.0.0.1", "[::1]", "churn.example.com", "serving", "[fd00::1]"}
    assert hosts.know([(b"host", b"Serving:8000")])
    assert hosts.know([(b"accept", b"evil.example")])  # without the header no browser has asked
    with pytest.raises(SettingsError, match="CHURN_ALLOWED_HOSTS: it must hold names of hosts"):
        Settings(allowed_hosts="https://serving")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://{host}", 200),
        ("https://churn.example", 200),  # it passes on another Host
        ("http://evil.example", 403),
        ("http://127.0.0.1:1", 403),  # another program's page
        ("null", 403),
        ("http://[", 403),
        ("", 403),
    ],
)
def test_pages_of_others_ask_for_nothing_by_post(origin: str | None, status: int, steady: Service) -> None:
    hosts = Hosts([*hosts_of(steady.settings).names, "churn.example"])
    host = f"127.0.0.1:{steady.settings.serving_port}"
    headers = {"Origin": origin.format(host=host)} if origin is not None else {}
    assert hosts.know_page([(b"host", host.encode()), *((b"origin", v.encode()) for v in headers.values())]) == (
        status == 200
    )
    if origin != "https://churn.example":
        asked = steady.client.post("/predict", json={"user_id": user_id(1)}, headers=headers)
        assert asked.status_code == status


def test_a_body_that_breaks_off_is_no_error_of_ours(steady: Service, caplog: pytest.LogCaptureFixture) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{"
    counted = 'churn_request_seconds_count{method="POST",route="/predict",status="400"}'
    before = steady.metric(counted)
    with socket.create_connection(("127.0.0.1", steady.settings.serving_port)) as client:
        client.sendall(head)
    steady.until(lambda: steady.metric(counted) > before)
    assert "unexpected error" not in caplog.text


def test_headers_that_were_seen_do_not_fill_the_memory() -> None:
    hosts = Hosts(["localhost"])
    assert all(hosts.know([(b"host", b"localhost:%d" % port)]) for port in range(1, 1000))
    assert len(hosts._seen) < 100


# Browsers


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_closed_to_other_pages(path: str, steady: Service) -> None:
    answer = steady.client.get(path)
    for name, value in {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
    }.items():
        assert answer.headers.get_list(name) == [value]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert ("sandbox" in policy) == path.startswith("/reports/")
    assert "unsafe-inline" not in policy or path.startswith("/reports/")


# Reports


@pytest.fixture
def reports(steady: Service) -> Path:
    folder = steady.settings.reports
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "page.html").write_text("<p>a report</p>")
    return folder


def test_a_report_is_shown(reports: Path, steady: Service) -> None:
    answer = steady.client.get("/reports/page.html")
    assert (answer.status_code, answer.text) == (200, "<p>a report</p>")
    assert answer.headers["content-type"].startswith("text/html")
    assert "attachment" not in answer.headers.get("content-disposition", "")


def test_a_report_may_load_the_script_that_draws_it(reports: Path, steady: Service) -> None:
    """In its sandbox a page has no origin, so what it loads has to be for everyone; nothing else is."""
    (reports / "drawing.js").write_text("drawn = true")
    script, page = (steady.client.get(f"/reports/{name}").headers for name in ("drawing.js", "page.html"))
    assert script["content-type"].startswith("text/javascript")
    assert script["cross-origin-resource-policy"] == "cross-origin"
    assert page["cross-origin-resource-policy"] == "same-origin"
    assert "script-src 'self'" in page["content-security-policy"]


def test_nothing_outside_the_reports_is(reports: Path, steady: Service) -> None:
    (reports / "out.html").symlink_to("/etc/passwd")
    (reports / "up").symlink_to(reports.parent)
    (reports / "loop").symlink_to("loop")
    (reports / ".page.html").write_text("half written")
    (steady.settings.home / "beside.html").write_text("a secret")
    names = ("out.html", "up/beside.html", "loop", ".page.html", "..%2fbeside.html", "%2e%2e/beside.html", "%00",
             "a" * 300, "b/" * 3000, "page.html%00", "page.html/x", "", "%ff", "//etc/passwd", "up")  # fmt: skip
    for name in names:
        answer = steady.client.get(f"/reports/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), name


# Limits


def test_nobody_can_claim_another_address(world: World, serve: Callable[..., Service]) -> None:
    service = serve(world.settings.model_copy(update={"serving_rate_limit": 5}), ready=False)
    codes = {
        service.client.get("/health", headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code
        for number in range(100)
    }
    assert codes == {200, 429}


# Tokens

ELSEWHERE = {"X-Forwarded-For": "192.0.2.7"}
PERSONAL = ("/predict", "/predict/batch", "/predict/features", "/explain", "/features/nobody", "/customers",
            "/reports/none.html", "/predict//", "/predict/", "/nowhere", "/health/../predict", "/HEALTH")  # fmt: skip


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, registry_template: Path) -> Iterator[Service]:
    """A service with a token of each kind."""
    world = World(
        tmp_path_factory.mktemp("asked") / "home",
        registry_template,
        read_token="reading",
        contact_token="contacting",
        api_token="changing",
        serving_change_limit=1000,
    )
    world.promote(world.register(1))
    world.publish()
    with running(world.settings) as service:
        service.ready()
        yield service


@pytest.mark.parametrize("path", PERSONAL)
def test_another_machine_needs_a_token_for_what_is_personal(path: str, asked: Service) -> None:
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer"}, {"Authorization": "reading"}):
        answer = asked.client.get(path, headers={**ELSEWHERE, **given})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert "Basic" in answer.headers["www-authenticate"]
    for token in ("reading", "contacting", "changing"):
        bearer = asked.client.get(path, headers={**ELSEWHERE, "Authorization": f"Bearer {token}"})
        basic = asked.client.get(path, headers=ELSEWHERE, auth=("ann", token))
        assert 401 not in (bearer.status_code, basic.status_code)
    assert asked.client.get(path).status_code != 401  # from here


def test_what_is_open_says_nothing_about_people(asked: Service) -> None:
    people = asked.client.get("/customers").json()["user_ids"]
    assert people
    for path in OPEN:
        answer = asked.client.get(path, headers=ELSEWHERE)
        assert answer.status_code in (200, 302)
        assert not any(person in answer.text for person in people)


def test_only_the_admins_token_changes_something(asked: Service) -> None:
    for token in ("reading", "contacting", "wrong"):
        answer = asked.client.get("/retrain/none", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    assert asked.client.get("/retrain/none", headers={"Authorization": "Bearer changing"}).status_code == 404


def test_a_token_that_is_not_set_opens_nothing(steady: Service) -> None:
    for given in ({"Authorization": "Bearer"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic Og=="}):
        assert steady.client.get("/customers", headers={**ELSEWHERE, **given}).status_code == 401


def test_wrong_tokens_do_not_lock_out_who_has_the_right_one(world: World, serve: Callable[..., Service]) -> None:
    service = serve(world.settings.model_copy(update={"serving_change_limit": 3}), ready=False)
    token = (world.settings.home / "api_token").read_text().strip()

    def state(given: str) -> int:
        headers = {"Authorization": f"Bearer {given}"}
        return service.client.get("/retrain/no-such-run", headers=headers).status_code

    assert {state("wrong") for _ in range(20)} == {401, 429}
    assert state(token) == 404
