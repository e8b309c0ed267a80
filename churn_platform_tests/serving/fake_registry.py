"""A tracking server that answers rightly or in one of many wrong ways, at a real port.

Here: the server and the ways. Not here: what serving must make of them (`test_wrong_registries`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Way = Callable[["Handler"], None]
ARTIFACTS = "mlflow-artifacts:/bundles/"


class Handler(BaseHTTPRequestHandler):
    """Answers one connection, each request in the way that the server has at that moment."""

    server: FakeRegistry

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        with suppress(OSError):  # the client has gone
            (self.server.files if "/mlflow-artifacts/" in self.path else self.server.way)(self)

    def answer(self, body: bytes | str, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        """A whole answer."""
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def drip(self, part: bytes) -> None:
        """The same bytes again and again, until the client or the test has had enough."""
        while not self.server.over.wait(0.05):
            self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class FakeRegistry(ThreadingHTTPServer):
    """One version of the model, its number, tags and files; `way` and `files` say how it is told."""

    daemon_threads = True

    def __init__(self, version: int, tags: dict[str, str], folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.over = threading.Event()
        self.way: Way = rightly
        self.files: Way = rightly_sent
        self.name(version, tags, folder)

    def name(self, version: int, tags: dict[str, str], folder: Path) -> None:
        """Name another version."""
        self.version, self.folder = version, folder
        self.tags = {**tags, "bundle_uri": f"{ARTIFACTS}{version}"}


@contextmanager
def fake_registry(version: int, tags: dict[str, str], folder: Path) -> Iterator[FakeRegistry]:
    """A server for as long as the block lasts."""
    with FakeRegistry(version, tags, folder) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.01))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def told(version: object, tags: object) -> str:
    """MLflow's answer about a version."""
    return json.dumps({"model_version": {"name": "streamflow_churn", "version": version, "tags": tags}})


def pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as MLflow tells them."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def rightly(request: Handler) -> None:
    """As MLflow answers."""
    request.answer(told(str(request.server.version), pairs(request.server.tags)))


def rightly_sent(request: Handler) -> None:
    """A bundle's file as MLflow sends it."""
    request.answer((request.server.folder / request.path.rpartition("/")[2]).read_bytes(), kind="application/x")


def saying(body: bytes | str, status: int = 200, kind: str = "application/json") -> Way:
    """Always this."""
    return lambda request: request.answer(body, status, kind)


def tagged(**tags: str | None) -> Way:
    """Rightly, but with these tags instead; None takes one away."""

    def way(request: Handler) -> None:
        changed = {**request.server.tags, **tags}
        request.answer(told("2", pairs({key: value for key, value in changed.items() if value is not None})))

    return way


def silent(request: Handler) -> None:
    """Nothing, for ever."""
    request.server.over.wait()


def dripping_body(request: Handler) -> None:
    """A byte of the body at a time, for ever."""
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.drip(b" ")


def dripping_headers(request: Handler) -> None:
    """A header at a time, for ever."""
    request.send_response(200)
    request.flush_headers()
    request.drip(b"X-Y: Z\r\n")


def endless(request: Handler) -> None:
    """As much as the client takes."""
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.end_headers()
    while not request.server.over.is_set():
        request.wfile.write(b" " * 100_000)


def cut_short(request: Handler) -> None:
    """Less than was promised."""
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"model_version": {')


def hung_up(request: Handler) -> None:
    """The connection, closed."""
    request.connection.close()


def no_http(request: Handler) -> None:
    """Bytes that are no HTTP."""
    request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")


def elsewhere(request: Handler) -> None:
    """A redirect to a login page."""
    request.answer("", 302, Location="http://127.0.0.1:9/login")


def zipped(request: Handler) -> None:
    """What is said to be zipped and is not."""
    request.answer("{}", Content_Encoding="gzip")


WAYS: dict[str, Way] = {
    "silent": silent,
    "dripping body": dripping_body,
    "dripping headers": dripping_headers,
    "endless": endless,
    "cut short": cut_short,
    "hung up": hung_up,
    "no HTTP": no_http,
    "redirect": elsewhere,
    "not zipped": zipped,
    "empty": saying(b""),
    "HTML": saying("<html>Log in</html>", kind="text/html"),
    "HTML that is called JSON": saying("<html>Log in</html>"),
    "empty object": saying("{}"),
    "list": saying("[]"),
    "text": saying('"x"'),
    "null": saying("null"),
    "no JSON": saying("{oops"),
    "no UTF-8": saying(b'{"model_version": {"version": "\xff"}}'),
    "nested too deeply": saying('{"x": ' + "[" * 200_000),
    "null for a version": saying('{"model_version": null}'),
    "empty version": saying('{"model_version": {}}'),
    "a word for a number": saying(told("two", [])),
    "zero": saying(told("0", [])),
    "a number beyond all bounds": saying(told("9" * 400, [])),
    "true for a number": saying(told(True, [])),
    "null for tags": saying(told("2", None)),
    "tags in another shape": saying(told("2", {"month": "2024-02"})),
    "null in tags": saying(told("2", [{"key": "month", "value": None}])),
    "no tags": saying(told("2", [])),
    "no bundle": tagged(bundle_uri=None, bundle_sha256="0" * 64),
    "a path for a digest": tagged(bundle_sha256="../../../../evil"),
    "no such month": tagged(month="2024-13"),
    "a bundle nowhere": tagged(bundle_sha256="0" * 64, bundle_uri="http://[evil"),
    "a bundle of another kind": tagged(bundle_sha256="0" * 64, bundle_uri="s3://bucket/bundle"),
    "a bundle that is another": tagged(bundle_sha256="0" * 64),
    "none": saying('{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}', 404),
    "404 of another kind": saying("not here", 404, "text/plain"),
    "refused": saying('{"error_code": "PERMISSION_DENIED", "message": "no"}', 403),
    "500 list": saying("[]", 500),
    "500 HTML": saying("<html>", 500, "text/html"),
    "503": saying("", 503),
}
"""Ways in which a registry answers wrongly, or not at all."""
