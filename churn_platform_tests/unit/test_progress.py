"""Progress where it is no terminal: plain lines. `system/test_terminals` has the rest."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr

import pytest

from churn_platform.progress import Progress, Step

STEPS = (Step("closing 2024-01", 1, 2, "judging the drop"), Step("closing 2024-01", 2, 2, "building the features"))


def told(*, by_task: bool, fails: bool = False) -> list[str]:
    file = io.StringIO()
    progress = Progress(by_task=by_task)

    def work() -> None:
        with progress.of("closing 2024-01"):
            for step in STEPS:
                progress.step(step)
            if fails:
                raise ValueError

    with redirect_stderr(file):
        if fails:
            with pytest.raises(ValueError):
                work()
        else:
            work()
    return [re.sub(r"\d+\.\d s$", "N s", line) for line in file.getvalue().splitlines()]


def test_elsewhere_each_step_is_a_line_once_it_is_done() -> None:
    first, second = (f"{step}, N s" for step in STEPS)
    assert first == "closing 2024-01: step 1 of 2, judging the drop, N s"
    assert told(by_task=False) == [first, second]
    assert told(by_task=False, fails=True) == [first]


class Nobody(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stderr", [Nobody(), None], ids=["a pipe without a reader", "closed"])
def test_the_work_goes_on_where_nobody_can_be_told(stderr: io.StringIO | None) -> None:
    progress, done = Progress(), []
    with redirect_stderr(stderr), progress.of("closing 2024-01"):
        for step in STEPS:
            progress.step(step)
        done.append("all")
    assert done


def test_elsewhere_each_task_is_a_line_where_there_are_many() -> None:
    assert told(by_task=True) == ["closing 2024-01, N s"]
    assert told(by_task=True, fails=True) == []
