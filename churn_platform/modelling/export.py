"""Export: a trained pipeline as a bundle that serves without scikit-learn, and the proof that both are the same model.

Here: the conversion to ONNX, the bundle's files, parity. Not here: the bundle's format and reading one (`bundle`),
or registering it (`champion.registry`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from churn_platform.bundle import (
    BACKGROUND,
    FORMAT,
    MEMBERS,
    Bundle,
    Feature,
    Golden,
    Manifest,
    decode,
    encode,
    open_session,
)
from churn_platform.files import sha256
from churn_platform.modelling import estimators
from churn_platform.modelling.encoding import encode_frame
from churn_platform.modelling.members import members

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

    from churn_platform.modelling.training import Training

GOLDEN_ROWS = 32
BACKGROUND_ROWS = 32
OPSETS = {"": 17, "ai.onnx.ml": 3}
"""The ONNX operator sets to write, fixed so that a newer converter does not write what an older runtime cannot read."""


def write_bundle(
    folder: Path,
    training: Training,
    model: bytes,
    schema: Sequence[Feature],
    sample: pd.DataFrame,
    metrics: Mapping[str, float],
    month: str,
) -> str:
    """Write a training's bundle to a new or empty folder, verify it, and return its manifest's SHA-256.

    `model` is `to_onnx` of the training's pipeline. `sample` holds training customers' features by name, from which the
    golden rows and the background are taken; `metrics` and `month` go into the manifest. The same training, sample and
    metrics give the same bytes. Raises BundleError if the ONNX model does not reproduce the golden rows' probabilities.
    """
    schema = tuple(schema)
    encoded = encode_frame(schema, sample)
    rows = golden_rows(schema, encoded)
    golden = tuple(
        Golden(decode(schema, row), float(probability))
        for row, probability in zip(rows, estimators.predict(training.pipeline, rows), strict=True)
    )
    files = {
        "model.onnx": model,
        "feature_schema.json": _json(schema),
        "golden.json": _json(golden),
        BACKGROUND: _json([decode(schema, row) for row in background_rows(encoded)]),
        MEMBERS: _json(members(training.pipeline, schema)),
    }
    manifest = _json(
        Manifest(
            format=FORMAT,
            month=month,
            months=training.months,
            estimator=training.estimator,
            threshold=training.threshold,
            metrics=dict(sorted(metrics.items())),
            files={name: sha256(data) for name, data in files.items()},
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_bytes(manifest)  # last, so that a folder with a manifest is whole
    return Bundle.load(folder, sha256(manifest)).digest


def parity(served: np.ndarray, trained: np.ndarray) -> float:
    """The largest difference between the probabilities [n] of a bundle and of its pipeline for the same customers.

    Where one of them is not a number, the difference counts as 1, the most by which two probabilities can differ.
    """
    difference = np.abs(served - trained)
    return float(np.max(np.nan_to_num(difference, nan=1.0)))


def to_onnx(pipeline: Pipeline, inputs: int) -> bytes:
    """The pipeline as ONNX: from `features`, float32 [n, inputs], to `probabilities`, float32 [n, 2]."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    model = convert_sklearn(
        pipeline,
        name="churn",
        initial_types=[("features", FloatTensorType([None, inputs]))],
        options={id(pipeline): {"zipmap": False}},
        target_opset=OPSETS,
    )
    for output in list(model.graph.output):
        if output.name == "label":
            model.graph.output.remove(output)
    return bytes(model.SerializeToString(deterministic=True))


def score(model: bytes, encoded: np.ndarray) -> np.ndarray:
    """The probabilities, float32 [n], that an ONNX model returns for rows of `encode_frame`, as they will be served."""
    if not len(encoded):
        return np.empty(0, dtype=np.float32)  # onnxruntime cannot run on no rows; `Bundle.score` does the same
    return np.asarray(open_session(model).run(["probabilities"], {"features": encoded})[0][:, 1])


def golden_rows(schema: Sequence[Feature], encoded: np.ndarray) -> np.ndarray:
    """Up to GOLDEN_ROWS of these rows [n, len(schema)], plus one without any known feature; order does not matter.

    First come rows that cover every category and every unknown value that occurs, then rows spread over all of them.
    """
    encoded = encoded[np.lexsort(encoded.T)]
    cases = [
        np.isnan(column) if feature.kind != "category" else column == category
        for feature, column in sorted(zip(schema, encoded.T, strict=True), key=lambda pair: pair[0].kind != "category")
        for category in range(-1, len(feature.categories))
    ]
    first = [int(np.argmax(case)) for case in cases if case.any()]
    spread = [int(row) for row in np.linspace(0, len(encoded) - 1, GOLDEN_ROWS)]
    chosen = list(dict.fromkeys(first + spread))[:GOLDEN_ROWS]
    return np.vstack([encoded[chosen], np.array(encode(schema, {}), dtype=np.float32)])


def background_rows(encoded: np.ndarray) -> np.ndarray:
    """BACKGROUND_ROWS of these rows [n, features], or all of them, drawn without favour; their order does not matter.

    Hashes of their places in order draw them: the same whatever a library's random numbers are.
    """
    encoded = encoded[np.lexsort(encoded.T)]
    drawn = sorted(range(len(encoded)), key=lambda place: sha256(f"background/{place}".encode()))
    return encoded[sorted(drawn[:BACKGROUND_ROWS])]


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
