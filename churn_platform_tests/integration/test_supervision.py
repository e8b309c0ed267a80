"""Supervision: programs are kept running, and everything that they started ends with them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from churn_platform.local import guard
from churn_platform.local.supervision import LONGEST, Program, ProgramState, Supervisor, Waits

# Starts a child, writes down both process ids, and waits. A deaf child ignores SIGTERM.
PARENT = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else signal.SIG_DFL)  # which a child inherits
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
signal.signal(signal.SIGTERM, signal.SIG_DFL)
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()} {child.pid}\\n")
time.sleep(600)
"""


HURRIED = Waits(pauses=(0.05, 0.1))


def _until(condition: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


async def _eventually(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(_until, condition)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _guards() -> set[int]:
    """The guards that this process has started and that are alive."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z" and int(parent) == os.getpid() and guard.__name__ in (process / "cmdline").read_text():
                found.add(int(process.name))
    return found


def _generations(file: Path) -> list[tuple[int, ...]]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [tuple(map(int, line.split())) for line in lines]


def _has(file: Path, generations: int) -> bool:
    return len(_generations(file)) == generations


def _are_gone(processes: tuple[int, ...]) -> bool:
    return not any(map(_lives, processes))


def _supervise(
    programs: list[Program], folder: Path, script: Callable[[Supervisor], object], waits: Waits = HURRIED
) -> list[str]:
    """Run programs until the script, a coroutine function, has ended; returns what was said."""
    told: list[str] = []

    async def run() -> None:
        supervisor = Supervisor(programs, folder / "logs", {"GREETING": "hello"}, told.append, waits=waits)
        stop = asyncio.Event()
        running = asyncio.create_task(supervisor.run(stop))
        try:
            await script(supervisor)  # type: ignore[misc]
        finally:
            stop.set()
            await running
        assert {one.state for one in supervisor.running.values()} == {ProgramState.STOPPED}

    asyncio.run(run())
    return told


def _parent(folder: Path, *arguments: str) -> Program:
    return Program("parent", (sys.executable, "-c", PARENT, str(folder / "parent"), *arguments))


def test_a_stop_leaves_nothing_not_even_the_deaf(tmp_path: Path) -> None:
    async def script(_: Supervisor) -> None:
        await _eventually(lambda: _generations(tmp_path / "parent"))
        assert all(map(_lives, _generations(tmp_path / "parent")[0]))

    _supervise([_parent(tmp_path, "deaf")], tmp_path, script, Waits(ending=0.3))
    _until(lambda: not any(map(_lives, _generations(tmp_path / "parent")[0])))


def test_what_dies_is_reported_and_starts_again_without_its_leftovers(tmp_path: Path) -> None:
    file = tmp_path / "parent"

    async def script(_: Supervisor) -> None:
        for generation in (1, 2, 3):
            await _eventually(partial(_has, file, generation))
            os.kill(_generations(file)[-1][0], signal.SIGKILL)
        await _eventually(partial(_has, file, 4))
        for before in _generations(file)[:-1]:
            await _eventually(partial(_are_gone, before))

    told = _supervise([_parent(tmp_path)], tmp_path, script)
    assert sum("parent died (SIGKILL)" in text for text in told) == 3


def test_no_program_takes_modules_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its children do, such as Dagster's and MLflow's, which look there."""
    (tmp_path / "started").mkdir()
    monkeypatch.chdir(tmp_path / "started")
    Path("numpy.py").touch()
    found = tmp_path / "found"
    look = f"import pathlib, os; pathlib.Path({str(found)!r}).write_text(os.getcwd())"

    async def script(_: Supervisor) -> None:
        await _eventually(lambda: found.exists() and found.read_text())

    _supervise([Program("one", (sys.executable, "-c", look), once=True)], tmp_path, script)
    assert found.read_text() == str(tmp_path / "logs")


def test_last_words_are_told(tmp_path: Path) -> None:
    failing = Program("failing", (sys.executable, "-c", "print('a bad setting'); raise SystemExit(3)"))

    async def script(supervisor: Supervisor) -> None:
        await _eventually(lambda: supervisor.running["failing"].deaths >= 2)

    told = _supervise([failing], tmp_path, script)
    assert told[1] == "failing died (exit code 3); it starts again in 0 s\n    a bad setting"


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("'A' * 300_000 + '\\n'", "A" * LONGEST + "... (cut)"),
        ("'A' * 5_000_000", "A" * LONGEST + "... (cut)"),  # and no end of the line
        ("'\\u20ac' * 65_537", "\u20ac" * LONGEST + "... (cut)"),
        ("'\\x1b[2Jgone\\r\\tback\\n'", "\N{REPLACEMENT CHARACTER}[2Jgone\N{REPLACEMENT CHARACTER} back"),
    ],
    ids=["long", "endless", "of several bytes a character", "steering"],
)
def test_whatever_a_program_prints_is_told_in_short_and_it_is_done(printed: str, told: str, tmp_path: Path) -> None:
    code = f"import sys; sys.stdout.buffer.write(({printed}).encode() + b'\\nlast\\n')"
    once = Program("once", (sys.executable, "-c", code), once=True)
    last = Program("last", (sys.executable, "-c", "import time; time.sleep(600)"), after=["once"])

    async def script(supervisor: Supervisor) -> None:
        await _eventually(lambda: supervisor.running["last"].state is ProgramState.UP)
        assert supervisor.running["once"].state is ProgramState.DONE

    assert _supervise([once, last], tmp_path, script) == [told, "last", "last is up"]


def test_last_words_are_cut(tmp_path: Path) -> None:
    failing = Program("failing", (sys.executable, "-c", "print('A' * 15_000); raise SystemExit(3)"))

    async def script(supervisor: Supervisor) -> None:
        await _eventually(lambda: supervisor.running["failing"].deaths >= 2)

    assert _supervise([failing], tmp_path, script)[1].endswith("\n    " + "A" * LONGEST + "... (cut)")


def test_a_program_that_runs_once_and_fails_is_told(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write('Error: a bad setting\\n'); sys.exit(1)"

    async def script(supervisor: Supervisor) -> None:
        await _eventually(lambda: supervisor.running["once"].state is ProgramState.DONE)

    told = _supervise([Program("once", (sys.executable, "-c", code), once=True)], tmp_path, script)
    assert told == ["once ended (exit code 1)\n    Error: a bad setting"]


def test_programs_wait_for_what_they_need(tmp_path: Path) -> None:
    ready = asyncio.Event()

    async def is_ready() -> bool:
        return ready.is_set()

    first = Program("first", (sys.executable, "-c", "import time; time.sleep(600)"), is_ready)
    once = Program(
        "once", (sys.executable, "-c", "import os; print(os.environ['GREETING'])"), after=["first"], once=True
    )
    last = Program("last", (sys.executable, "-c", "import time; time.sleep(600)"), after=["once"])

    async def script(supervisor: Supervisor) -> None:
        running = supervisor.running
        await _eventually(lambda: running["first"].state is ProgramState.STARTING)
        await asyncio.sleep(0.3)
        assert {running["once"].state, running["last"].state} == {ProgramState.WAITING}
        ready.set()
        await _eventually(lambda: running["last"].state is ProgramState.UP)
        assert running["once"].state is ProgramState.DONE
        ready.clear()
        await _eventually(lambda: running["first"].state is ProgramState.SILENT)

    assert _supervise([first, once, last], tmp_path, script) == ["first is up", "hello", "last is up"]


def test_what_falls_silent_is_started_again(tmp_path: Path) -> None:
    answers = iter([True, *[False] * 4])

    async def is_ready() -> bool:
        return next(answers, True)

    async def script(supervisor: Supervisor) -> None:
        await _eventually(lambda: supervisor.running["hung"].deaths == 1)
        await _eventually(lambda: supervisor.running["hung"].state is ProgramState.UP)

    hung = Program("hung", (sys.executable, "-c", "import time; time.sleep(600)"), is_ready)
    told = _supervise([hung], tmp_path, script, replace(HURRIED, silence=0.2))
    assert "hung has not answered for 0 s and is killed" in told


def test_logs_are_kept_for_some_starts(tmp_path: Path) -> None:
    for start in range(5):

        async def script(supervisor: Supervisor, start: int = start) -> None:
            log = tmp_path / "logs" / "talker.log"
            await _eventually(lambda: supervisor.running["talker"].process)  # by then the old log has been moved
            await _eventually(lambda: f"start {start}" in log.read_text())

        code = f"import time; print('start {start}', flush=True); time.sleep(600)"
        _supervise([Program("talker", (sys.executable, "-c", code))], tmp_path, script)
    texts = {log.name: log.read_text().strip() for log in (tmp_path / "logs").iterdir()}
    assert texts == {
        "talker.log": "start 4",
        "talker.log.1": "start 3",
        "talker.log.2": "start 2",
        "talker.log.3": "start 1",
    }


def test_the_guard_ends_what_a_killed_supervisor_leaves(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
from typing import Any
from churn_platform.local.supervision import Program, Supervisor
programs = [Program("parent", (sys.executable, "-c", {PARENT!r}, {str(tmp_path / "parent")!r}))]
asyncio.run(Supervisor(programs, Path({str(tmp_path)!r}) / "logs", {{}}, print).run(asyncio.Event()))
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code])
    _until(lambda: _generations(tmp_path / "parent"))
    left = _generations(tmp_path / "parent")[0]
    supervisor.kill()
    supervisor.wait()
    _until(lambda: not any(map(_lives, left)))


def test_the_guard_is_there_before_the_first_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, guarded = asyncio.create_subprocess_exec, []

    async def starting(*command: Any, **named: Any) -> asyncio.subprocess.Process:
        guarded.append(len(_guards()))
        return await start(*command, **named)

    async def script(_: Supervisor) -> None:
        await _eventually(lambda: _generations(tmp_path / "parent"))

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starting)
    _supervise([_parent(tmp_path)], tmp_path, script)
    assert guarded == [1]


def test_a_guard_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async def script(_: Supervisor) -> None:
        await _eventually(lambda: _generations(tmp_path / "parent") and _guards())
        (before,) = _guards()
        os.kill(before, signal.SIGKILL)
        await _eventually(lambda: _guards() - {before})

    _supervise([_parent(tmp_path)], tmp_path, script)
