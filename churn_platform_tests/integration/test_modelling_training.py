"""Training: it is deterministic, chooses its window by validation, and survives conversion to ONNX."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from churn_platform.bundle import Feature
from churn_platform.modelling import estimators, training
from churn_platform.modelling.encoding import encode_frame
from churn_platform.modelling.sklearn_private import trees
from churn_platform.modelling.training import FOLDS, TrainingError, best_threshold, folds, reachable, train
from churn_platform_tests.modelling_cases import SCHEMA, customers
from churn_platform_tests.streamflow import STREAMFLOW

ESTIMATORS = ("blend", "hist_gradient_boosting", "random_forest", "logistic_regression")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_learn_from_columns_that_are_constant_or_unknown(name):
    rows, unseen = customers(600), customers(600, seed=1)
    pipeline = estimators.build(name, SCHEMA, seed=7)
    estimators.fit(pipeline, encode_frame(SCHEMA, rows), rows["churn_label"].to_numpy())
    probabilities = estimators.predict(pipeline, encode_frame(SCHEMA, unseen))
    assert probabilities.dtype == np.float64
    assert ((probabilities > 0) & (probabilities < 1)).all()
    assert roc_auc_score(unseen["churn_label"], probabilities) > 0.7


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_column_unknown_in_training_does_not_matter_later(name):
    rows = customers(300)
    pipeline = estimators.build(name, SCHEMA, seed=7)
    encoded = encode_frame(SCHEMA, rows)
    estimators.fit(pipeline, encoded, rows["churn_label"].to_numpy())
    later = encoded.copy()
    later[:, 5] = 1e6
    np.testing.assert_array_equal(estimators.predict(pipeline, later), estimators.predict(pipeline, encoded))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_schema_without_categories_or_without_numbers_trains(name):
    rows = customers(300)
    for schema in (SCHEMA[:3], SCHEMA[3:4]):
        encoded = encode_frame(schema, rows)
        pipeline = estimators.fit(estimators.build(name, schema, seed=7), encoded, rows["churn_label"].to_numpy())
        assert np.isfinite(estimators.predict(pipeline, encoded)).all()


def test_training_does_not_depend_on_the_rows_order():
    rows = pd.concat([customers(300, "2024-01"), customers(300, "2024-02")])
    one = train(rows, STREAMFLOW, SCHEMA, "hist_gradient_boosting", seed=7)
    other = train(rows.sample(frac=1, random_state=3), STREAMFLOW, SCHEMA, "hist_gradient_boosting", seed=7)
    encoded = encode_frame(SCHEMA, customers(100, seed=5))
    np.testing.assert_array_equal(
        estimators.predict(one.pipeline, encoded), estimators.predict(other.pipeline, encoded)
    )
    for field in dataclasses.fields(one):
        if field.name not in ("pipeline", "seconds"):
            assert getattr(one, field.name) == getattr(other, field.name)


def test_a_pattern_that_lasts_takes_the_longest_window():
    rows = pd.concat([customers(1500, month) for month in ("2023-11", "2023-12", "2024-01")])
    result = train(rows, STREAMFLOW, SCHEMA, "logistic_regression", seed=7)
    assert (result.window, result.months) == (3, ("2023-11", "2023-12", "2024-01"))
    assert (result.rows, result.customers) == (4500, 1500)
    assert list(result.scores) == [1, 3]
    assert result.auc == result.scores[3] > 0.7


def test_a_pattern_that_turned_takes_the_newest_month_alone():
    old = [customers(1000, month, weights=(-2.0, -1.0)) for month in ("2023-11", "2023-12")]
    result = train(pd.concat([*old, customers(1000, "2024-01")]), STREAMFLOW, SCHEMA, "logistic_regression", seed=7)
    assert (result.window, result.months, result.rows) == (1, ("2024-01",), 1000)
    assert result.scores[1] > result.scores[3] + training.TIE_MARGIN


def test_validation_never_scores_a_customer_that_its_model_knows(monkeypatch):
    """A tree that memorises gains nothing from a feature that only says who the customer is."""
    rows = pd.concat([customers(800, month) for month in ("2023-12", "2024-01")])
    rows["tenure"] = rows["user_id"].str[:4].astype(int)
    rows["churn_label"] = rows["user_id"].map(lambda user: hashlib.sha256(user.encode()).digest()[-1] < 100)
    memorising = Pipeline([("model", DecisionTreeClassifier(random_state=0))])
    monkeypatch.setattr(estimators, "build", lambda *_: memorising)
    result = train(rows, STREAMFLOW, SCHEMA[:1], "random_forest", seed=7)
    known = estimators.predict(result.pipeline, encode_frame(SCHEMA[:1], rows))
    assert roc_auc_score(rows["churn_label"], known) == 1
    assert all(abs(auc - 0.5) < 0.08 for auc in result.scores.values())


def test_folds_are_balanced_stable_and_independent_of_the_holdout():
    names = [f"{number:04d}-ABCDE" for number in range(8000)]
    fold = folds(names)
    assert set(fold) == set(range(FOLDS))
    assert list(folds(names[::-1])[::-1]) == list(fold)
    first_digit = np.array([int(hashlib.sha256(name.encode()).hexdigest()[0], 16) for name in names])
    for digit in range(16):  # about 500 customers each, so 125 in each fold, with a standard deviation of 10
        sizes = np.bincount(fold[first_digit == digit], minlength=FOLDS)
        assert np.abs(sizes - sizes.mean()).max() < 45


def test_only_windows_that_add_a_month_are_tried():
    windows = (1, 3, 6, 12)
    assert reachable(["2024-01"], windows) == {1: ("2024-01",)}
    assert reachable(["2024-01", "2024-02"], windows) == {1: ("2024-02",), 3: ("2024-01", "2024-02")}
    gap = ["2023-03", "2023-10", "2024-02"]
    assert reachable(gap, windows) == {1: ("2024-02",), 6: ("2023-10", "2024-02"), 12: tuple(gap)}


def test_the_threshold_gives_the_best_f1():
    rng = np.random.default_rng(0)
    labels = rng.random(300) < 0.3
    probabilities = np.round(np.clip(rng.normal(0.3, 0.15, 300) + 0.2 * labels, 0, 1), 2)
    chosen = f1_score(labels, probabilities >= best_threshold(labels, probabilities))
    assert chosen == max(f1_score(labels, probabilities >= p) for p in np.unique(probabilities))


def test_rows_that_cannot_be_trained_on_are_refused_with_the_reason():
    rows = customers(100)
    with pytest.raises(TrainingError, match="no training rows"):
        train(rows[:0], STREAMFLOW, SCHEMA, "logistic_regression", seed=7)
    with pytest.raises(TrainingError, match="1 training rows repeat a customer"):
        train(pd.concat([rows, rows[:1]]), STREAMFLOW, SCHEMA, "logistic_regression", seed=7)
    with pytest.raises(TrainingError, match="month 2024-01 has 0 churned of 100"):
        train(rows.assign(churn_label=False), STREAMFLOW, SCHEMA, "logistic_regression", seed=7)
    unlabelled = rows.assign(churn_label=pd.Series([None, *rows["churn_label"][1:]], index=rows.index, dtype=object))
    with pytest.raises(TrainingError, match="1 training rows have no churn_label"):
        train(unlabelled, STREAMFLOW, SCHEMA, "logistic_regression", seed=7)


def test_few_churned_customers_suffice_if_they_are_in_two_folds():
    rows = customers(200)
    fold = folds(rows["user_id"])
    rows["churn_label"] = False
    for k in (0, 1):
        rows.loc[np.flatnonzero(fold == k)[:2], "churn_label"] = True
    assert np.isfinite(train(rows, STREAMFLOW, SCHEMA, "logistic_regression", seed=7).auc)


def test_gradient_boosting_thresholds_are_float32():
    schema = (Feature("x", "number", "A number.", False),)
    rng = np.random.default_rng(0)
    encoded = rng.random((400, 1)).astype(np.float32)
    pipeline = estimators.fit(
        estimators.build("hist_gradient_boosting", schema, seed=7), encoded, encoded[:, 0] + rng.random(400) > 1
    )
    thresholds = np.concatenate([tree.nodes["num_threshold"] for tree in trees(pipeline.named_steps["model"])])
    assert (thresholds == thresholds.astype(np.float32)).all()


def test_the_trees_of_a_model_are_there():
    model = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=1).fit([[0.0], [1.0]] * 20, [0, 1] * 20)
    assert [len(tree.nodes) > 1 for tree in trees(model)] == [True, True]
