"""`churn up` as a newcomer has it; then the death of each of its processes while months are closed; then its end.

The tests of this file share one platform and run in order.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from churn_platform.automation.launcher import PROCESS_TAG
from churn_platform.home import Home
from churn_platform.months import Month
from churn_platform_tests import homes, processes
from churn_platform_tests.running import PATIENCE, Up, kill

FIRST_START = 2
"""How many months there are at the start."""
MONTHS = 9
SETTINGS = {
    "CHURN_SETTLE_SECONDS": "0",
    "CHURN_SENSOR_SECONDS": "1",
    "CHURN_RETRAIN_COOLDOWN_MONTHS": "99",  # which champion scores a month must not depend on who was killed when
}


class Company:
    """A platform that is up, and its company, which delivers one month after another."""

    def __init__(self, up: Up, drops: Path) -> None:
        self.up = up
        self.month = Month(2023, 12)
        self._drops = drops
        for _ in range(FIRST_START):
            self.deliver()

    def deliver(self) -> None:
        """Deliver the next month, all its files at once."""
        self.month += 1
        name = f"month_{self.month.since(homes.MONTHS[0]):03d}"
        (self._drops / name).rename(self.up.drops / name)

    def runs(self, month: Month) -> list[dict[str, Any]]:
        """The runs that have closed a month or tried to, newest first."""
        return [run for run in self.up.runs(str(month)) if run["jobName"] == "month_close"]

    def under_way(self) -> tuple[Month, int]:
        """The month that was delivered last, once it is being closed, and the process that closes it."""
        started = self.up.until(lambda: [run["id"] for run in self.runs(self.month) if run["status"] == "STARTED"])
        return self.month, self.up.until(lambda: self.up.process_of(started[0]))

    def closes(self, month: Month) -> list[str]:
        """How the runs of a month ended, newest first, once it is closed."""
        self.up.until(lambda: [run for run in self.runs(month) if run["status"] == "SUCCESS"])
        return [run["status"] for run in self.runs(month)]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("up")
    homes.deliver(folder / "later", months=MONTHS, customers=homes.CUSTOMERS)
    (folder / "drops").mkdir()
    up = Up(folder, **SETTINGS)
    company = Company(up, folder / "later")
    with up.started():
        yield company


class Undisturbed:
    """The same company's platform, whose processes nobody kills; it closes its months while others do."""

    def __init__(self, folder: Path) -> None:
        settings = homes.settings_of(folder)
        homes.deliver(settings.drops, months=MONTHS, customers=homes.CUSTOMERS)
        self._lake = settings.lake
        self._process = multiprocessing.get_context("spawn").Process(
            target=processes.live, args=(settings, FIRST_START)
        )
        self._process.start()

    def tables(self, last: Month) -> dict[str, str]:
        """The content of its tables up to a month."""
        self._process.join(PATIENCE)
        assert self._process.exitcode == 0
        return tables(self._lake, last)


def tables(lake: Path, last: Month) -> dict[str, str]:
    """The content of a lake's tables up to a month."""
    found = homes.contents(lake, "**/20??-??.parquet")
    return {name: digest for name, digest in found.items() if Path(name).stem <= str(last)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


def test_a_newcomers_day(company: Company) -> None:
    up = company.up
    up.until(lambda: "dagster-daemon is up" in up.said)
    assert "stopped: " not in up.said, up.said
    up.until(up.is_whole)
    for said in ("2024-01 closed", "2024-02 closed", "version 1 is promoted", "version 2 is", f"API: {up.serving}"):
        assert said in up.said
    origins = [run["repositoryOrigin"] for run in up.runs()]  # by which the UI's timeline shows runs
    assert origins == [{"repositoryLocationName": "churn_platform"}] * len(origins)
    customer = homes.rows_of(up.drops / "month_001" / "users.csv")[1][0]
    answer = httpx.post(f"{up.serving}/predict", json={"user_id": customer}, trust_env=False).json()
    assert 0 <= answer["probability"] <= 1
    assert answer["as_of"] == "2024-02-29"
    home = Home(homes.settings_of(up.home.parent))
    up.until(lambda: not homes.scores_are_stale(home, company.month))
    company.deliver()


@pytest.mark.usefixtures("undisturbed")  # which starts now
def test_a_month_closes_while_others_die(company: Company) -> None:
    up = company.up
    month, _ = company.under_way()
    company.deliver()  # the definitions are loaded again, which must not disturb the run either
    for words in ("-m serving", "mlflow server", "automation.webserver", "dagster._daemon"):
        killed = up.process_with(words)
        kill(killed)
        up.until(lambda words=words, killed=killed: up.process_with(words) != killed and up.is_whole())  # type: ignore[misc]
    assert company.closes(month) == ["SUCCESS"]


@pytest.mark.parametrize("words", ["the run", "dagster code-server", "dagster api grpc"])
def test_a_month_closes_though_its_process_dies(words: str, company: Company) -> None:
    up = company.up
    month, run = company.under_way()
    kill(run if words == "the run" else up.process_with(words))
    company.deliver()
    endings = company.closes(month)
    assert endings == (["SUCCESS"] if words == "dagster api grpc" else ["SUCCESS", "FAILURE"])
    up.until(up.is_whole)


def test_a_month_closes_though_everything_dies(company: Company) -> None:
    up = company.up
    month, _ = company.under_way()
    up.process.kill()
    up.process.wait()
    until = time.monotonic() + 30
    while left := up.commands():
        assert time.monotonic() < until, left
        time.sleep(0.1)
    company.deliver()
    up.start()
    up.until(up.is_whole)
    assert company.closes(month) == ["SUCCESS", "FAILURE"]
    assert up.said.count("2024-01 closed") == 1


@pytest.mark.parametrize("job", ["retrain", "promote"])
def test_a_decision_is_made_though_its_process_dies(job: str, company: Company) -> None:
    up = company.up
    home = Home(homes.settings_of(up.home.parent))
    champion = home.registry.champion()
    run = up.launch(job, "2024-02")
    kill(up.until(lambda: up.process_of(run)))
    up.until(lambda: up.was_retried(run))
    assert home.ledger.faults() == []
    assert home.registry.champion() == champion  # version 3 is a twin of version 2, and does not win
    if job == "retrain":
        up.until(lambda: home.registry.version(3))
    else:
        assert [receipt.verdict for receipt in home.ledger.all() if receipt.version == 3] == ["kept"]


def test_the_tables_are_those_of_an_undisturbed_platform(company: Company, undisturbed: Undisturbed) -> None:
    company.closes(company.month)
    assert tables(company.up.home / "lake", company.month) == undisturbed.tables(company.month)


@pytest.mark.parametrize("ended", ["nothing", "the command", "the run", "Ctrl-C"])
def test_a_command_goes_through_the_platform(ended: str, company: Company) -> None:
    """Its run outlives it, and is run again where its own process dies; Ctrl-C still ends it."""
    up, month = company.up, Month(2024, 2)
    before = len(company.runs(month))
    with up.beside("close", str(month)) as command:
        run = up.until(lambda: [r for r in company.runs(month)[:-before] if r["status"] == "STARTED"])[0]
        if ended == "the command":
            command.kill()
        elif ended == "the run":
            kill(up.until(lambda: up.process_of(run["id"])))
        elif ended == "Ctrl-C":
            command.send_signal(signal.SIGINT)
        told, _ = command.communicate(timeout=PATIENCE)
    expected = {"the run": ["SUCCESS", "FAILURE"], "Ctrl-C": ["CANCELED"]}.get(ended, ["SUCCESS"])
    up.until(lambda: [r["status"] for r in company.runs(month)[:-before]] == expected)
    tags = {tag["key"] for tag in run["tags"]}
    assert "churn/by" in tags and PROCESS_TAG not in tags
    assert (command.returncode == 0) == (ended in ("nothing", "the run")), told
    assert (f"{month} closed" in told) == (command.returncode == 0)


def test_a_stop_leaves_nothing(company: Company) -> None:
    up = company.up
    company.deliver()
    company.under_way()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(30) == 0
    assert up.commands() == {}
