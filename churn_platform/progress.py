"""Progress: what a command is working on now, told on stderr while it works.

Here: one line that moves on a terminal, and plain lines elsewhere. Not here: which steps there are (`local.steps`,
`replay`, `simulation`), or what a command has to say in the end, which goes to stdout.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Step:
    """A step that begins: the task that it belongs to, such as `closing 2024-01`, which one of how many, its name.

    Number 0 is for what comes before the first one.
    """

    task: str
    number: int
    of: int
    name: str

    def __str__(self) -> str:
        return f"{self.task}: {f'step {self.number} of {self.of}, ' if self.number else ''}{self.name}"


Follow = Callable[[Step], None]
"""Is told each step as it begins."""


def unseen(_: Step) -> None:
    """Nobody is told."""


class Progress:
    """What a command is working on, step by step.

    On a terminal the step shows, with its seconds. Elsewhere each step is a line once it is done or, where there are
    too many of them, each `task` is.
    """

    def __init__(self, *, by_task: bool = False) -> None:
        self._by_task = by_task
        self._file: TextIO = sys.stderr
        self._text = self._prefix = ""
        self._since = 0.0
        self._in_step = False

    @contextmanager
    def of(self, task: str, prefix: str = "") -> Iterator[None]:
        """Show that this is being worked on, then its steps, each after the `prefix`. What fails leaves no line."""
        with _own(sys.stderr) as self._file:
            self._text, self._prefix, self._in_step = task, prefix, False
            began = self._since = time.monotonic()
            with self._moving():
                yield
            if self._by_task:
                self._since = began
                self._tell(task)
            else:
                self._end_step()

    def step(self, step: Step) -> None:
        """A step begins, and the one before it is done."""
        self._end_step()
        self._text, self._since, self._in_step = f"{self._prefix}{step}", time.monotonic(), True

    def _end_step(self) -> None:
        if self._in_step and not self._by_task:
            self._tell(self._text)
        self._in_step = False

    def _tell(self, text: str) -> None:
        if not _is_terminal(self._file):
            with suppress(OSError):  # whoever read this is gone, or the disk that it goes to is full: the work goes on
                self._file.write(f"{text}, {time.monotonic() - self._since:.1f} s\n")
                self._file.flush()

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Draw the line again and again, and take it away in the end."""
        if not _is_terminal(self._file):
            yield
            return
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        spinner = Spinner("dots")

        def draw() -> RenderableType:
            line = Table.grid(padding=(0, 1))
            line.add_row(spinner, Text(f"{self._text}, {time.monotonic() - self._since:.0f} s", overflow="fold"))
            return line

        # A step's log takes the place of the terminal, so its width is asked of this file.
        width = os.get_terminal_size(self._file.fileno()).columns or None
        console = Console(file=self._file, width=width, force_terminal=True)
        with Live(
            get_renderable=draw,
            console=console,
            transient=True,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield


def _is_terminal(file: TextIO) -> bool:
    from rich.console import Console

    return file.isatty() and not Console(file=file).is_dumb_terminal


@contextmanager
def _own(file: TextIO | None) -> Iterator[TextIO]:
    """The file under a number of its own: while a step runs, Dagster gives stderr's number to the step's log."""
    if file is None:  # it was closed before Python began
        yield io.StringIO()
        return
    try:
        number = os.dup(file.fileno())
    except (OSError, ValueError):  # it is no file of the system's, as in a test
        yield file
        return
    own = os.fdopen(number, "w", encoding=file.encoding, errors="replace")
    try:
        yield own
    finally:
        with suppress(OSError):
            own.close()
