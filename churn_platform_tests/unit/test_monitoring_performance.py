"""Expected and realised performance of served scores."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from churn_platform.champion.registry import Version
from churn_platform.lake import Lake
from churn_platform.modelling.estimates import Reference, estimate
from churn_platform.monitoring import performance
from churn_platform.monitoring.reference import Gathered
from churn_platform.months import Month
from churn_platform.tables.features import is_holdout
from churn_platform.tables.names import CHURN_SCORES, REALISED, landed
from churn_platform_tests.streamflow import KEY, LABEL, LABELS

JANUARY, FEBRUARY = Month(2024, 1), Month(2024, 2)
KEYS = [f"{number:04d}-ABCDE" for number in range(400)]


def version(month: Month = JANUARY) -> Version:
    return Version(3, month, 0.8, "run", "uri", "sha")


def put(lake: Lake, name: str, month: Month, **columns: object) -> None:
    import ibis

    lake.write(name, month, ibis.memtable(pd.DataFrame(columns)).order_by(KEY))


@pytest.fixture
def served(lake: Lake) -> tuple[Lake, np.ndarray, np.ndarray]:
    """Calibrated scores of 400 customers, and labels for only the first 300."""
    rng = np.random.default_rng(0)
    probabilities = rng.beta(1, 3, 400).round(6)
    labels = rng.random(400) < probabilities
    fees = {"monthly_fee": [10.0, 20.0] * 200, "as_of": date(2024, 2, 29)}
    put(lake, CHURN_SCORES, FEBRUARY, **{KEY: KEYS, "probability": probabilities, "model_version": 3, **fees})
    put(lake, landed(LABELS.name), FEBRUARY, **{KEY: KEYS[:300], LABEL: labels[:300]})
    return lake, probabilities, labels


def test_what_is_expected_needs_no_labels(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, probabilities, _ = served
    found = performance.expect(lake, FEBRUARY, version(), Gathered())
    assert (found.version, found.promised_auc, found.customers) == (3, 0.8, 400)
    plain = estimate(probabilities)
    assert plain is not None and (found.expected_auc, found.error) == (plain.auc, plain.error)
    assert found.calibration.startswith("not calibrated: that takes 100 customers who churned in earlier months")
    assert found.expected_churn_share == pytest.approx(probabilities.mean())


def test_what_is_expected_is_calibrated_where_there_is_a_reference(
    served: tuple[Lake, np.ndarray, np.ndarray],
) -> None:
    lake, probabilities, _ = served
    rng = np.random.default_rng(5)
    scores = rng.beta(1, 3, 1000)
    reference = Reference(scores, rng.random(1000) < scores / 2)  # half as many churned as the scores say
    found = performance.expect(lake, FEBRUARY, version(), Gathered(reference, (JANUARY,)))
    assert found.expected_churn_share == pytest.approx(probabilities.mean() / 2, abs=0.03)
    wanted = estimate(probabilities, reference)
    assert wanted is not None and (found.expected_auc, found.error) == (wanted.auc, wanted.error)
    assert found.calibration == "calibrated on 1,000 customers of 2024-01"
    assert found.figure == f"{wanted.auc:.4f}, give or take {1.959964 * wanted.error:.4f} (95 %)"


def test_an_estimate_of_an_earlier_version_has_no_error() -> None:
    old = performance.Expected("2024-02", 3, "2024-01", 0.8, 400, 0.7, 0.2)
    assert (old.interval, old.figure, old.calibration) == (None, "0.7000", "")
    nobody = performance.Outcome(0, None)
    record = performance.Realised(old, False, 0.4, 0.2, {"auc": 0.7}, (), nobody, nobody, nobody)
    assert record.as_expected is None


def test_what_was_realised_counts_the_labelled_customers(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, probabilities, labels = served
    probabilities, labels = probabilities[:300], labels[:300]
    found = performance.realise(lake, FEBRUARY, version(), 0.4, Gathered())
    assert found.auc == pytest.approx(roc_auc_score(labels, probabilities))
    assert found.expected.customers == 300 and not found.holdout_only
    plain = estimate(probabilities)
    assert plain is not None and (found.expected.expected_auc, found.expected.error) == (plain.auc, plain.error)
    assert found.expected.interval is not None and found.auc is not None
    assert found.as_expected is (found.expected.interval[0] <= found.auc <= found.expected.interval[1])
    assert found.churn_share == pytest.approx(labels.mean())
    assert sum(b.customers for b in found.bins) == 300 and len(found.bins) == 10
    assert sum(b.customers * b.realised for b in found.bins) == pytest.approx(labels.sum())
    assert [b.predicted for b in found.bins] == sorted(b.predicted for b in found.bins)

    fees, flagged = np.array([10.0, 20.0] * 150), probabilities >= 0.4
    for group, outcome in (
        (flagged & labels, found.found),
        (~flagged & labels, found.missed),
        (flagged & ~labels, found.false_alarms),
    ):
        assert outcome.customers == group.sum() > 0
        assert outcome.fees == pytest.approx(fees[group].sum())


@pytest.mark.parametrize("trained_for", [FEBRUARY, Month(2024, 3)])
def test_a_version_that_may_know_the_labels_is_judged_on_the_holdout_alone(
    served: tuple[Lake, np.ndarray, np.ndarray], trained_for: Month
) -> None:
    lake, *_ = served
    found = performance.realise(lake, FEBRUARY, version(trained_for), 0.4, Gathered())
    rows = lake.read(landed(LABELS.name), FEBRUARY)
    held_out = int(rows.filter(is_holdout(rows[KEY])).count().to_pyarrow().as_py())
    assert found.holdout_only and found.expected.customers == held_out < 300


def test_labels_of_one_kind_have_no_auc_but_all_else(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, *_ = served
    put(lake, landed(LABELS.name), FEBRUARY, **{KEY: KEYS, LABEL: [False] * 400})
    found = performance.realise(lake, FEBRUARY, version(), 0.4, Gathered())
    assert found.auc is None and found.metrics == {}
    assert (found.churn_share, found.found.customers, found.missed.customers) == (0.0, 0, 0)


def test_labels_of_strangers_are_refused(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, *_ = served
    put(lake, landed(LABELS.name), FEBRUARY, **{KEY: ["9999-ZZZZZ"], LABEL: [True]})
    with pytest.raises(performance.UnlabelledError, match="no customer of 2024-02 has both a score and a label"):
        performance.realise(lake, FEBRUARY, version(), 0.4, Gathered())


def test_a_record_is_read_as_it_was_written(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, *_ = served
    found = performance.realise(lake, FEBRUARY, version(), 0.4, Gathered())
    assert lake.document(REALISED, FEBRUARY, performance.Realised) is None
    lake.write_document(REALISED, FEBRUARY, found)
    assert lake.document(REALISED, FEBRUARY, performance.Realised) == found
