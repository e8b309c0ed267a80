"""Make's targets that run tests: the two halves are all of them, and coverage measures all of them."""

from __future__ import annotations

import shlex
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

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
