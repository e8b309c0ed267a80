"""A terminal of a given size: what a program that was started in it shows.

Here: a pseudo-terminal, and as much of a screen as what `rich` draws needs. Not here: what should be shown (the tests).
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

_SEQUENCE = re.compile(r"\x1b\[(?P<private>\??)(?P<numbers>[\d;]*)(?P<kind>[A-Za-z])")


class Screen:
    """What is seen. `lines` has all that was written, and the last `rows` of it are the screen."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.lines = [""]
        self._row = self._column = 0

    @property
    def seen(self) -> list[str]:
        """The screen's rows that something stands on."""
        return [line.rstrip() for line in self.lines[-self.rows :]]

    def write(self, text: str) -> None:
        """Show more text; control sequences other than those that `rich` writes are a fault of the test."""
        position = 0
        while position < len(text):
            if found := _SEQUENCE.match(text, position):
                self._obey(found["kind"], int(found["numbers"] or 0) if found["kind"] in "AKJ" else 0)
                position = found.end()
            else:
                self._put(text[position])
                position += 1

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self._column = 0
        elif letter == "\n":
            self._down()
        elif letter.isprintable():
            if self._column == self.columns:  # the terminal wraps, in the middle of a word if need be
                self._down()
                self._column = 0
            line = self.lines[self._row].ljust(self._column)
            self.lines[self._row] = line[: self._column] + letter + line[self._column + 1 :]
            self._column += 1

    def _down(self) -> None:
        self._row += 1
        if self._row == len(self.lines):
            self.lines.append("")

    def _obey(self, kind: str, number: int) -> None:
        if kind == "A":  # up, as far as the screen reaches
            self._row = max(self._row - max(number, 1), len(self.lines) - self.rows, 0)
        elif kind == "K":
            line = self.lines[self._row]
            self.lines[self._row] = "" if number == 2 else line[: self._column]
        elif kind == "J":
            del self.lines[self._row + 1 :]
        else:
            assert kind in "mhl", kind  # colours, and the cursor shown or hidden


class Terminal:
    """A program in a pseudo-terminal. `frames` are what was seen, with the seconds since the start."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
        stdout: int | None = None,
    ) -> None:
        self.screen = Screen(columns, rows)
        self.frames: list[tuple[float, list[str]]] = []
        self._began = time.monotonic()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm", **environment}
        self.process = subprocess.Popen(
            command,
            env={name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")},
            start_new_session=True,
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
        )
        os.close(slave)

    def read(self, seconds: float = 0.05) -> bool:
        """Show what the program has written by now; False where it has closed its terminal."""
        if select.select([self._master], [], [], seconds)[0]:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # how Linux says that nobody has the other end any more
                return False
            self.screen.write(data.decode(errors="replace"))
            self.frames.append((time.monotonic() - self._began, self.screen.seen))
            return bool(data)
        return True

    def until(self, condition: Callable[[], object], patience: float = 60) -> None:
        """Read until this holds of what is seen."""
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, "\n".join(self.screen.seen)
            self.read()

    def end(self, patience: float = 240) -> int:
        """Read until the program ends; its exit code."""
        end = time.monotonic() + patience
        while self.read():
            assert time.monotonic() < end, "\n".join(self.screen.seen)
        with suppress(OSError):
            os.close(self._master)
        return self.process.wait(30)
