"""Export, reasons and plots: what is made of a trained model."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from churn_platform.bundle import TOLERANCE, Bundle, BundleError, Feature
from churn_platform.modelling import estimators, plots
from churn_platform.modelling.encoding import encode_frame
from churn_platform.modelling.export import GOLDEN_ROWS, golden_rows, parity, to_onnx, write_bundle
from churn_platform.modelling.reasons import contributions, golden_background, reasons
from churn_platform.modelling.training import Training, train
from churn_platform_tests.modelling_cases import SCHEMA, customers
from churn_platform_tests.streamflow import STREAMFLOW

ESTIMATORS = ("blend", "hist_gradient_boosting", "random_forest", "logistic_regression")


@pytest.fixture(scope="module", params=ESTIMATORS)
def training(request) -> Training:
    return train(customers(500), STREAMFLOW, SCHEMA, request.param, seed=7)


@pytest.fixture
def bundle(training, tmp_path) -> Bundle:
    digest = write_bundle(
        tmp_path / "bundle",
        training,
        to_onnx(training.pipeline, len(SCHEMA)),
        SCHEMA,
        customers(500),
        {"auc": 0.8},
        "2024-01",
    )
    return Bundle.load(tmp_path / "bundle", digest)


def difference(bundle, pipeline, encoded):
    return parity(bundle.score(encoded), estimators.predict(pipeline, encoded))


def test_a_bundle_gives_what_scikit_learn_gives(training, bundle):
    """On customers as they come, and on values that training never saw: all unknown, huge, at a threshold."""
    encoded = encode_frame(SCHEMA, customers(3000, seed=9))
    assert difference(bundle, training.pipeline, encoded) < 1e-6
    rng = np.random.default_rng(0)
    odd = encoded.copy()
    unknown = rng.random(odd.shape) < 0.4
    odd[unknown] = np.broadcast_to([-1 if f.kind == "category" else np.nan for f in SCHEMA], odd.shape)[unknown]
    odd[::7, 0] = rng.uniform(-1e6, 1e6, len(odd[::7]))
    assert difference(bundle, training.pipeline, odd) <= TOLERANCE


def test_a_bundle_says_what_it_is(training, bundle):
    manifest = bundle.manifest
    assert (manifest.month, manifest.months, manifest.estimator) == ("2024-01", ("2024-01",), training.estimator)
    assert (manifest.threshold, manifest.metrics) == (training.threshold, {"auc": 0.8})
    assert bundle.schema == SCHEMA


def test_the_same_training_gives_the_same_bytes(training, bundle, tmp_path):
    again = train(customers(500), STREAMFLOW, SCHEMA, training.estimator, seed=7)
    shuffled = customers(500).sample(frac=1, random_state=1)
    assert (
        write_bundle(
            tmp_path / "again", again, to_onnx(again.pipeline, len(SCHEMA)), SCHEMA, shuffled, {"auc": 0.8}, "2024-01"
        )
        == bundle.digest
    )
    for name in ("manifest.json", *bundle.manifest.files):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "bundle" / name).read_bytes()


def test_the_model_has_one_output(training):
    import onnx

    model = onnx.load_from_string(to_onnx(training.pipeline, len(SCHEMA)))
    assert [entry.name for entry in model.graph.input] == ["features"]
    assert [entry.name for entry in model.graph.output] == ["probabilities"]
    onnx.checker.check_model(model)


def test_thresholds_between_neighbouring_numbers_survive_conversion(tmp_path):
    """Two values one float32 apart: a threshold between them, rounded to the nearest, would be the upper one."""
    schema = (Feature("x", "number", "A number.", False),)
    lower = np.nextafter(np.float32(1000), np.float32(2000))
    values = np.array([lower, np.nextafter(lower, np.float32(2000))], dtype=np.float32)
    assert np.float32(values.astype(np.float64).mean()) == values[1]
    encoded = np.tile(values, 200)[:, None]
    for name in ("hist_gradient_boosting", "random_forest"):
        pipeline = estimators.fit(estimators.build(name, schema, 7), encoded, encoded[:, 0] == values[1])
        fitted = Training(pipeline, name, ("2024-01",), 1, {1: 1.0}, 0.5, 400, 400, 0.0)
        write_bundle(
            tmp_path / name,
            fitted,
            to_onnx(fitted.pipeline, len(schema)),
            schema,
            pd.DataFrame({"x": encoded[:, 0]}),
            {},
            "2024-01",
        )
        assert np.ptp(estimators.predict(pipeline, encoded)) > 0.9
        assert difference(Bundle.load(tmp_path / name), pipeline, encoded) < 1e-6


def test_golden_rows_cover_categories_and_unknowns_in_any_order():
    encoded = encode_frame(SCHEMA, customers(500))
    rows = golden_rows(SCHEMA, encoded)
    assert len(rows) == GOLDEN_ROWS + 1
    for position, feature in enumerate(SCHEMA):
        if feature.kind == "category":
            assert set(rows[:-1, position]) == set(range(-1, len(feature.categories)))
        else:
            assert np.isnan(rows[:-1, position]).any() == np.isnan(encoded[:, position]).any()
    np.testing.assert_array_equal(rows[-1], [-1 if f.kind == "category" else np.nan for f in SCHEMA])
    np.testing.assert_array_equal(golden_rows(SCHEMA, encoded[::-1]), rows)
    assert len(golden_rows(SCHEMA, encoded[:3])) == 4


def test_a_model_that_is_not_the_one_described_is_refused(training, bundle, tmp_path):
    other = train(customers(500, seed=3), STREAMFLOW, SCHEMA, training.estimator, seed=7)
    encoded = encode_frame(SCHEMA, customers(500))
    assert difference(bundle, other.pipeline, encoded) > 0.01
    golden = tmp_path / "bundle" / "golden.json"
    rows = json.loads(golden.read_bytes())
    rows[0]["probability"] += 0.001
    golden.write_text(json.dumps(rows))
    with pytest.raises(BundleError, match=r"golden\.json is not the file"):
        Bundle.load(tmp_path / "bundle")


def test_parity_counts_what_is_not_a_number_as_the_largest_difference():
    assert parity(np.array([0.5, np.nan]), np.array([0.5, 0.2])) == 1
    assert parity(np.array([0.5, 0.3]), np.array([0.5, 0.2])) == pytest.approx(0.1)


def test_contributions_are_what_replacing_each_value_changes(bundle):
    encoded = encode_frame(SCHEMA, customers(40, seed=2))
    background = encode_frame(SCHEMA, customers(8, seed=4))  # as many as there are references, so all of them count
    found = contributions(bundle, encoded, background)
    for customer, feature in itertools.product((0, 17, 39), range(len(SCHEMA))):
        replaced = np.repeat(encoded[customer][None], len(background), axis=0)
        replaced[:, feature] = background[:, feature]
        p, without = bundle.score(encoded[[customer]])[0], bundle.score(replaced)
        expected = np.log(p / (1 - p)) - np.log(without / (1 - without)).mean()
        assert found[customer, feature] == pytest.approx(expected, abs=1e-4)


def test_reasons_name_what_drives_the_risk(bundle):
    safe = {"tenure": 71, "fee": 50.0, "streams": None, "contract": "Two years", "constant": 3.0, "internet": "DSL"}
    frame = pd.DataFrame([safe | {"tenure": 1, "contract": "Monthly"}, safe])
    risky, calm = reasons(bundle, encode_frame(SCHEMA, frame), top=2)
    assert {reason.feature for reason in risky} == {"tenure", "contract"}
    (contract,) = (reason for reason in risky if reason.feature == "contract")
    assert (contract.value, contract.contribution > 0) == ("Monthly", True)
    assert contract.sentence == "How long the contract binds: Monthly. This raises the risk."
    assert calm[0].feature in {"tenure", "contract"}
    assert calm[0].contribution < 0
    assert calm[0].sentence.endswith("This lowers the risk.")
    sizes = [abs(reason.contribution) for reason in risky]
    assert sizes == sorted(sizes, reverse=True)


def test_a_category_of_true_and_false_is_told_as_yes_and_no():
    schema = (
        Feature("paperless", "category", "Whether the bill is sent by mail.", False, categories=("False", "True")),
    )
    bundle: Any = SimpleNamespace(schema=schema, score=lambda rows: 0.3 + 0.2 * rows[:, 0])
    told = reasons(bundle, np.array([[0.0], [1.0]]), background=np.array([[0.0], [1.0]]))
    assert [reason.sentence for (reason,) in told] == [
        "Whether the bill is sent by mail: no. This lowers the risk.",
        "Whether the bill is sent by mail: yes. This raises the risk.",
    ]


def test_features_without_an_effect_are_no_reasons(bundle):
    (all_of_them,) = reasons(bundle, encode_frame(SCHEMA, customers(1)), top=99)
    named = {reason.feature for reason in all_of_them}
    assert {"tenure", "contract"} <= named
    assert not named & {"constant", "never_known", "never_told"}


def test_the_background_knows_something_and_reasons_come_for_nobody(bundle):
    background = golden_background(bundle)
    assert len(background) == GOLDEN_ROWS
    assert not np.isnan(background[:, 0]).any()
    assert reasons(bundle, np.empty((0, len(SCHEMA)))) == []


@pytest.mark.parametrize("curves", [plots.roc_curves, plots.lift_curves])
def test_a_name_between_dollars_is_no_formula(curves):
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    assert curves(labels, {r"$\frac$": scores}) != curves(labels, {"version 1": scores})


@pytest.mark.parametrize("curves", [plots.roc_curves, plots.lift_curves])
def test_plots_are_small_pictures_and_the_same_each_time(curves):
    rng = np.random.default_rng(0)
    labels = rng.random(1500) < 0.3
    models = {f"version {v}": np.round(rng.random(1500) + 0.3 * v * labels, 2) for v in (2, 3)}
    png = curves(labels, models)
    picture = Image.open(io.BytesIO(png))
    assert (picture.format, picture.size) == ("PNG", (600, 450))
    assert len(png) < 40_000
    assert curves(labels, models) == png
    order = rng.permutation(1500)
    assert curves(labels[order], {name: scores[order] for name, scores in models.items()}) == png
    assert "matplotlib.pyplot" not in sys.modules
    assert curves(labels, {"version 2": models["version 2"]}) != png


@pytest.mark.parametrize("training", ["logistic_regression"], indirect=True)
def test_scoring_calls_nobody(bundle, tmp_path):
    """The runtime would keep a database of telemetry for its makers in the home folder."""
    load = f"Bundle.load(Path({str(tmp_path / 'bundle')!r}))"
    program = f"from pathlib import Path; from churn_platform.bundle import Bundle; {load}"
    home = tmp_path / "person"
    home.mkdir()
    subprocess.run([sys.executable, "-c", program], env={"HOME": str(home)}, check=True)
    assert list(home.iterdir()) == []
