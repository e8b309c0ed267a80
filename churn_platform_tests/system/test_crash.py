"""Crashes: a killed process leaves whole tables, a champion with its bundle, and work that can be run again."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet
import pytest

from churn_platform.champion.agreement import findings
from churn_platform.champion.books import FileBook
from churn_platform.champion.receipts import Ledger
from churn_platform.champion.registry import EXPERIMENT, Registry
from churn_platform.lake import Lake
from churn_platform_tests import homes, processes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.decision_cases import Desk, evaluation
from churn_platform_tests.streamflow import STREAMFLOW

FIRST, SECOND, THIRD = homes.MONTHS


def readable(lake: Path) -> None:
    """Every table is whole."""
    for path in lake.rglob("*.parquet"):
        pyarrow.parquet.read_table(path)


def without_month(platform: Platform, month: str) -> None:
    """As if the month had never been closed."""
    for path in platform.settings.lake.rglob(f"{month}.*"):
        path.unlink()


@pytest.mark.parametrize("table", ["landed/usage_agg_30d", "features"])
def test_killed_while_closing(table: str, closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    without_month(platform, "2024-03")
    wanted, lake = homes.contents(closed.settings.lake), platform.settings.lake
    assert processes.run((processes.close_and_die, (platform.settings, THIRD, f"{table}/2024-03.parquet"))) == [
        processes.KILLED
    ]
    readable(lake)
    left = homes.contents(lake)
    assert {name: wanted[name] for name in left} == left  # whole and right, or not there at all
    assert len(left) < len(wanted)
    assert any(path.name.startswith(".") for path in lake.rglob("*"))  # it died before it had moved a file into place
    assert platform.churn("close", "2024-03").exit_code == 0
    assert homes.contents(lake) == wanted


def test_killed_while_a_correction_is_taken_in(closed: Platform, tmp_path: Path) -> None:
    platform, undisturbed = closed.copy(tmp_path), Lake(tmp_path / "undisturbed", STREAMFLOW)
    path = platform.settings.drops / "month_000" / "usage_agg_30d.csv"
    homes.edit(path, lambda rows: [rows[0], *([row[0], "321.5", *row[2:]] for row in rows[1:])])
    # By then its own month is corrected and does not change again, yet the later ones have to follow.
    file = "usage_agg_30d_snapshots/2024-02.parquet"
    killed = processes.run((processes.close_and_die, (platform.settings, FIRST, file)))
    assert killed == [processes.KILLED]
    readable(platform.settings.lake)
    assert platform.churn("close", "2024-01").exit_code == 0
    for number, month in enumerate(homes.MONTHS):
        homes.land(undisturbed, month, platform.settings.drops / f"month_{number:03d}")
        homes.close(undisturbed, month)
    wanted = homes.contents(undisturbed.root)
    found = homes.contents(platform.settings.lake)
    assert {name: digest for name, digest in found.items() if name in wanted} == wanted
    assert found["features/2024-03.parquet"] != homes.contents(closed.settings.lake)["features/2024-03.parquet"]


def test_two_runs_of_one_month_at_once(closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    without_month(platform, "2024-03")
    assert processes.run(*[(processes.close, (platform.settings, THIRD))] * 2) == [0, 0]
    assert homes.contents(platform.settings.lake) == homes.contents(closed.settings.lake)


def statuses(registry: Registry) -> list[str]:
    """How MLflow's runs have ended, oldest first."""
    (experiment,) = [found for found in registry.client.search_experiments() if found.name == EXPERIMENT]
    runs = registry.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    return [run.info.status for run in runs]


@pytest.mark.parametrize(
    ("place", "after"),
    [
        ("mlflow.models.Model.save", True),
        ("mlflow.MlflowClient.log_model_artifacts", True),
        ("mlflow.MlflowClient.create_model_version", True),
        ("churn_platform.champion.registry.Registry.appoint", True),
    ],
    ids=["model not logged", "bundle without a version", "version without an alias", "champion without a receipt"],
)
def test_killed_while_retraining(place: str, after: bool, closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    killed = processes.run((processes.retrain_and_die, (platform.settings, FIRST, place, after)))
    assert killed == [processes.KILLED]
    registry = platform.home.registry
    champion = registry.champion()
    assert (champion is not None) == place.endswith("appoint")
    if champion is not None:
        registry.bundle(champion)  # verified, or it raises
        assert platform.home.ledger.all() == ()
    again = platform.churn("retrain", "2024-01")
    assert again.exit_code == 0, again.output
    champion = platform.home.registry.champion()
    assert champion is not None
    platform.home.registry.bundle(champion)
    assert statuses(registry) == (["FINISHED"] if place.endswith("appoint") else ["KILLED"]) + ["FINISHED"]
    assert list(registry.scratch.iterdir()) == []
    receipts = platform.home.ledger.all()
    assert platform.home.ledger.faults() == []
    if place.endswith("appoint"):  # the first promotion was finished, and the second candidate compared with its winner
        assert (receipts[0].verdict, receipts[0].version, receipts[0].champion) == ("promoted", 1, 1)
        assert findings(platform.home.registry, platform.home.ledger) == []
    else:
        assert [receipt.champion for receipt in receipts] == [champion.number]


@pytest.mark.parametrize(
    ("place", "after"),
    [
        ("champion.receipts.Ledger.intend", False),
        ("champion.receipts.Ledger.intend", True),
        ("champion.registry.Registry.appoint", True),
        ("champion.registry.Registry.keep_anchor", True),
        ("champion.receipts.Ledger.confirm", True),
        ("local.decisions.Decisions.told", False),
    ],
)
def test_a_rollback_killed_and_run_again_is_one(place: str, after: bool, trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    good = platform.home.registry.champion()
    assert good is not None
    assert platform.churn("promote", "3", "--reason", "a mistake").exit_code == 0
    before = len(platform.home.ledger.all())
    arguments = (platform.settings, f"churn_platform.{place}", after)
    assert processes.run((processes.roll_back_and_die, arguments)) == [processes.KILLED]
    again = platform.churn("rollback", "--reason", "run again")
    assert again.exit_code == 0, again.output
    assert platform.home.registry.champion() == good
    (receipt,) = platform.home.ledger.all()[before:]
    assert (receipt.verdict, receipt.champion_before, receipt.champion) == ("rolled back", 3, good.number)
    assert receipt.reason == ("run again" if place.endswith("intend") and not after else "killed")
    assert platform.churn("receipts").exit_code == 0


def test_two_retrainings_at_once(closed: Platform, tmp_path: Path) -> None:
    platform = closed.copy(tmp_path)
    codes = processes.run(*[(processes.retrain, (platform.settings, FIRST))] * 2)
    assert 0 in codes
    champion = platform.home.registry.champion()
    assert champion is not None
    platform.home.registry.bundle(champion)
    receipts = platform.home.ledger.all()
    assert platform.home.ledger.faults() == []
    assert [receipt.champion for receipt in receipts if receipt.verdict == "promoted"] == [champion.number]


def test_processes_that_settle_at_once_give_one_receipt(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    desk.settle(evaluation(1))
    assert processes.run(*[(processes.settle, (tmp_path / "desk",))] * 4) == [0] * 4
    assert desk.registry.moves() == ["1", "2"]
    assert [receipt.champion for receipt in desk.ledger.all()] == [1, 2]


def test_whoever_writes_receipts_at_once_their_numbers_follow(tmp_path: Path) -> None:
    assert processes.run(*[(processes.write_receipts, (tmp_path, 15))] * 3) == [0, 0, 0]
    ledger = Ledger(FileBook(tmp_path))
    assert [receipt.number for receipt in ledger.all()] == list(range(1, 46))
    assert ledger.faults() == []


def test_a_version_whose_bundle_was_changed_never_becomes_champion(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    registry = platform.home.registry
    before, version = registry.champion(), registry.version(3)
    assert before is not None
    assert before.number != 3
    model = Path(version.bundle_uri.removeprefix("file://")) / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    result = platform.churn("promote", "3", "--reason", "a test")
    assert result.exit_code == 1
    assert "model.onnx is not the file that manifest.json describes" in result.stderr
    assert registry.champion() == before
    assert platform.home.ledger.all() == trained.home.ledger.all()
