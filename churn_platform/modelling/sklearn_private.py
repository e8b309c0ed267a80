"""scikit-learn's private names: what the platform needs beyond its public interface, and why.

Here: those names. Not here: what is done with them (`estimators`). An upgrade may move any of them without notice;
`unit/test_private_names.py` says which ones it has moved and which files need them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

SAVED_TYPES = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""The types in saved models whose names are private; skops has to be told that it may load them."""


def trees(model: HistGradientBoostingClassifier) -> Iterator[Any]:
    """The trees of a fitted model of two classes, one per round.

    Their thresholds are rounded before the conversion to ONNX, and nothing public gives access to them.
    """
    yield from (tree for (tree,) in model._predictors)


def start(model: HistGradientBoostingClassifier) -> float:
    """What a fitted model of two classes starts from, before its trees add to it; nothing public gives access to it."""
    return float(model._baseline_prediction[0, 0])
