"""Estimators: the scikit-learn pipelines that candidates are trained with.

Here: each estimator's steps and its tuned defaults, fitting and predicting. Not here: which rows it is fitted on
(`training`), nor its conversion to ONNX (`export`), which every step used here must survive unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from churn_platform.bundle import UNKNOWN_CATEGORY, Feature
from churn_platform.settings import Estimator

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline
    from threadpoolctl import threadpool_limits


TRUSTED_TYPES = (
    "churn_platform.modelling.estimators._with_known_value",
    "functools.partial",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""What a saved pipeline of `build` holds beyond what skops trusts by itself; skops loads nothing else."""


def build(name: Estimator, schema: Sequence[Feature], seed: int) -> Pipeline:
    """An unfitted pipeline on the matrix of `encode_frame`, float32 [n, len(schema)].

    Categories are one-hot encoded with a column for unknown ones: gradient boosting's own treatment of categories
    did not survive conversion to ONNX. Numbers without one known value are left out when the pipeline is fitted:
    gradient boosting fails on them, and no imputation could know better. It is deterministic for a seed.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers: Any
    model: Any
    if name == "hist_gradient_boosting":
        # Shallow trees with strong regularisation: churn data has weak, mostly additive signals. Depth 2 to 4,
        # 60 to 200 rounds and 32 to 255 bins stayed within 0.005 of these values' AUC.
        numbers = "passthrough"
        model = HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=150,
            max_depth=3,
            min_samples_leaf=40,
            l2_regularization=10.0,
            early_stopping=False,
            random_state=seed,
        )
    elif name == "random_forest":
        numbers = SimpleImputer(strategy="median")
        model = RandomForestClassifier(
            n_estimators=200, min_samples_leaf=20, max_features=0.3, n_jobs=1, random_state=seed
        )
    else:
        numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        model = LogisticRegression(max_iter=1000, random_state=seed)

    one_hot = OneHotEncoder(
        categories=[
            np.arange(UNKNOWN_CATEGORY, len(feature.categories), dtype=np.float32)
            for feature in schema
            if feature.kind == "category"
        ],
        sparse_output=False,
        dtype=np.float32,
    )
    categories = [position for position, feature in enumerate(schema) if feature.kind == "category"]
    others = [position for position, feature in enumerate(schema) if feature.kind != "category"]
    columns = ColumnTransformer(
        [("categories", one_hot, categories), ("numbers", numbers, partial(_with_known_value, others))]
    )
    return Pipeline([("columns", columns), ("model", model)])


def _with_known_value(positions: list[int], encoded: np.ndarray) -> list[int]:
    return [position for position in positions if not np.isnan(encoded[:, position]).all()]


def fit(pipeline: Pipeline, encoded: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Fit a pipeline of `build` in place, and return it."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    with _one_thread():
        pipeline.fit(encoded, labels)
    model = pipeline.named_steps["model"]
    if isinstance(model, HistGradientBoostingClassifier):
        for (tree,) in model._predictors:
            tree.nodes["num_threshold"] = _down_to_float32(tree.nodes["num_threshold"])
    return pipeline


def predict(pipeline: Pipeline, encoded: np.ndarray) -> np.ndarray:
    """The churn probabilities, float64 [n], that a fitted pipeline gives."""
    with _one_thread():
        return np.asarray(pipeline.predict_proba(encoded)[:, 1], dtype=np.float64)


def _down_to_float32(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 numbers that do not exceed these thresholds.

    For float32 inputs `x <= threshold` stays what it was. skl2onnx rounds gradient boosting's thresholds to the
    nearest float32 instead, so that an input between the two would take the other branch.
    """
    nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def _one_thread() -> threadpool_limits:
    """Keeps OpenMP to one thread: where cores are shared, its threads wait for each other in busy loops.

    Gradient boosting on 56,000 rows took 1 s with one thread, and 10 s with two on two busy cores.
    """
    import sklearn.ensemble  # noqa: F401  # the limit holds for libraries that are loaded already
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, "openmp")
