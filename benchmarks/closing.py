"""How long closing a month takes, and where the time goes: `make bench`.

Prints one JSON object: a warm close with and without Great Expectations, `churn close --all` from process start, and
what loading the definitions costs compared with importing Dagster. Runs on CHURN_DROPS, by default the shipped seeds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from churn_platform.intake import expectations
from churn_platform.local.runs import Runs
from churn_platform.settings import Settings

ROUNDS = 5


@contextmanager
def _timed(owner: object, name: str, spent: list[float]) -> Iterator[None]:
    """Add up the time that calls of a function take."""
    original: Callable[..., object] = getattr(owner, name)

    def timed(*args: object, **kwargs: object) -> object:
        began = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            spent[0] += time.perf_counter() - began

    setattr(owner, name, timed)
    try:
        yield
    finally:
        setattr(owner, name, original)


def warm_close(settings: Settings) -> dict[str, float]:
    """The median seconds of closing the newest delivered month again in one process."""
    runs = Runs(settings)
    month = runs.delivered()[-1]
    list(runs.close_all())
    totals, beyond = [], []
    for _ in range(ROUNDS):
        spent = [0.0]
        began = time.perf_counter()
        with _timed(expectations, "evaluate_suite", spent), _timed(expectations.Judgement, "write_page", spent):
            list(runs.close(month))
        totals.append(time.perf_counter() - began)
        beyond.append(totals[-1] - spent[0])
    return {"seconds": statistics.median(totals), "seconds_beyond_great_expectations": statistics.median(beyond)}


def cold_close_all(home: Path) -> float:
    """The seconds of `churn close --all` on an empty home, process start included."""
    began = time.perf_counter()
    subprocess.run(
        [Path(sys.executable).with_name("churn"), "close", "--all"],
        env={**os.environ, "CHURN_HOME": str(home)},
        check=True,
    )
    return time.perf_counter() - began


def loading() -> dict[str, float]:
    """The median seconds of importing Dagster and of loading the definitions, each in a fresh process."""

    def seconds(statement: str) -> float:
        timer = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        runs = [
            subprocess.run([sys.executable, "-c", timer], capture_output=True, text=True, check=True)
            for _ in range(ROUNDS)
        ]
        return statistics.median(float(run.stdout) for run in runs)

    dagster, definitions = seconds("import dagster"), seconds("import churn_platform.definitions")
    return {"import_dagster": dagster, "load_definitions": definitions, "ratio": definitions / dagster}


def main() -> None:
    """Measure everything in temporary homes."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "loading": loading(),
            "close_all_from_process_start_seconds": cold_close_all(Path(folder) / "cold"),
            "warm_close": warm_close(Settings(home=Path(folder) / "warm")),
        }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
