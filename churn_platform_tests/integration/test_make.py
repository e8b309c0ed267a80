"""Make: its targets run all tests, in halves and for coverage, and a set-up that was cut short is made anew."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from churn_platform_tests.terminal import Terminal

ROOT = Path(__file__).parents[2]


def run_by(target: str) -> set[Path]:
    """The files of tests that a target runs."""
    said = subprocess.run(["make", "--dry-run", target], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    _, *words = shlex.split(next(line for line in said.splitlines() if "/pytest " in line))
    ignored = [ROOT / after for word, after in pairwise(words) if word == "--ignore"]
    named = [ROOT / word for word in words if (ROOT / word).exists() and ROOT / word not in ignored]
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    places = named or [ROOT / place for place in options["testpaths"]]
    files = {path for place in places for path in place.rglob("test_*.py")}
    return {path for path in files if not any(path.is_relative_to(place) for place in ignored)}


def test_the_two_halves_are_all_of_the_tests() -> None:
    unit, others = run_by("test-unit"), run_by("test-integration")
    assert unit
    assert others
    assert not unit & others
    assert unit | others == run_by("test") == run_by("coverage")


PYTHON = """#!/bin/sh
# Stands for Python: notes what it is asked for, and makes an environment whose pip makes uv.
echo "$*" >> calls
case "$*" in
    "-m venv --clear .venv") rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/has_pip ;;
    "-m pip "*) test -e .venv/has_pip && cp uv .venv/bin/uv ;;
esac
"""
UV = """#!/bin/sh
# Stands for uv: stops what it does once, where it is told to.
if test -e interrupt; then rm interrupt; kill -INT $PPID; sleep 5; fi
"""
MADE = "-m venv --clear .venv"
INSTALL = ["make", "PYTHON=./python", ".venv/.installed"]
STEPS = ("making .venv", "fetching uv", "installing the packages of requirements-dev.lock", "installing the platform")


class SetUp:
    """A checkout as far as setting it up needs one."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.said = folder, ""
        for name in ("Makefile", "pyproject.toml", "requirements-dev.lock"):
            (folder / name).write_bytes((ROOT / name).read_bytes())
        for name, text in (("python", PYTHON), ("uv", UV)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def make(self) -> tuple[int, list[str]]:
        """Set up; the exit code, and what Python was asked for."""
        calls = self._folder / "calls"
        calls.write_text("")
        done = subprocess.run(INSTALL, cwd=self._folder, capture_output=True, text=True, check=False)
        self.said = done.stderr
        return done.returncode, [call for call in calls.read_text().splitlines() if call.startswith("-m ")]

    def leave_one_without_pip(self) -> None:
        (self._folder / ".venv" / "bin").mkdir(parents=True)
        shutil.copy(self._folder / "python", self._folder / ".venv" / "bin" / "python")

    def interrupt(self) -> None:
        (self._folder / "interrupt").touch()

    def change_the_lock(self) -> None:
        stamp = (self._folder / ".venv" / ".installed").stat().st_mtime
        os.utime(self._folder / "requirements-dev.lock", (stamp + 5, stamp + 5))


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    checkout = SetUp(tmp_path)
    code, calls = checkout.make()
    assert (code, calls[0]) == (0, MADE)
    assert checkout.make() == (0, [])
    checkout.change_the_lock()
    code, calls = checkout.make()
    assert code == 0
    assert calls and MADE not in calls


def test_each_step_is_a_line_in_a_pipe(tmp_path: Path) -> None:
    checkout = SetUp(tmp_path)
    checkout.make()
    assert [re.sub(r"\d+ s$", "N s", line) for line in checkout.said.splitlines()] == [
        f"setting up: step {number} of 4, {step}, N s" for number, step in enumerate(STEPS, start=1)
    ]


def test_at_a_terminal_the_seconds_of_a_step_are_counted(tmp_path: Path) -> None:
    SetUp(tmp_path)
    with (tmp_path / "uv").open("a") as uv:
        uv.write('case "$*" in "pip sync "*) sleep 2.5 ;; esac\n')
    terminal = Terminal(["make", "-C", str(tmp_path), *INSTALL[1:]], {})
    assert terminal.end() == 0
    seen = "\n".join(line for _, lines in terminal.frames for line in lines)
    assert {f"setting up: step 3 of 4, {STEPS[2]}, {seconds} s" for seconds in range(3)} <= set(seen.splitlines())
    told = [line.rstrip() for line in terminal.screen.lines if "setting up" in line]
    assert [re.sub(r"\d+ s$", "N s", line) for line in told] == [
        f"setting up: step {number} of 4, {step}, N s" for number, step in enumerate(STEPS, start=1)
    ]


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 9, 2)])
def test_a_python_that_is_too_old_is_told_in_one_sentence(version: tuple[int, int, int], tmp_path: Path) -> None:
    checkout = SetUp(tmp_path)
    old = f"import sys; sys.version_info = {(*version, 'final', 0)}; exec(sys.argv[1])"
    (tmp_path / "python").write_text(f'#!/bin/sh\nshift\nexec {shlex.quote(sys.executable)} -c "{old}" "$*"\n')
    code, calls = checkout.make()
    assert (code, calls) == (2, [])
    told = "Error: Python 3.11 or newer is needed, and ./python is {}.{}.{}: name another one, ".format(*version)
    assert checkout.said.splitlines()[0] == f"{told}such as make run PYTHON=python3.12"
    assert not (tmp_path / ".venv").exists()


def test_an_environment_that_ctrl_c_left_without_pip_is_made_anew(tmp_path: Path) -> None:
    checkout = SetUp(tmp_path)
    checkout.leave_one_without_pip()
    code, calls = checkout.make()
    assert (code, calls[0]) == (0, MADE)


@pytest.mark.parametrize("before", ["nothing", "an older one"])
def test_an_environment_whose_packages_ctrl_c_cut_short_is_made_anew(before: str, tmp_path: Path) -> None:
    checkout = SetUp(tmp_path)
    if before == "an older one":
        checkout.make()
        checkout.change_the_lock()
    checkout.interrupt()
    code, _ = checkout.make()
    assert code != 0
    code, calls = checkout.make()
    assert (code, calls[0]) == (0, MADE)
    assert checkout.make() == (0, [])
