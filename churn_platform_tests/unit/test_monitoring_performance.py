"""Expected and realised performance of served scores."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from churn_platform.champion.registry import Version
from churn_platform.lake import Lake
from churn_platform.monitoring import performance
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


@given(st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.3, 0.5, 0.9, 1.0]), min_size=2, max_size=12))
def test_the_expected_auc_counts_every_pair(probabilities: list[float]) -> None:
    right = pairs = 0.0
    for i, p in enumerate(probabilities):
        for j, q in enumerate(probabilities):
            if i != j:
                weight = p * (1 - q)
                pairs += weight
                right += weight * (1.0 if p > q else 0.5 if p == q else 0.0)
    found = performance.expected_auc(np.array(probabilities))
    assert found == (pytest.approx(right / pairs) if pairs else None)


def test_the_expected_auc_is_what_drawn_labels_give_on_average() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.beta(1, 3, 2000)
    drawn = [roc_auc_score(rng.random(2000) < probabilities, probabilities) for _ in range(60)]
    assert performance.expected_auc(probabilities) == pytest.approx(np.mean(drawn), abs=0.005)


def test_scores_that_tell_nobody_apart_promise_nothing() -> None:
    assert performance.expected_auc(np.array([])) is None
    assert performance.expected_auc(np.zeros(5)) is None
    assert performance.expected_auc(np.full(5, 0.3)) == pytest.approx(0.5)


def test_what_is_expected_needs_no_labels(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, probabilities, _ = served
    found = performance.expect(lake, FEBRUARY, version())
    assert (found.version, found.promised_auc, found.customers) == (3, 0.8, 400)
    assert found.expected_auc == performance.expected_auc(probabilities)
    assert found.expected_churn_share == pytest.approx(probabilities.mean())


def test_what_was_realised_counts_the_labelled_customers(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, probabilities, labels = served
    probabilities, labels = probabilities[:300], labels[:300]
    found = performance.realise(lake, FEBRUARY, version(), threshold=0.4)
    assert found.auc == pytest.approx(roc_auc_score(labels, probabilities))
    assert found.expected.customers == 300 and not found.holdout_only
    assert found.expected.expected_auc == performance.expected_auc(probabilities)
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
    found = performance.realise(lake, FEBRUARY, version(trained_for), threshold=0.4)
    rows = lake.read(landed(LABELS.name), FEBRUARY)
    held_out = int(rows.filter(is_holdout(rows[KEY])).count().to_pyarrow().as_py())
    assert found.holdout_only and found.expected.customers == held_out < 300


def test_labels_of_one_kind_have_no_auc_but_all_else(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, *_ = served
    put(lake, landed(LABELS.name), FEBRUARY, **{KEY: KEYS, LABEL: [False] * 400})
    found = performance.realise(lake, FEBRUARY, version(), threshold=0.4)
    assert found.auc is None and found.metrics == {}
    assert (found.churn_share, found.found.customers, found.missed.customers) == (0.0, 0, 0)


def test_labels_of_strangers_are_refused(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, *_ = served
    put(lake, landed(LABELS.name), FEBRUARY, **{KEY: ["9999-ZZZZZ"], LABEL: [True]})
    with pytest.raises(performance.UnlabelledError, match="no customer of 2024-02 has both a score and a label"):
        performance.realise(lake, FEBRUARY, version(), threshold=0.4)


def test_a_record_is_read_as_it_was_written(served: tuple[Lake, np.ndarray, np.ndarray]) -> None:
    lake, *_ = served
    found = performance.realise(lake, FEBRUARY, version(), threshold=0.4)
    assert lake.document(REALISED, FEBRUARY, performance.Realised) is None
    lake.write_document(REALISED, FEBRUARY, found)
    assert lake.document(REALISED, FEBRUARY, performance.Realised) == found
