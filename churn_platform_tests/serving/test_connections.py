"""Connections: clients that send too much, too many at once, too slowly or nothing, and that read nothing."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from churn_platform_tests.serving.conftest import Service, running
from churn_platform_tests.serving.test_process import process, wait_until_ready
from churn_platform_tests.serving.world import World
from serving.connections import MOST_OF_HEAD, MOST_WAITING

SECONDS, CONNECTIONS = 0.5, 20
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = b"GET /docs/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF_BODY = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n{"
ENDED = 'churn_connections_ended_total{{reason="{}"}}'
CHUNKED = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
STATUS = re.compile(rb"HTTP/1.1 (\d+)")


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, registry_template: Path) -> Iterator[Service]:
    """A service that waits half a second for its clients, of which it knows twenty."""
    folder = tmp_path_factory.mktemp("impatient")
    world = World(folder / "home", registry_template, serving_client_seconds=SECONDS, serving_connections=CONNECTIONS)
    with running(world.settings) as service:
        yield service


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def said(client: socket.socket) -> bytes:
    """All that comes until the connection ends."""
    found = b""
    try:
        while data := client.recv(65536):
            found += data
    except ConnectionError:
        pass
    return found


def statuses(service: Service, sent: bytes) -> list[int]:
    """What is answered to these bytes until the connection ends."""
    with closing(connected(service.settings.serving_port)) as client:
        with suppress(ConnectionError):  # not all of it is read
            client.sendall(sent)
        return [int(status) for status in STATUS.findall(said(client))]


def head(size: int, *, url: bool = False) -> bytes:
    """A request whose URL and headers have so many bytes."""
    path, headers = b"/health?", b"hostlocalhostconnectioncloseb"
    filling = b"a" * (size - len(path) - len(headers))
    return b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nb: %s\r\n\r\n" % (
        (path + filling, b"") if url else (path, filling)
    )


@pytest.mark.parametrize("url", [True, False])
def test_a_head_may_be_so_large_and_no_larger(url: bool, impatient: Service) -> None:
    assert statuses(impatient, head(MOST_OF_HEAD, url=url)) == [200]
    before = impatient.metric(ENDED.format("head_too_large"))
    assert statuses(impatient, head(MOST_OF_HEAD + 1, url=url)) == [431]
    assert impatient.metric(ENDED.format("head_too_large")) == before + 1


@pytest.mark.parametrize("begin", [b"GET /", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nA: ", b"A" * 1000])
def test_a_head_without_end_is_not_read_for_long(begin: bytes, impatient: Service) -> None:
    line = b"a: a\r\n" if begin.endswith(b"\r\n") else b"aaaaaa"
    with closing(connected(impatient.settings.serving_port)) as client, pytest.raises(ConnectionError):
        client.sendall(begin + line * 10_000_000)
    assert impatient.client.get("/health").status_code == 200


@pytest.mark.parametrize("trailer", [b"a:b\r\n", b"a" * 1000])
@pytest.mark.parametrize("path", [b"/predict", b"/nowhere"])
def test_trailers_without_end_are_not_read_for_long(path: bytes, trailer: bytes, impatient: Service) -> None:
    begin = CHUNKED.replace(b"/predict", path)
    with closing(connected(impatient.settings.serving_port)) as client, pytest.raises(ConnectionError):
        client.sendall(begin)
        client.sendall((b"a:" if trailer.startswith(b"aa") else b"") + trailer * (50_000_000 // len(trailer)))
    assert impatient.client.get("/health").status_code == 200


def test_what_is_refused_is_told_as_a_problem(impatient: Service) -> None:
    with closing(connected(impatient.settings.serving_port)) as client:
        client.sendall(head(MOST_OF_HEAD + 1))
        top, _, body = said(client).partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in top and b"connection: close" in top
    assert json.loads(body)["code"] == "head_too_large"


@pytest.mark.parametrize("behind", [b"", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: a\r\n" * 90_000])
def test_whole_requests_before_others_are_answered(behind: bytes, impatient: Service) -> None:
    found = statuses(impatient, HEALTH * 5 + behind)
    assert found[:5] == [200] * 5
    assert found[5:] in ([], [400], [431])  # why is told if they are answered by then


def test_few_requests_wait_on_a_connection(impatient: Service) -> None:
    assert statuses(impatient, HEALTH * 100_000) == [200] * (1 + MOST_WAITING)


def test_as_many_as_may_wait_are_answered_for_as_long_as_they_come(impatient: Service) -> None:
    with closing(connected(impatient.settings.serving_port)) as client:
        for _ in range(50):
            client.sendall(HEALTH * MOST_WAITING)
            found = b""
            while len(STATUS.findall(found)) < MOST_WAITING or not found.endswith(b"}"):
                found += client.recv(65536)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", []),
        (b"\r\n", []),
        (b"G", [408]),
        (HEALTH[:-2], [408]),
        (HALF_BODY, [408]),
        (HEALTH, [200]),
        (HEALTH * 2 + b"G", [200, 200, 408]),
        (HALF_BODY.replace(b"/predict", b"/nowhere"), [404, 408]),
    ],
)
def test_who_sends_nothing_more_is_given_up(sent: bytes, told: list[int], impatient: Service) -> None:
    began = time.monotonic()
    slow = impatient.metric(ENDED.format("too_slow"))
    assert statuses(impatient, sent) == told
    assert time.monotonic() - began > SECONDS / 2
    assert impatient.metric(ENDED.format("too_slow")) == slow + told.count(408)


@pytest.mark.parametrize("sent", [b"\r\n", b"a"])
def test_who_sends_slowly_is_given_up(sent: bytes, impatient: Service) -> None:
    began = time.monotonic()
    with closing(connected(impatient.settings.serving_port)) as client, pytest.raises(ConnectionError):
        client.sendall(HALF_BODY if sent == b"a" else b"")
        while time.monotonic() < began + 30:
            client.sendall(sent)
            time.sleep(SECONDS / 20)  # it is what is tried


def test_who_reads_nothing_is_given_up(impatient: Service) -> None:
    before = sum(impatient.metric(ENDED.format(reason)) for reason in ("unread", "too_many_waiting"))
    with closing(connected(impatient.settings.serving_port)) as client, pytest.raises(ConnectionError):
        while True:
            client.sendall(LARGE * MOST_WAITING)
    assert impatient.client.get("/health").status_code == 200
    assert sum(impatient.metric(ENDED.format(reason)) for reason in ("unread", "too_many_waiting")) > before


def test_a_slow_answer_ends_no_connection(impatient: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is ours."""
    inner = impatient.edge.app

    async def slow(scope: object, receive: object, send: object) -> None:
        import asyncio

        await asyncio.sleep(3 * SECONDS)
        await inner(scope, receive, send)  # type: ignore[arg-type]

    monkeypatch.setattr(impatient.edge, "app", slow)
    assert impatient.client.get("/health").status_code == 200


def test_there_are_so_many_connections(impatient: Service) -> None:
    before = impatient.metric(ENDED.format("no_room"))
    with ExitStack() as stack:
        for _ in range(3 * CONNECTIONS):
            stack.enter_context(closing(connected(impatient.settings.serving_port)))
        assert answers(impatient.settings.serving_port)
        assert impatient.connections() <= CONNECTIONS
        assert impatient.metric(ENDED.format("no_room")) > before


@pytest.mark.parametrize("waiting", [True, False])
def test_who_has_all_connections_shuts_nobody_out(waiting: bool, impatient: Service) -> None:
    """Whether they wait for their client, or are being answered all the time."""
    port = impatient.settings.serving_port
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(closing(connected(port)))
        for connection in list(impatient.server.server_state.connections):
            if not waiting:
                connection._since = None  # type: ignore[union-attr]
        for _ in range(3):
            other = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), 30, ("127.0.0.2", 0))))
            other.sendall(HEALTH)
            assert other.recv(100).startswith(b"HTTP/1.1 200")


def test_memory_comes_back(world: World) -> None:
    with process(world, CHURN_SERVING_CLIENT_SECONDS="1") as (serving, port, _):
        wait_until_ready(serving, f"http://127.0.0.1:{port}")
        assert answers(port)
        before = resident(serving.pid)
        much = b"a" * (200 << 20)
        for begin, rest, times in (
            (b"GET / HTTP/1.1\r\na: ", much, 3),
            (b"GET /", much, 3),
            (HALF_BODY.replace(b"90", b"%d" % len(much)), much, 3),
            (CHUNKED, b"a:b\r\n" * (10 << 20), 3),
            (b"", HEALTH * 200_000, 10),
            (b"", LARGE * 200_000, 10),
            (b"", HEALTH[:-2], 300),
        ):
            with ExitStack() as stack:
                for _ in range(times):
                    client = stack.enter_context(closing(connected(port)))
                    with suppress(ConnectionError):  # it was refused
                        client.sendall(begin)
                        client.sendall(rest)
                assert answers(port)
                assert resident(serving.pid) < before + (100 << 20)
        assert resident(serving.pid) < 1.2 * before


def answers(port: int) -> bool:
    with closing(connected(port)) as client:
        client.sendall(HEALTH)
        return client.recv(100).startswith(b"HTTP/1.1 200")


def resident(pid: int) -> int:
    """The process's resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
