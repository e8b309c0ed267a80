"""scikit-learn's private names: what the platform needs of it beyond its public interface, and why.

Here: those names. Not here: what is done with them (`estimators`). An upgrade may move any of them without a word;
`unit/test_private_names.py` says which it has moved and who needs it.
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
"""What saved models hold under its private name; skops has to be told that it may load them."""


def trees(model: HistGradientBoostingClassifier) -> Iterator[Any]:
    """The trees of a fitted model of two classes, one a round.

    Their thresholds are rounded before the conversion to ONNX, and nothing public gives them.
    """
    yield from (tree for (tree,) in model._predictors)
