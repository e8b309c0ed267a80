"""Supervision: programs that are kept running, each with a log, until all are stopped.

Here: starting, watching, restarting with growing pauses, and stopping whole process groups. Not here: which programs
the platform has (`programs`), how it looks (`screen`), or what happens if the supervisor is killed (`guard`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from churn_platform.local import guard

KEPT_LOGS = 3
LONGEST = 2000
"""The most characters that are told of a line; a log has all of them."""


@dataclass(frozen=True)
class Waits:
    """How long a supervisor waits, in seconds.

    A program that has died is started again after one of the `pauses`, the next one each time and the last one from
    then on; once it has been up for `healthy`, a death counts as the first again. A program that has answered before
    may be silent for `silence` before it is killed and started again. When everything is stopped, programs have
    `ending` to end by themselves.
    """

    pauses: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
    healthy: float = 60.0
    silence: float = 30.0
    ending: float = guard.PATIENCE


WAITS = Waits()


class ProgramState(StrEnum):
    """The state of a program."""

    WAITING = "waiting"
    STARTING = "starting"
    UP = "up"
    SILENT = "not answering"
    DEAD = "died"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Program:
    """A program to keep running.

    `ready` says whether it is doing its work yet; `after` names the programs that must be ready, or done, before it
    starts. One that runs `once` is not started again, however it ends, and each line that it prints is passed on.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], Awaitable[bool]] | None = None
    after: Sequence[str] = ()
    once: bool = False


@dataclass
class Running:
    """A program's present state, for display."""

    program: Program
    state: ProgramState = ProgramState.WAITING
    process: asyncio.subprocess.Process | None = None
    deaths: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Runs programs in sessions of their own, with these environment variables in addition to this process's.

    `logs` is the folder of `NAME.log`; `tell` gets a sentence about everything that happens. `held` are file
    descriptors that the guard keeps open until nothing is left running.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        logs: Path,
        environment: Mapping[str, str],
        tell: Callable[[str], None],
        held: Sequence[int] = (),
        waits: Waits = WAITS,
    ) -> None:
        self.running = {program.name: Running(program) for program in programs}
        self._logs = logs
        self._environment = {**os.environ, **environment}
        self._tell = tell
        self._held = held
        self._waits = waits
        self._groups: set[int] = set()
        self._guard: subprocess.Popen[str] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Keep everything running until `stop` is set; when this returns, nothing is left."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for name in self.running:
            _rotate(self._log(name))
        self._renew_guard()  # before the first program: a kill meanwhile would leave that alone
        tasks: list[asyncio.Task[object]] = [
            asyncio.create_task(self._keep(running)) for running in self.running.values()
        ]
        tasks += [asyncio.create_task(self._keep_guard()), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(guard.end, self._groups, self._waits.ending)
            self._end_guard()
            for running in self.running.values():
                running.state = ProgramState.STOPPED
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _keep(self, running: Running) -> None:
        """One program's life, from its first start until it is cancelled."""
        program = running.program
        for name in program.after:
            await self.running[name].arrived.wait()
        while True:
            began = time.monotonic()
            code = await self._live(running)
            if program.once:
                if code:
                    self._tell(f"{program.name} ended ({_ending(code)}){self._last_words(program)}")
                running.state = ProgramState.DONE
                running.arrived.set()
                await asyncio.Event().wait()
            if time.monotonic() - began > self._waits.healthy:
                running.deaths = 0
            pauses = self._waits.pauses
            pause = pauses[min(running.deaths, len(pauses) - 1)]
            running.deaths += 1
            running.state = ProgramState.DEAD
            last = self._last_words(program)
            self._tell(f"{program.name} died ({_ending(code)}); it starts again in {pause:.0f} s{last}")
            await asyncio.sleep(pause)

    async def _live(self, running: Running) -> int:
        """Start a program, watch it until its process ends, and end what is left of its group."""
        program = running.program
        running.state = ProgramState.STARTING
        with self._log(program.name).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if program.once else log,
                stderr=log if program.once else subprocess.STDOUT,
                env=self._environment,
                cwd=self._logs,  # it has no modules: Dagster's and MLflow's children look in the current folder
                start_new_session=True,
            )
        running.process = process
        self._groups.add(process.pid)
        self._tell_guard(f"+{process.pid}")
        watching = asyncio.create_task(self._relay(process) if program.once else self._watch(running))
        try:
            code = await process.wait()
            if program.once:
                await watching
        finally:
            watching.cancel()
        # What it started dies with it: two generations of one program would do the same work twice.
        guard.send([process.pid], signal.SIGKILL)
        self._groups.discard(process.pid)
        self._tell_guard(f"-{process.pid}")
        return code

    async def _watch(self, running: Running) -> None:
        """Ask again and again whether the program is doing its work."""
        answered = time.monotonic()
        while True:
            if running.program.ready is None or await running.program.ready():
                if running.state is ProgramState.STARTING:
                    self._tell(f"{running.program.name} is up")
                running.state = ProgramState.UP
                running.arrived.set()
                answered = time.monotonic()
            elif running.state is not ProgramState.STARTING:
                running.state = ProgramState.SILENT
                if time.monotonic() - answered > self._waits.silence and running.process is not None:
                    self._tell(f"{running.program.name} has not answered for {self._waits.silence:.0f} s and is killed")
                    guard.send([running.process.pid], signal.SIGKILL)
            await asyncio.sleep(2.0 if running.state is ProgramState.UP else 0.25)

    async def _relay(self, process: asyncio.subprocess.Process) -> None:
        """Pass on what a program prints, line by line."""
        assert process.stdout is not None
        async for line in _lines(process.stdout):
            if text := _told(line):
                self._tell(text)

    async def _keep_guard(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            self._renew_guard()

    def _renew_guard(self) -> None:
        """Start a guard where there is none, or where something has ended it."""
        if self._guard is not None and self._guard.poll() is None:
            return
        self._end_guard()  # one that died leaves its pipe
        self._guard = subprocess.Popen(
            [sys.executable, "-P", "-m", guard.__name__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=self._held,
        )
        for group in self._groups:
            self._tell_guard(f"+{group}")

    def _tell_guard(self, line: str) -> None:
        assert self._guard is not None and self._guard.stdin is not None
        with suppress(BrokenPipeError):
            self._guard.stdin.write(line + "\n")
            self._guard.stdin.flush()

    def _end_guard(self) -> None:
        if self._guard is None:
            return
        for group in self._groups:
            self._tell_guard(f"-{group}")
        assert self._guard.stdin is not None
        with suppress(BrokenPipeError):
            self._guard.stdin.close()
        self._guard.wait()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _last_words(self, program: Program, lines: int = 5) -> str:
        """The end of a program's log, indented, or nothing."""
        with self._log(program.name).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 20_000))
            last = log.read().splitlines()[-lines:]
        return "".join(f"\n    {_told(line)}" for line in last)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A stream's lines. Of a longer one than can be told only the beginning is kept, since it may never end."""
    line, most = b"", 4 * LONGEST + 1  # of UTF-8's bytes
    while chunk := await stream.read(1 << 16):
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            yield line + end
            line = b""
        line = (line + rest)[:most]
    yield line


def _told(line: bytes) -> str:
    """A line for a terminal: cut to a length, and without characters that would steer the terminal."""
    text = line.decode(errors="replace").rstrip()
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}... (cut)"
    return "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in cut)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _rotate(log: Path) -> None:
    """Move `NAME.log` to `NAME.log.1`, that one to `.2`, and so on."""
    for number in range(KEPT_LOGS, 0, -1):
        older = log.with_name(f"{log.name}.{number - 1}") if number > 1 else log
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))
