"""Hostile pages: reports about hostile values are drawn, from the disk and by serving, and nothing runs or leaves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import uvicorn
from litestar import Litestar
from playwright.sync_api import expect

from churn_platform.intake.expectations import evaluate_suite
from churn_platform.intake.parsing import ROW, parse
from churn_platform.lake import Lake
from churn_platform.monitoring import drift
from churn_platform.months import Month
from churn_platform_tests import homes
from churn_platform_tests.browser.conftest import Watched
from churn_platform_tests.hostile_values import HOSTILE
from churn_platform_tests.integration.test_monitoring_drift import put_features
from churn_platform_tests.streamflow import STREAMFLOW, USERS
from serving.access import Access
from serving.edge import Edge
from serving.hosts import Hosts
from serving.limits import Limit
from serving.metrics import Metrics
from serving.routes import reports

pytestmark = pytest.mark.usefixtures("drawn")

WIDE, NARROW = 1500, 390


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of each kind, about a table and features that hold every hostile value."""
    folder = tmp_path_factory.mktemp("hostile")
    pages, lake, before, month = folder / "reports", Lake(folder / "lake", STREAMFLOW), Month(2024, 1), Month(2024, 2)
    frame: pd.DataFrame = parse(lake.engine, homes.deliver(folder) / "users.csv", USERS).typed.to_pandas()
    for row, value in enumerate(HOSTILE):
        frame.loc[row, "user_gender"] = frame.loc[row + len(HOSTILE), "user_id"] = value
    evaluate_suite(USERS, frame, ROW, 0.01, before.as_of).write_page("users", pages / "data_docs" / "users.html")
    put_features(lake, before)
    put_features(lake, month, contract_type=[HOSTILE[row % len(HOSTILE)] for row in range(400)])
    drift.compare(lake, month, [before], 0.02, pages / "drift")
    return pages


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    """The address of that folder, as serving shows it."""
    app = Edge(Litestar([reports.route(folder)]), Hosts(["127.0.0.1"]), Access({}, Limit(0, 1)), Limit(0, 1), Metrics())
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/reports"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("place", ["disk", "serving"])
def test_pages_of_hostile_values_only_show_them(
    place: str, width: int, folder: Path, served: str, watched: Watched
) -> None:
    base = folder.as_uri() if place == "disk" else served
    page = watched.page
    page.set_viewport_size({"width": width, "height": 950})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: watched.faults.append(f"a dialog: {dialog.message}"))

    page.goto(f"{base}/data_docs/users.html")
    expect(page.get_by_text(r"\x3cscript\x3ealert(1)").first).to_be_visible()
    watched.show(f"data_docs_{place}_{width}")
    assert asked == [f"{base}/data_docs/users.html"]

    page.goto(f"{base}/drift/2024-02.html")
    row = page.get_by_role("row").filter(has_text="contract_type")
    row.get_by_role("button").click()
    expect(page.locator(".js-plotly-plot")).to_contain_text(r"\x3cscript\x3ealert(1)\x3c/script\x3e")
    watched.show(f"drift_{place}_{width}")
    [library] = folder.glob("drift/*.js")
    assert asked[1:] == [f"{base}/drift/2024-02.html", f"{base}/drift/{library.name}"]
    assert watched.faults == []
