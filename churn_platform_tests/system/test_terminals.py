"""The command line at a terminal: what a person sees while it works, and that nothing is cut."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from churn_platform_tests.conftest import Platform
from churn_platform_tests.terminal import Terminal

CHURN = (sys.executable, "-m", "churn_platform")


# As Dagster does: while a step runs, its log has the numbers of stdout and stderr.
IN_A_STEP = """
import os, time
from churn_platform.progress import Progress, Step
progress = Progress()
with progress.of("closing 2024-01"):
    progress.step(Step("closing 2024-01", 3, 21, "building the features"))
    log = os.open(os.devnull, os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    time.sleep(1.3)
"""


@pytest.mark.parametrize("columns", [80, 30])
def test_on_a_terminal_the_line_moves_in_a_step_and_is_gone_afterwards(columns: int) -> None:
    terminal = Terminal([sys.executable, "-c", IN_A_STEP], {}, columns)
    assert terminal.end() == 0
    drawn = [[line[2:] for line in lines] for _, lines in terminal.frames]  # without the spinner
    seen = {" ".join(" ".join(lines).split()) for lines in drawn}
    assert {f"closing 2024-01: step 3 of 21, building the features, {seconds} s" for seconds in (0, 1)} <= seen
    whole = {"s", *re.findall("[a-z]+", IN_A_STEP)}
    assert {word for lines in drawn for line in lines for word in re.findall("[a-z]+", line)} <= whole  # none is cut
    assert len({tuple(lines) for _, lines in terminal.frames}) > 6
    assert not any(terminal.screen.lines)


@pytest.mark.parametrize("columns", [80, 30])
def test_a_sentence_is_wrapped_between_words(columns: int) -> None:
    sentence = "    version 2 is not promoted: 0.8339 <= 0.8339 + 0.01: version 1 stays (95 % interval -0.01 to 0.01)"
    code = f"from churn_platform.saying import say; say({sentence!r})"
    terminal = Terminal([sys.executable, "-c", code], {}, columns)
    assert terminal.end() == 0
    assert max(map(len, terminal.screen.lines)) <= columns
    assert " ".join(" ".join(terminal.screen.lines).split()) == sentence.strip()
    assert terminal.screen.lines[1].startswith("        ")
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert piped.stdout == f"{sentence}\n"


def environment(platform: Platform) -> dict[str, str]:
    return {"CHURN_HOME": str(platform.settings.home), "CHURN_DROPS": str(platform.settings.drops)}


def test_closing_shows_its_steps_all_the_time_and_stdout_is_data(begun: Platform, tmp_path: Path) -> None:
    platform = begun.copy(tmp_path)
    with (tmp_path / "stdout").open("w+") as stdout:
        terminal = Terminal([*CHURN, "close", "2024-02"], environment(platform), stdout=stdout.fileno())
        assert terminal.end() == 0
        stdout.seek(0)
        assert re.fullmatch(r"2024-02 closed: \d+ active customers, labels landed\n", stdout.read())
    shown = " ".join(" ".join(lines) for _, lines in terminal.frames)
    steps = re.findall(r"closing 2024-02: step (\d+) of (\d+), ([\w ]+), \d+ s", shown)
    assert ("1", "13", "judging the drop and taking it in") in steps
    assert ("8", "13", "building the features") in steps
    assert not any(terminal.screen.lines)  # nothing is left of it
    times = [at for at, _ in terminal.frames]
    assert max(after - before for before, after in pairwise(times)) < 8  # it stood still for as long as a step took


def test_in_a_pipe_each_step_is_a_plain_line_of_stderr(begun: Platform, tmp_path: Path) -> None:
    platform = begun.copy(tmp_path)
    result = platform.churn("close", "2024-02")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    lines = result.stderr.splitlines()
    assert re.fullmatch(r"closing 2024-02: step 1 of 13, judging the drop and taking it in, \d+\.\d s", lines[0])
    assert len(lines) >= 10
    assert all(re.fullmatch(r"closing 2024-02: step \d+ of 13, [\w ]+, \d+\.\d s", line) for line in lines)
