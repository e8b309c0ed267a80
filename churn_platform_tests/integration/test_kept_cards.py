"""Model cards on a platform: MLflow and the command say the same, and what has come of a version since."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from churn_platform.cards import keeping
from churn_platform.cards.keeping import MOST
from churn_platform.champion.registry import MODEL
from churn_platform.faults import Fault
from churn_platform.months import Month
from churn_platform.tables.names import EVALUATION, HOLDOUT_ROWS
from churn_platform_tests import earlier
from churn_platform_tests.conftest import Platform, done
from churn_platform_tests.hostile_values import HOSTILE, dangers
from churn_platform_tests.kept_rows import erase


@pytest.fixture
def platform(trained: Platform, tmp_path: Path) -> Platform:
    """Versions 1 to 3, free to be changed."""
    return trained.copy(tmp_path)


def shown(platform: Platform, number: int) -> str:
    """What MLflow shows of a version."""
    found = platform.home.registry.client.get_model_version(MODEL, str(number)).description
    assert found is not None
    return found


def test_every_version_has_its_card(platform: Platform) -> None:
    registry = platform.home.registry
    for number in (1, 2):
        told, description = done(platform, "card", str(number)), shown(platform, number)
        assert told.startswith(f"# Model card: version {number}, trained for 2024-0{number}\n")
        assert description.startswith(told.partition("## Features")[0].partition("|")[0])
        assert len(description) <= MOST
        run = registry.version(number).run_id
        (file,) = platform.settings.home.glob(f"mlflow/**/{run}/artifacts/card.md")
        assert file.read_text() == told
        assert "## Calibration\n\nIts Brier score is 0." in told
        assert "| mean probability |" in told
    assert "has no version 9" in done(platform, "card", "9", exit_code=1)


def test_decisions_are_told_of_both_versions(platform: Platform) -> None:
    registry = platform.home.registry
    before = registry.champion()
    assert before is not None
    other = 3 - before.number
    done(platform, "promote", str(other), "--reason", HOSTILE[4])
    assert "It has been champion since " in shown(platform, other)
    assert f"; version {before.number} served until then. Reason: " in shown(platform, before.number)
    assert all(dangers(shown(platform, number)) == [] for number in (1, 2))


def test_a_card_that_cannot_be_made_stops_no_decision(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Fault("the MLflow store does not answer")

    champion = platform.home.registry.champion()
    assert champion is not None
    before = shown(platform, 1)
    monkeypatch.setattr(keeping, "_put", away)
    done(platform, "promote", str(3 - champion.number), "--reason", "a test")
    assert platform.home.registry.champion() != champion
    assert shown(platform, 1) == before


def test_erased_rows_are_told(platform: Platform) -> None:
    (compared,) = [receipt.evaluation for receipt in platform.home.ledger.all() if receipt.version == 2]
    assert compared is not None and compared.basis is not None
    path = platform.home.lake.addressed(HOLDOUT_ROWS, compared.basis.holdout.sha256)
    erase(path, 3)
    assert "is not known: 1 row of those that it was measured on was erased." in done(platform, "card", "2")
    path.unlink()
    told = done(platform, "card", "2")
    assert "is not known: the rows that it was measured on, " in told
    assert f"| AUC | {compared.candidate.metrics['auc']:.4f} | " in told


def test_versions_of_earlier_platforms(tmp_path: Path) -> None:
    platform = Platform(earlier.unpacked("0.1.0", tmp_path))
    told = done(platform, "card", "1")
    assert "An earlier version of the platform trained it and did not keep from what: it cannot be rebuilt." in told
    assert "an earlier version of the platform measured it, which kept no rows of that" in told


def test_a_champion_that_is_evaluated_again_keeps_its_comparison_with_another(platform: Platform) -> None:
    (compared,) = [receipt.evaluation for receipt in platform.home.ledger.all() if receipt.version == 2]
    assert compared is not None and compared.champion is not None
    again = msgspec.structs.replace(compared, champion=compared.candidate, looks=9)
    platform.home.lake.write_document(EVALUATION, Month(2024, 2), again)
    told = done(platform, "card", "2")
    assert "| version 1, then champion |" in told and "9 candidates" not in told
