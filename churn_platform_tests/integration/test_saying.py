"""Saying: what programs answer, and what people type, reaches the terminal as text."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner
from rich.console import Console

from churn_platform.cli import main
from churn_platform.local.screen import Screen
from churn_platform.saying import say, say_json
from churn_platform_tests.hostile_values import HOSTILE, dangers


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """A program where serving should be, which answers everything so; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, json.dumps({"detail": "\x1b]0;owned\x07 gone"}).encode(), r"Error: \x1b]0;owned\x07 gone"),
        (500, b"\x1b[2J<html>", r"is not serving: \x1b[2J<html>"),
        (200, b"A" * 10**5, "(100,000 characters)"),
        (404, b"[]", "is not serving: []"),
        (200, json.dumps({"probability": 0.5, "x": "\u202e"}, ensure_ascii=False).encode(), r'"x": "\u202e"'),
    ],
)
def test_an_answer_of_whatever_program_is_text(status: int, body: bytes, told: str) -> None:
    with answering(status, body) as port:
        result = CliRunner().invoke(main, ["predict", "7590-VHVEG"], env={"CHURN_SERVING_PORT": str(port)})
    assert told in result.output
    assert dangers(result.output, markup=False) == []
    assert result.exit_code == (0 if told.startswith('"x"') else 1)


@pytest.mark.parametrize("speak", [say, say_json])
def test_commands_print_text(speak: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    for value in HOSTILE:
        speak(value)
    said = capsys.readouterr().out
    assert len(said.splitlines()) == len(HOSTILE)
    assert [found for found in dangers(said, markup=False) if found[0] != "A"] == []


@pytest.mark.parametrize("terminal", [True, False])
def test_the_screen_of_up_shows_text(terminal: bool) -> None:
    shown = io.StringIO()
    screen = Screen([], Console(file=shown, force_terminal=terminal, width=100, color_system=None))
    screen.notice = HOSTILE[5]
    with screen.shown({}):
        for value in HOSTILE:
            screen.tell(value)
    assert r"\x1b]0;owned\x07" in shown.getvalue()
    assert "\x1b]0;" not in shown.getvalue() and "\u202e" not in shown.getvalue()
    assert "[red]" in shown.getvalue()
