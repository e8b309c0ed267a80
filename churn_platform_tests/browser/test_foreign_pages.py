"""Pages of another origin in the same browser: whatever they have it ask, Dagster and MLflow do nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest

from churn_platform_tests.browser.conftest import Watched
from churn_platform_tests.running import Up

LAUNCH = """mutation { launchRun(executionParams: {
  selector: {jobName: "roll_back_champion", repositoryName: "__repository__", repositoryLocationName: "churn_platform"},
  runConfigData: "{ops: {roll_back: {config: {reason: a page, by: a page}}}}"}) { __typename } }"""
CREATE = "/api/2.0/mlflow/experiments/create"
MADE = '{"name": "made by a page"}'

PAGE = """<!doctype html><title>foreign</title>
<img src="{dagster}/graphql?query={query}"><script src="{dagster}/graphql?query={query}"></script>
<iframe src="{dagster}/graphql?query={query}"></iframe><iframe name="sink1"></iframe><iframe name="sink2"></iframe>
<link rel="stylesheet" href="{dagster}/graphql?query={query}">
<form id="dagster" target="sink1" method="post" action="{dagster}/graphql?query={query}"></form>
<form id="mlflow" target="sink2" method="post" enctype="text/plain" action="{mlflow}{create}">
  <input name='{{"name": "made by a page", "x": "' value='"}}'></form>
<script>
const told = [], json = {{"Content-Type": "application/json"}}, plain = {{"Content-Type": "text/plain"}};
const ask = (url, how) => fetch(url, how).then(answer => answer.text()).then(text => told.push(text), () => 0);
const open = new Promise(done => {{
  const socket = new WebSocket("{dagster}/graphql".replace("http", "ws"), "graphql-ws");
  socket.onopen = () => {{ told.push("opened"); done(); }};
  socket.onerror = socket.onclose = done;
}});
dagster.submit(); mlflow.submit();
const body = JSON.stringify({{query: {mutation}}});
window.ended = Promise.all([
  open,
  ask("{dagster}/graphql?query={query}", {{mode: "no-cors"}}),
  ask("{dagster}/graphql?query={query}", {{mode: "no-cors", method: "POST", headers: plain, body: "x"}}),
  ask("{dagster}/graphql", {{method: "POST", headers: json, body: body}}),
  ask("{mlflow}{create}", {{mode: "no-cors", method: "POST", headers: plain, body: {made}}}),
  ask("{mlflow}{create}", {{method: "POST", headers: json, body: {made}}}),
  ask("{mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0", {{credentials: "include"}}),
  new Promise(done => addEventListener("load", () => setTimeout(done, 2000))),
]).then(() => told.filter(text => text));
</script>"""


@pytest.fixture
def foreign(up: Up) -> Iterator[int]:
    """The port of a web server on this machine that serves such a page, whatever it is asked for."""
    page = PAGE.format(
        dagster=up.dagster,
        mlflow=up.mlflow,
        query=quote(LAUNCH, safe=""),
        create=CREATE,
        mutation=json.dumps(LAUNCH),
        made=json.dumps(MADE),
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])  # another site, and another origin of the same site
def test_a_foreign_page_starts_nothing_and_reads_nothing(host: str, up: Up, foreign: int, watched: Watched) -> None:
    up.until(lambda: "dagster-daemon is up" in up.said)
    up.until(up.is_whole)
    asked: set[str] = set()
    watched.page.on("request", lambda request: asked.add(f"{request.resource_type} {request.method}"))
    watched.page.goto(f"http://{host}:{foreign}/")
    assert watched.page.evaluate("window.ended") == []
    assert "roll_back_champion" not in {run["jobName"] for run in up.runs()}
    found = watched.page.request.post(f"{up.mlflow}/api/2.0/mlflow/experiments/search", data={"max_results": 100})
    assert "made by a page" not in found.text()
    assert "streamflow_churn" in found.text()
    assert {"image GET", "script GET", "stylesheet GET", "document POST", "fetch GET", "fetch POST"} <= asked
