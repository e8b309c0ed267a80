"""Export and plots: what is made of a trained model."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from churn_platform.bundle import BACKGROUND, MEMBERS, TOLERANCE, Bundle, BundleError, Feature, encode
from churn_platform.modelling import estimators, plots
from churn_platform.modelling.encoding import encode_frame
from churn_platform.modelling.export import (
    BACKGROUND_ROWS,
    GOLDEN_ROWS,
    background_rows,
    golden_rows,
    parity,
    to_onnx,
    write_bundle,
)
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


def test_the_background_is_drawn_from_customers_in_any_order_and_names_nobody(bundle, tmp_path):
    encoded = encode_frame(SCHEMA, customers(500))
    rows = background_rows(encoded)
    assert len(rows) == BACKGROUND_ROWS
    np.testing.assert_array_equal(background_rows(encoded[::-1]), rows)
    kept = np.array([encode(SCHEMA, features) for features in bundle.background], dtype=np.float32)
    np.testing.assert_array_equal(kept, rows)
    everybody = {row.tobytes() for row in encoded}
    assert all(row.tobytes() in everybody for row in rows)
    assert len(background_rows(encoded[:3])) == 3
    text = b"".join((tmp_path / "bundle" / name).read_bytes() for name in bundle.manifest.files)
    assert not [user for user in customers(500)["user_id"] if user.encode() in text]


def test_a_bundle_of_an_earlier_version_is_read(bundle, tmp_path):
    folder = tmp_path / "bundle"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name in (BACKGROUND, MEMBERS):
        (folder / name).unlink()
        del manifest["files"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    read = Bundle.load(folder)
    assert (read.background, read.members) == ((), ())


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
