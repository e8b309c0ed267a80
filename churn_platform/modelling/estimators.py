"""Estimators: the scikit-learn pipelines that candidates are trained with.

Here: each estimator's steps and its tuned defaults, fitting and predicting. Not here: which rows it is fitted on
(`training`), nor its conversion to ONNX (`export`), which every step used here must survive unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from churn_platform.bundle import UNKNOWN_CATEGORY, Feature
from churn_platform.modelling import sklearn_private
from churn_platform.settings import Estimator

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline
    from threadpoolctl import threadpool_limits


TRUSTED_TYPES = (
    "churn_platform.modelling.estimators._with_known_value",
    "functools.partial",
    "numpy.dtype",
    *sklearn_private.SAVED_TYPES,
)
"""The types in a saved pipeline of `build` that skops does not trust by default; it refuses to load any others."""


def build(name: Estimator, schema: Sequence[Feature], seed: int) -> Pipeline:
    """An unfitted pipeline on the matrix of `encode_frame`, float32 [n, len(schema)].

    `blend` is the mean of gradient boosting's probabilities and logistic regression's: trees find effects that do not
    simply add up, and a linear model needs fewer customers to learn those that do. On simulated companies' quiet
    months, the mean fell half as far short of the true hazard's AUC as either alone, but hardly less after a price rise
    (0.0081 against 0.0089); on a real company's two months, it was the best of the three.

    Categories are one-hot encoded with a column for unknown ones: gradient boosting's own treatment of categories
    did not survive conversion to ONNX. Numbers without a single known value are left out when the pipeline is
    fitted: gradient boosting fails on them, and there is nothing to impute from. The same seed gives the same pipeline.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import VotingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    if name == "blend":
        members: tuple[Estimator, ...] = ("hist_gradient_boosting", "logistic_regression")
        blend = VotingClassifier(
            [(member, build(member, schema, seed)) for member in members], voting="soft", flatten_transform=False
        )
        return Pipeline([("model", blend)])
    numbers, model = _parts(name, seed)
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


def _parts(name: Estimator, seed: int) -> tuple[Any, Any]:
    """The step that numbers go through before the model, and the model."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if name == "hist_gradient_boosting":
        # Shallow trees with strong regularisation: churn data has weak, mostly additive signals. Depth 2 to 4,
        # 60 to 200 rounds and 32 to 255 bins stayed within 0.005 of these values' AUC.
        boosting = HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=150,
            max_depth=3,
            min_samples_leaf=40,
            l2_regularization=10.0,
            early_stopping=False,
            random_state=seed,
        )
        return "passthrough", boosting
    if name == "random_forest":
        forest = RandomForestClassifier(
            n_estimators=200, min_samples_leaf=20, max_features=0.3, n_jobs=1, random_state=seed
        )
        return SimpleImputer(strategy="median"), forest
    # A linear model extrapolates without limit, so a value outside the range seen in training counts as the nearest
    # one inside. In the month of a price rise all fees grew by a sixth: their ratios hardly differed, and the next
    # month's were far outside that range.
    numbers = make_pipeline(SimpleImputer(strategy="median"), MinMaxScaler(clip=True), StandardScaler())
    return numbers, LogisticRegression(solver="newton-cholesky", random_state=seed)


def _with_known_value(positions: list[int], encoded: np.ndarray) -> list[int]:
    return [position for position in positions if not np.isnan(encoded[:, position]).all()]


def fit(pipeline: Pipeline, encoded: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Fit a pipeline of `build` in place, and return it."""
    with _one_thread():
        pipeline.fit(encoded, labels)
    for tree in _trees(pipeline):
        tree.nodes["num_threshold"] = _down_to_float32(tree.nodes["num_threshold"])
    return pipeline


def _trees(pipeline: Pipeline) -> Iterator[Any]:
    """The trees of gradient boosting in a fitted pipeline."""
    from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier

    model = pipeline.named_steps["model"]
    if isinstance(model, HistGradientBoostingClassifier):
        yield from sklearn_private.trees(model)
    elif isinstance(model, VotingClassifier):
        for member in model.estimators_:
            yield from _trees(member)


def predict(pipeline: Pipeline, encoded: np.ndarray) -> np.ndarray:
    """The churn probabilities, float64 [n], that a fitted pipeline gives."""
    with _one_thread():
        return np.asarray(pipeline.predict_proba(encoded)[:, 1], dtype=np.float64)


def _down_to_float32(thresholds: np.ndarray) -> np.ndarray:
    """The largest float32 numbers that do not exceed these thresholds.

    For float32 inputs, this does not change the result of `x <= threshold`. skl2onnx would round gradient boosting's
    thresholds to the nearest float32 instead, and an input between the two would take the other branch.
    """
    nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def _one_thread() -> threadpool_limits:
    """Keeps OpenMP and BLAS to one thread: where cores are shared, their threads wait for each other in busy loops.

    With two threads on two busy cores, gradient boosting on 56,000 rows took 10 s instead of 1 s, and logistic
    regression on 32,000 rows seven times the CPU. One thread also makes sums the same on machines with more cores.
    """
    import sklearn.ensemble  # noqa: F401  # the limit applies only to libraries that are already loaded
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
