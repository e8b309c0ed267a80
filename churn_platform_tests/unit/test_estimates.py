"""Estimates of the AUC before labels: against all pairs, drawn labels, and what NannyML says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from churn_platform.modelling.estimates import (
    ENOUGH,
    Reference,
    calibrated,
    estimate,
    expected_auc,
    interval,
)
from churn_platform_tests.nannyml_cases import CASES, made

NANNYML = json.loads((Path(__file__).parents[1] / "nannyml.json").read_text())


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0]), st.sampled_from([0.1, 0.2, 0.3, 0.4])),
        min_size=2,
        max_size=12,
    )
)
def test_the_expected_auc_counts_every_pair(customers: list[tuple[float, float]]) -> None:
    right = pairs = 0.0
    for i, (p, score) in enumerate(customers):
        for j, (q, other) in enumerate(customers):
            if i != j:
                pairs += p * (1 - q)
                right += p * (1 - q) * (1.0 if score > other else 0.5 if score == other else 0.0)
    found = expected_auc(*map(np.array, zip(*customers, strict=True)))
    if pairs < 1e-12:
        assert found is None
    else:
        assert found is not None and found.auc == pytest.approx(right / pairs)


def test_drawn_labels_have_the_expected_mean_and_variance() -> None:
    rng = np.random.default_rng(1)
    scores = rng.beta(1, 3, 2000)
    probabilities = 0.1 + 0.5 * scores
    drawn = [roc_auc_score(rng.random(2000) < probabilities, scores) for _ in range(400)]
    found = expected_auc(probabilities, scores)
    assert found is not None
    assert found.auc == pytest.approx(np.mean(drawn), abs=3 * np.std(drawn) / 20)
    assert found.variance == pytest.approx(np.var(drawn), rel=0.2)


def test_scores_that_tell_nobody_apart_promise_nothing() -> None:
    for nothing in (np.array([]), np.zeros(5), np.ones(5), np.array([0.3])):
        assert estimate(nothing) is None
    found = estimate(np.full(5, 0.3))
    assert found is not None and found.auc == pytest.approx(0.5)


@pytest.mark.parametrize("name", CASES)
def test_the_estimate_is_nannymls_and_the_error_counts_more(name: str) -> None:
    """Ours leaves out pairs of one customer, which NannyML counts half: that is all the AUCs may differ by."""
    month, scores, labels = made(name)
    reference, theirs = Reference(scores, labels), NANNYML[name]
    found = estimate(month, reference)
    assert theirs["calibrated"] and found is not None
    assert found.auc == pytest.approx(theirs["auc"], abs=2e-4)
    uncalibrated = estimate(month)
    assert uncalibrated is not None and (abs(uncalibrated.auc - theirs["auc"]) > 0.05) is (name != "too gloomy")

    month_alone = expected_auc(calibrated(month, reference), month)
    assert month_alone is not None
    ratio = month_alone.variance**0.5 / theirs["error"]
    # NannyML takes the spread of the reference for that of a month whose customers are harder to tell apart.
    assert 1 < ratio < (1.5 if "harder" in name else 1.15)
    assert found.error > month_alone.variance**0.5


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Both the month's labels and the reference's are drawn anew; 300 draws leave 95 % an error of 1.3 %."""
    held, without_reference = 0, 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        true = rng.normal(-1.3, 1.2, 3000)
        probabilities, scores = 1 / (1 + np.exp(-true)), 1 / (1 + np.exp(-1.5 * true))
        labels = rng.random(3000) < probabilities
        now, before = slice(2000), slice(2000, None)
        found = estimate(scores[now], Reference(scores[before], labels[before]))
        month = expected_auc(probabilities[now], scores[now])
        assert found is not None and month is not None
        truth = roc_auc_score(labels[now], scores[now])
        low, high = interval(found.auc, found.error)
        held += low <= truth <= high
        low, high = interval(found.auc, month.variance**0.5)
        without_reference += low <= truth <= high
    assert 0.90 < held / 300 < 0.98
    assert without_reference / 300 < 0.85


def test_a_reference_takes_enough_of_either_class() -> None:
    labels = np.arange(400) < ENOUGH
    assert Reference(np.zeros(400), labels).is_enough and Reference(np.zeros(400), ~labels).is_enough
    assert not Reference(np.zeros(400), np.arange(400) < ENOUGH - 1).is_enough
