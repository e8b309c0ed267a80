"""The simulation's command: both ways of calling it write what is asked for, and say what they cannot do."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from churn_platform.cli import main as churn
from churn_platform.months import Month
from churn_platform.simulation.drops import simulate, write_drop
from churn_platform.simulation.hazard import Shock, ShockKind
from churn_platform_tests import foreign, homes
from churn_platform_tests.streamflow import BY_NAME

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=["churn simulate", "python -m churn_platform.simulation"])
def command(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs the command in one of the ways; returns the exit code and what it wrote to stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            if request.param == "churn simulate":
                churn(["simulate", *arguments])
            monkeypatch.setattr(sys, "argv", ["simulation", *arguments])
            monkeypatch.delitem(sys.modules, "churn_platform.simulation.__main__", raising=False)  # as in a new process
            runpy.run_module("churn_platform.simulation", run_name="__main__")
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_the_command_writes_months_and_says_so(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Month(2025, 1)
    monkeypatch.setenv("CHURN_FIRST_MONTH", str(first))
    shocks = [Shock(first, ShockKind.NEW_PLAN), Shock(first + 3, ShockKind.PRICE_RISE)]
    expected = list(simulate(4, 200, 4, shocks, first))
    company = ["--out", str(tmp_path / "drops"), "--customers", "200", "--seed", "4", "--shock", "2025-01:new_plan"]
    told = [command(*company, "--months", "2"), command(*company, "--next")]
    told.append(command(*company, "--next", "--shock", "price_rise"))
    assert [code for code, *_ in told] == [0, 0, 0]
    assert [[line.rpartition(",")[0] for line in err.splitlines()] for *_, err in told] == [
        ["writing month 1 of 2", "writing month 2 of 2"], ["writing month 1 of 1"], ["writing month 1 of 1"]
    ]  # fmt: skip
    lines = [json.loads(line) for _, out, _ in told for line in out.splitlines()]
    assert lines == [month.summary() for month in expected]
    assert (lines[3]["month"], lines[3]["folder"], lines[3]["rows"].keys()) == ("2025-04", "month_003", BY_NAME.keys())
    for month in expected:
        write_drop(month, tmp_path / "expected")
    assert homes.contents(tmp_path / "drops", "**/*.csv") == homes.contents(tmp_path / "expected", "**/*.csv")


def test_labels_are_written_once_they_are_known(command: Command, tmp_path: Path) -> None:
    company = ["--out", str(tmp_path), "--customers", "50", "--seed", "3"]
    code, out, _ = command(*company, "--months", "2", "--known-by", "2024-03-01")  # 30 days after January's end
    rows = [json.loads(line)["rows"] for line in out.splitlines()]
    assert (code, ["labels" in month for month in rows]) == (0, [True, False])
    assert not (tmp_path / "month_001/labels.csv").exists()

    code, out, _ = command(*company, "--next", "--known-by", "2024-03-29")  # a day before February's are known
    assert (code, [json.loads(line)["month"] for line in out.splitlines()]) == (0, ["2024-03"])
    code, out, _ = command(*company, "--next", "--known-by", "2024-03-30")
    told = [json.loads(line) for line in out.splitlines()]
    assert (code, told[0]["month"], [month["month"] for month in told]) == (0, "2024-02", ["2024-02", "2024-04"])
    (expected,) = [month for month in simulate(2, 50, 3) if month.index == 1]
    write_drop(expected, tmp_path / "expected")
    assert homes.contents(tmp_path / "month_001", "*.csv") == homes.contents(tmp_path / "expected/month_001", "*.csv")


@pytest.mark.parametrize("name", ["labels.csv.gz", "labels.parquet"])
def test_labels_that_are_there_in_another_format_are_not_written_again(
    name: str, command: Command, tmp_path: Path
) -> None:
    company = ["--out", str(tmp_path), "--customers", "50", "--seed", "3"]
    command(*company, "--known-by", "2024-02-01")  # before January's are known
    (tmp_path / "month_000" / name).write_bytes(b"some")
    code, out, _ = command(*company, "--next")
    assert (code, [json.loads(line)["month"] for line in out.splitlines()]) == (0, ["2024-02"])
    assert not (tmp_path / "month_000" / "labels.csv").exists()


def test_no_labels_are_put_into_another_companys_drop(command: Command, tmp_path: Path) -> None:
    company = ["--out", str(tmp_path), "--customers", "50"]
    command(*company, "--seed", "3", "--known-by", "2024-02-01")
    code, out, _ = command(*company, "--seed", "4", "--next")
    assert (code, len(out.splitlines())) == (0, 1)
    assert not (tmp_path / "month_000/labels.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--shock", "2024-03:war"], 1, "'2024-03:war' is not a shock: write it as YYYY-MM:kind"),
        (["--shock", "price_rise"], 1, "'price_rise' is not a shock: write it as YYYY-MM:kind"),
        (["--next", "--shock", ":price_rise"], 1, "':price_rise' is not a shock: write it as YYYY-MM:kind"),
        (["--customers", "0"], 2, "0 is not in the range x>=1"),
        (["--months", "0"], 2, "0 is not in the range x>=1"),
        (["--seed", "-1"], 1, "the seed is -1: it must be 0 or more"),
        (["--months", "1"], 1, "already holds a drop of 2024-01: remove it, or ask for the next month"),
        (["--months", "1", "--next"], 2, "give --months or --next, not both"),
        (["--customers", "many"], 2, "'many' is not a valid integer"),
        ([], 1, "already holds a drop of 2024-01"),
    ],
)
def test_the_command_explains_what_it_refuses(
    command: Command, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "month_000").mkdir()
    ended, out, err = command("--out", str(tmp_path), "--customers", "20", *arguments)
    assert (ended, out) == (code, "")
    assert message in err
    assert err.startswith("Error: " if code == 1 else "Usage: ")
    assert code == 2 or err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["month_000"]


def test_a_wrong_setting_is_told_too(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_FIRST_MONTH", "January")
    code, _, err = command("--out", str(tmp_path))
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("Error: CHURN_FIRST_MONTH: 'January' is not a month")


def test_no_other_company_is_simulated(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "company.toml").write_text(foreign.BANK)
    monkeypatch.setenv("CHURN_COMPANY", str(tmp_path / "company.toml"))
    code, _, errors = command("--out", str(tmp_path / "drops"))
    assert code == 1
    assert "only StreamFlow can be simulated, and CHURN_COMPANY declares Bank" in " ".join(errors.split())
    assert not (tmp_path / "drops").exists()
