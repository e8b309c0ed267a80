"""The command line, end to end on a small company: what it does, prints, and says when it cannot."""

from __future__ import annotations

import json
import re
import shutil
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from churn_platform.backup.restoring import Move
from churn_platform.champion.registry import CHAMPION, MODEL
from churn_platform.cli import main
from churn_platform.tables.names import EVALUATION
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.streamflow import SNAPSHOTS, TABLES


def refused(result: Result, shown: int = 0) -> str:
    """The one sentence of a refusal, which comes after so many lines of what could be shown."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception  # no traceback
    assert result.stdout.count("\n") == shown, result.stdout
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr.removeprefix("Error: ").strip()


@pytest.fixture
def new(closed: Platform, tmp_path: Path) -> Platform:
    """A drop of 60 customers, nothing closed, and an MLflow store without versions."""
    homes.deliver(tmp_path / "drops")
    shutil.copytree(closed.settings.mlflow_home, tmp_path / "home" / "mlflow")
    Move(closed.settings.home, tmp_path / "home").store(tmp_path / "home" / "mlflow")
    return Platform(homes.settings_of(tmp_path))


# From drops to a champion


def test_close_all(closed: Platform) -> None:
    lines = closed.said
    assert [re.sub(r"\d+ active", "N active", line) for line in lines] == [
        f"{month} closed: N active customers, labels landed" for month in homes.MONTHS
    ]
    assert lines[0].startswith("2024-01 closed: 500 active customers")


def test_retrain(trained: Platform) -> None:
    first, second, same, third = trained.said
    assert re.fullmatch(r"version 1 is promoted: its AUC is 0\.\d{4}, and there is no champion to beat", first)
    assert re.match(
        r"version 2 is (not )?promoted: 0\.\d{4,8} (>|<=) 0\.\d{4,8} \+ 0\.01: version [12] (wins|stays)", second
    )
    assert third.startswith("version 3 is not promoted: ")
    assert same.startswith("version 3 is identical to version 2")


def test_an_honest_auc(trained: Platform) -> None:
    # The simulation knows the hazard that the labels were drawn from: no model that has not seen them does much better.
    assert 0.6 < trained.home.registry.version(1).auc < 0.92


def test_the_verdict_follows_the_rule(trained: Platform) -> None:
    receipts = trained.home.ledger.all()
    for receipt in receipts:
        compared = receipt.evaluation
        assert compared is not None
        new, champion = compared.candidate.metrics["auc"], compared.champion
        wins = champion is None or new > champion.metrics["auc"] + 0.01
        assert (receipt.verdict == "promoted") is wins
    assert receipts[0].champion == 1
    assert receipts[0].decided_by
    assert trained.home.ledger.faults() == []


def test_status_json(trained: Platform) -> None:
    result = trained.churn("status", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert set(found) >= {"months", "champion"}
    assert [month["month"] for month in found["months"]] == ["2024-01", "2024-02", "2024-03"]
    assert [month["as_of"] for month in found["months"]] == ["2024-01-31", "2024-02-29", "2024-03-31"]
    home = trained.home
    for month, status in zip(homes.MONTHS, found["months"], strict=True):
        assert {
            "month", "as_of", "landed", "quarantined", "snapshots", "active_customers", "matured", "candidate",
            "drift_share",
        } <= set(status)  # fmt: skip
        assert status["landed"] == {table.name: home.lake.rows(f"landed/{table.name}", month) for table in TABLES}
        assert status["quarantined"] == dict.fromkeys(status["landed"], 0)
        assert status["snapshots"] == {name: home.lake.rows(name, month) for name in SNAPSHOTS}
        assert status["active_customers"] == status["landed"]["users"]
        assert status["matured"] is True
        assert status["drift_share"] is None or 0 <= status["drift_share"] <= 1
    first, second, third = (month["candidate"] for month in found["months"])
    assert first == {"version": 1, "auc": home.registry.version(1).auc, "champion_auc": None, "promoted": True}
    assert (second["version"], second["promoted"]) == (3, False)
    assert 0 < second["champion_auc"] < 1
    assert third is None
    champion = home.registry.champion()
    assert champion is not None
    reached = found["champion"].pop("reached")
    assert found["champion"] == {"version": champion.number, "month": str(champion.month), "auc": champion.auc}
    assert (reached["month"], reached["served"]) == ("2024-03", False)
    assert 0.5 < reached["auc"] < 1


def test_status_of_nothing(new: Platform) -> None:
    result = new.churn("status", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["months"], found["champion"]) == ([], None)


def test_status_for_people(trained: Platform) -> None:
    result = trained.churn("status")
    assert result.exit_code == 0
    assert "2024-03" in result.stdout
    assert re.search(r"champion: version \d, trained for 2024-0[12], AUC 0\.\d{4}", result.stdout)


def test_a_person_promotes_and_rolls_back(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    before = platform.home.registry.champion()
    receipts = len(platform.home.ledger.all())
    assert before is not None
    result = platform.churn("promote", "3", "--reason", "the newest data")
    assert result.exit_code == 0, result.output
    assert re.match(r"\S+\+00:00  version 3 appointed by .+: the newest data\n$", result.stdout)
    assert platform.home.registry.champion() == platform.home.registry.version(3)
    result = platform.churn("rollback", "--reason", "complaints")
    assert result.exit_code == 0, result.output
    assert f"rolled back from version 3 to version {before.number} by " in result.stdout
    assert platform.home.registry.champion() == before
    listed = platform.churn("receipts")
    assert listed.exit_code == 0
    assert len(listed.stdout.splitlines()) == receipts + 3
    assert listed.stdout.splitlines()[-1] == f"{receipts + 2} receipts, each as it was written"


def test_a_champion_moved_past_the_ledger_is_told_everywhere(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    registry = platform.home.registry
    before = registry.champion()
    assert before is not None
    registry.client.set_registered_model_alias(MODEL, CHAMPION, "3")  # as anybody can, over MLflow's REST API
    told = f"the registry serves version 3, but receipt 1 made version {before.number} champion: `churn promote "
    assert told in refused(platform.churn("receipts"), len(platform.home.ledger.all())).replace(
        "receipt 2", "receipt 1"
    )
    assert told in " ".join(platform.churn("status").stdout.split()).replace("receipt 2", "receipt 1")
    (found,) = json.loads(platform.churn("status", "--json").stdout)["findings"]
    result = platform.churn("promote", str(before.number), "--reason", "restored")
    assert result.exit_code == 0, result.output
    assert f"    at that time {found}" in result.stdout
    assert platform.churn("receipts").exit_code == 0
    assert registry.champion() == before


def test_a_pause_is_shown_and_people_go_on(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    assert "nothing is paused" in refused(platform.churn("resume"))
    result = platform.churn("pause", "--reason", "an incident")
    assert result.exit_code == 0, result.output
    assert re.match(r"\S+\+00:00  promotions and retrainings paused by .+: an incident\n$", result.stdout)
    assert "are paused since " in refused(platform.churn("pause", "--reason", "again"))
    assert "promotions and retrainings are paused since " in platform.churn("status").stdout
    assert "an incident (churn resume ends that)" in json.loads(platform.churn("status", "--json").stdout)["paused"]
    result = platform.churn("promote", "3", "--reason", "a person decides")
    assert result.exit_code == 0, result.output
    step, told = result.stderr.splitlines()
    assert step.startswith("promoting: step 1 of 1, making the version champion, ")
    assert told.startswith("you asked for this, so it was done; but promotions and retrainings are paused since")
    assert platform.churn("rollback").exit_code == 0
    result = platform.churn("resume")
    assert result.exit_code == 0, result.output
    assert "promotions and retrainings resumed by " in result.stdout
    assert json.loads(platform.churn("status", "--json").stdout)["paused"] is None
    assert platform.churn("receipts").exit_code == 0


def test_a_winner_waits_while_paused(closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    assert platform.churn("pause", "--reason", "an incident").exit_code == 0
    result = platform.churn("retrain", "2024-01")
    assert result.exit_code == 0, result.output
    assert result.stdout == "version 1 wins, and is promoted after `churn resume`\n"
    assert "promotions and retrainings are paused since " in result.stderr
    assert platform.home.registry.champion() is None
    assert "candidate version 1 with AUC " in (told := platform.churn("status").stdout)
    assert "wins, and is not promoted yet" in told


# Refusals


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("close", "2023-12"), "2023-12 is before the first month: the platform starts with 2024-01"),
        (("close", "2024-02"), "2024-02 has no drop in "),
        (("retrain", "2024-01"), "2024-01 is not closed: close 2024-01 first (churn close 2024-01)"),
        (
            ("retrain", "2199-01"),
            "2199-01 is not one of the platform's months: they begin with 2024-01 ",
        ),
        (("promote", "7", "--reason", "a test"), "streamflow_churn has no version 7; it has none yet"),
        (("rollback",), "nothing to roll back to"),
    ],
)
def test_refusals(arguments: tuple[str, ...], wanted: str, new: Platform) -> None:
    assert wanted in refused(new.churn(*arguments))
    assert homes.contents(new.settings.lake) == {}


def test_a_month_without_its_predecessor(new: Platform) -> None:
    (new.settings.drops / "month_000").rename(new.settings.drops / "month_002")
    assert refused(new.churn("close", "2024-03")) == "2024-03 cannot be closed before 2024-02: close 2024-02 first"
    assert "close 2024-02 first" in refused(new.churn("close", "--all"))


def test_a_month_that_has_not_ended(new: Platform) -> None:
    (new.settings.drops / "month_000").rename(new.settings.drops / "2199-12")
    assert refused(new.churn("close", "2199-12")) == "2199-12 ends on 2199-12-31: it can be closed after that day"


def test_no_drops(new: Platform) -> None:
    (new.settings.drops / "month_000").rename(new.settings.drops / "elsewhere")
    assert "there is no drop in " in refused(new.churn("close", "--all"))


def test_labels_that_do_not_do(closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    platform.home.lake.path("landed/labels", homes.MONTHS[2]).unlink()
    said = refused(platform.churn("retrain", "2024-03"))
    assert said == "2024-03 has no labels yet; the newest month that can be trained for is 2024-02"


@pytest.mark.parametrize(
    "arguments",
    [("close",), ("close", "2024-01", "--all"), ("close", "January"), ("retrain",), ("promote", "1"), ("promote", "0")],
)
def test_wrong_usage(arguments: tuple[str, ...], new: Platform) -> None:
    result = new.churn(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert "Traceback" not in result.output


def test_a_wrong_setting_is_named(new: Platform) -> None:
    result = CliRunner().invoke(main, ["status"], env={"CHURN_QUARANTINE_TOLERANCE": "7"})
    said = refused(result)
    assert "CHURN_QUARANTINE_TOLERANCE" in said
    assert "less than or equal to 1" in said


def test_changed_receipts_are_told(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    path = Path(platform.home.ledger.place(1))
    path.write_text(path.read_text().replace('"promoted"', '"appointed"', 1))
    assert "000002.json: does not follow from the receipt before it" in refused(
        platform.churn("receipts"), len(trained.home.ledger.all())
    )


def test_a_changed_newest_receipt_is_told(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    path = Path(platform.home.ledger.place(len(platform.home.ledger.all())))
    path.write_text(path.read_text().replace('"decided_by": "', '"decided_by": "not ', 1))
    assert f"{path.name}: is not the one that the registry knows" in refused(
        platform.churn("receipts"), len(trained.home.ledger.all())
    )


def test_a_store_that_does_not_answer_stops_and_can_be_asked_again(closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        settings = platform.settings
        environment = {
            "CHURN_HOME": str(settings.home), "CHURN_DROPS": str(settings.drops), "CHURN_MLFLOW_TRACKING_URI": address,
        }  # fmt: skip
        for arguments in (["retrain", "2024-01"], ["status"]):
            said = refused(CliRunner().invoke(main, arguments, env=environment))
            assert said.startswith(f"the MLflow store {address} does not answer: ")
            assert said.endswith("then run this again)")
    assert platform.home.registry.champion() is None
    again = platform.churn("retrain", "2024-01")
    assert again.exit_code == 0, again.output
    assert platform.home.registry.champion() is not None


# The synthetic company


def test_simulate(tmp_path: Path) -> None:
    arguments = ["simulate", "--months", "2", "--customers", "50", "--seed", "9", "--out"]
    result = CliRunner().invoke(main, [*arguments, str(tmp_path / "a")])
    assert result.exit_code == 0
    months = [json.loads(line) for line in result.stdout.splitlines()]
    assert [month["folder"] for month in months] == ["month_000", "month_001"]
    assert months[0]["rows"]["users"] == 50
    CliRunner().invoke(main, [*arguments, str(tmp_path / "b")])
    assert homes.contents(tmp_path / "a", "**/*.csv") == homes.contents(tmp_path / "b", "**/*.csv")
    assert "already holds a drop of 2024-01" in refused(CliRunner().invoke(main, [*arguments, str(tmp_path / "a")]))


def test_help_tells_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for command in ("close", "retrain", "promote", "rollback", "status", "simulate", "receipts", "pause", "resume"):
        assert re.search(rf"^  {command} +\S", result.stdout, re.MULTILINE)


def test_a_damaged_evaluation_stops_no_closing_and_says_what_renews_it(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    path = platform.home.lake.path(EVALUATION, homes.MONTHS[1], ".json")
    path.unlink()  # it may be a hard link
    path.write_text("{")
    assert platform.churn("close", "2024-02").exit_code == 0
    said = refused(platform.churn("status"))
    assert f"{path} cannot be read" in said
    assert "churn retrain 2024-02" in said
