"""Estimates and rejected candidates on a platform: what stands beside the truth once a month's labels are there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from churn_platform.champion import promotion
from churn_platform.champion.registry import MODEL
from churn_platform.lake import Lake
from churn_platform.monitoring import performance, reference, rejected, standing
from churn_platform.tables import training_set
from churn_platform.tables.features import is_holdout
from churn_platform.tables.names import CHURN_SCORES, EXPECTED, FROM_LABELS, REJECTED, landed
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform, done
from churn_platform_tests.streamflow import KEY, LABEL

JANUARY, FEBRUARY, MARCH = homes.MONTHS


@pytest.fixture
def platform(trained: Platform, tmp_path: Path) -> Platform:
    """Version 2 serves, and version 3, its twin for the same month, was not promoted."""
    return trained.copy(tmp_path)


def serve(lake: Lake, scores: np.ndarray, version: int) -> None:
    """Make these March's scores, in key order."""
    import ibis

    labels = training_set.labels_of(lake, MARCH).order_by(KEY).to_pandas()
    frame = labels[[KEY]].assign(probability=scores, model_version=version, monthly_fee=1.0)
    lake.write(CHURN_SCORES, MARCH, ibis.memtable(frame).order_by(KEY))


def test_a_version_is_calibrated_on_customers_that_it_has_not_learned_from(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, lake = platform.home, platform.home.lake
    version = home.registry.version(2)
    bundle = home.registry.bundle(version)
    monkeypatch.setattr("churn_platform.modelling.estimates.ENOUGH", 10_000)
    assert reference.gather(lake, MARCH, version, bundle) == reference.Gathered()
    monkeypatch.setattr("churn_platform.modelling.estimates.ENOUGH", 20)
    found = reference.gather(lake, MARCH, version, bundle)
    assert found.months == (FEBRUARY,) and found.reference is not None  # the newest are enough
    assert str(FEBRUARY) in bundle.manifest.months
    labels = training_set.labels_of(lake, FEBRUARY)
    held = labels.filter(is_holdout(labels[KEY])).to_pandas()
    assert len(found.reference.labels) == len(held) and found.reference.labels.sum() == held[LABEL].sum()
    # Version 1 has not learned from February: all of its customers are fair.
    first = home.registry.version(1)
    of_first = reference.gather(lake, MARCH, first, home.registry.bundle(first))
    assert of_first.reference is not None and len(of_first.reference.labels) == int(labels.count().to_pyarrow().as_py())
    assert reference.gather(lake, JANUARY, version, bundle) == reference.Gathered()  # no month is before it


def test_estimate_and_rejected_version_stand_beside_the_truth(platform: Platform) -> None:
    home, lake = platform.home, platform.home.lake
    kept = lake.path(landed("labels"), MARCH).rename(platform.settings.home / "kept.parquet")
    drop = platform.settings.drops / "month_002" / "labels.csv"
    late = drop.rename(platform.settings.home / "late.csv")
    done(platform, "close", "2024-03")
    found = lake.document(EXPECTED, MARCH, performance.Expected)
    assert found is not None and found.figure is not None and found.error is not None
    estimate = f"estimate for 2024-03, before its labels: AUC {found.figure}, if churn still follows the same pattern"
    told = done(platform, "status")
    assert f"{estimate}; {found.calibration}" in told and "not promoted, would" not in told
    champion = json.loads(done(platform, "status", "--json"))["champion"]
    assert (champion["expected"]["month"], champion["expected"]["auc"]) == ("2024-03", found.expected_auc)
    assert found.interval is not None and champion["expected"]["interval"] == list(found.interval)

    late.rename(drop)
    kept.unlink()
    done(platform, "close", "2024-03")
    champion = json.loads(done(platform, "status", "--json"))["champion"]
    assert "expected" not in champion
    assert champion["reached"]["estimate"] and champion["reached"]["as_expected"] in (True, False)
    record = lake.document(REJECTED, MARCH, rejected.Rejected)
    assert record is not None and (record.version, record.champion, record.verdict) == (3, 2, "chance")
    assert record.auc == record.champion_auc == pytest.approx(champion["reached"]["auc"])  # twins
    assert record.sentence == (
        f"version 3, which was not promoted, would have had an AUC of {record.auc:.4f} on 2024-03, the champion"
        f" {record.auc:.4f}: difference 0.0000 (0.0000 to 0.0000): it may be chance"
    )
    told = done(platform, "status")
    assert record.sentence in told and "was to be expected: the truth lies" in told
    assert champion["rejected"]["verdict"] == "chance" and REJECTED in FROM_LABELS
    assert home.registry.champion() is not None
    cards = [home.registry.client.get_model_version(MODEL, number).description or "" for number in "23"]
    assert "| 2024-03 | &ensp;served | " in cards[0] and record.sentence in cards[1]


def test_it_is_told_which_of_the_two_was_better(platform: Platform) -> None:
    home, lake = platform.home, platform.home.lake
    champion = home.registry.champion()
    assert champion is not None and champion.number == 2
    rng = np.random.default_rng(0)
    labels = training_set.labels_of(lake, MARCH).order_by(KEY).to_pandas()[LABEL].to_numpy(dtype=bool)
    serve(lake, rng.random(len(labels)), 2)
    found = rejected.compare(home, MARCH, champion)
    assert found is not None and found.interval is not None and found.auc is not None
    assert found.verdict == "rejected one better" and found.interval[0] > 0 and found.customers == len(labels)
    assert found.sentence.endswith("): the rejected version would have been better")
    serve(lake, np.where(labels, 0.8, 0.2) + rng.normal(0, 0.1, len(labels)), 2)
    found = rejected.compare(home, MARCH, champion)
    assert found is not None and found.verdict == "kept rightly"
    assert found.sentence.endswith("): keeping the champion was right")
    assert rejected.compare(home, FEBRUARY, champion) is None  # both have learned from it


def test_a_rejected_version_that_cannot_be_measured_is_told(platform: Platform) -> None:
    home, lake = platform.home, platform.home.lake
    champion = home.registry.champion()
    assert champion is not None
    shutil.rmtree(Path(home.registry.version(3).bundle_uri.removeprefix("file://")))
    found = rejected.compare(home, MARCH, champion)
    assert found is not None and found.auc is None and found.verdict is None
    told = "version 3, which was not promoted, cannot be compared with the champion on 2024-03: the MLflow store "
    assert found.sentence.startswith(told)
    lake.write_document(REJECTED, MARCH, found)
    assert found.sentence in done(platform, "status")


def test_another_champion_is_not_compared_with_those_that_it_was_not_kept_for(platform: Platform) -> None:
    home = platform.home
    before = home.registry.champion()
    assert before is not None
    compared = rejected.compare(home, MARCH, before)
    assert compared is not None
    home.lake.write_document(REJECTED, MARCH, compared)
    promotion.appoint(home.registry, home.ledger, 3, promotion.Request("ann", "a test", "run", "this"))
    after = home.registry.champion()
    assert after is not None and after.number == 3
    assert rejected.compare(home, MARCH, after) is None
    found = standing.of_champion(home)
    assert found is not None and found.rejected is None
