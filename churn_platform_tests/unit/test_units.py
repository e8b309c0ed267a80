"""Units: a test here that starts a process, uses the network or loads what is slow fails with what to do."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest


def connect() -> None:
    with socket.socket() as client:
        client.connect(("127.0.0.1", 1))


def listen() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))


def fork() -> None:
    if not os.fork():
        os._exit(0)


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        (lambda: subprocess.run([sys.executable, "-c", ""], check=True), "starts a process"),
        (lambda: os.system("true"), "starts a process"),
        (fork, "starts a process"),
        (lambda: multiprocessing.get_context("forkserver").Process(target=connect).start(), "uses the network"),
        (connect, "uses the network"),
        (listen, "uses the network"),
        (lambda: __import__("mlflow.nothing_like_it"), "loads mlflow"),  # not there, so that nothing has loaded it
    ],
)
def test_what_is_no_unit_is_refused(deed: Callable[[], object], told: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"a unit test {told}.*: move it to integration/"):
        deed()


def test_other_tests_threads_are_let_be() -> None:
    """Threads that other tests left running may go on."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            connect()
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [type(fault) for fault in faults] == [ConnectionRefusedError]
