"""Fixtures of the browser tests: a platform as a newcomer starts it, and a page in Chromium that reports faults."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, Response, sync_playwright

from churn_platform_tests.running import Up

SEEDS = Path(__file__).parents[2] / "data" / "seeds"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NOT_OURS = ("/ajax-api/2.0/mlflow/users/current",)
"""What MLflow's page asks for in vain when nobody has to log in."""


class Watched:
    """A page, what went wrong in it, and screenshots of it, numbered as they are taken."""

    def __init__(self, page: Page, shots: Path) -> None:
        self.page = page
        self.faults: list[str] = []
        self._shots = shots
        self._taken = 0
        page.on("response", self._on_response)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))

    def show(self, name: str) -> None:
        """Take a screenshot."""
        self._taken += 1
        self.page.screenshot(path=self._shots / f"{self._taken:02d}_{name}.png")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and not response.url.endswith(NOT_OURS):
            self.faults.append(f"{response.status} {response.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:  # those are responses
            self.faults.append(f"{self.page.url}: {message.text}")


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The platform in an empty home, with the shipped drops."""
    with Up(tmp_path_factory.mktemp("newcomer"), CHURN_DROPS=str(SEEDS)).started() as up:
        yield up


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A page of a new browser. Screenshots go to the folder SCREENSHOTS, or to the test's own."""
    if not CHROMIUM.exists():
        pytest.fail(
            f"there is no {CHROMIUM}: install Chromium (Debian: apt-get install chromium), or set CHROMIUM to its path"
        )
    shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.set_default_timeout(60_000)
        yield Watched(page, shots)
        browser.close()
