"""What makes a test a unit: it starts no process, connects to nothing, and loads nothing that takes seconds to load.

Here: failing tests that do; Python itself reports such an event beforehand. Not here: tests that need it
(`integration/`). A module that another test has loaded is not loaded again: a test that loads it is noticed when
`unit/` runs alone, as in continuous integration.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import dagster  # noqa: F401  # asks the program `file` about Python, whichever test is the first to import it
import pytest

PROCESSES = {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn"}
CONNECTIONS = {"socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto"}
SLOW = {"dagster_mlflow", "dagster_webserver", "evidently", "great_expectations", "mlflow", "skl2onnx"}

_in_a_unit = ContextVar("in_a_unit", default=False)
"""Not set in threads that other tests have left behind."""


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _in_a_unit.get():
        return
    if event in PROCESSES:
        pytest.fail(f"a unit test starts a process: move it to integration/ ({event} {arguments})")
    if event in CONNECTIONS:
        pytest.fail(f"a unit test uses the network: move it to integration/ ({event} {arguments})")
    if event == "import" and arguments[0].partition(".")[0] in SLOW:
        pytest.fail(f"a unit test loads {arguments[0]}, which takes seconds: move it to integration/")


sys.addaudithook(_refuse)


@contextmanager
def a_unit() -> Iterator[None]:
    """A test or its fixtures while the block runs."""
    before = _in_a_unit.set(True)
    try:
        yield
    finally:
        _in_a_unit.reset(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with a_unit():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with a_unit():
        yield
