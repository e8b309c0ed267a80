"""Encoding: from a whole frame of features to the model's input matrix.

Here: the vectorised twin of `bundle.encode`, for training, evaluation and batch scoring. Not here: the way back from a
row (`bundle.decode`), what a feature means (`tables`), or imputing, scaling and one-hot encoding, which belong to the
model (`estimators`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from churn_platform.bundle import UNKNOWN_CATEGORY, Feature
from churn_platform.faults import Fault

if TYPE_CHECKING:
    import pandas as pd


class EncodingError(Fault):
    """A value that is not of its feature's kind; the message names the feature."""

    lasting = True


LEARNED = 30
"""The most categories that a version learns of an open one: the most frequent ones."""


def learned(schema: Sequence[Feature], frame: pd.DataFrame) -> tuple[Feature, ...]:
    """The schema with the categories of open ones, as the frame has them: the most frequent first, ties by name."""
    return tuple(
        msgspec.structs.replace(feature, categories=_frequent(frame[feature.name])) if feature.open else feature
        for feature in schema
    )


def _frequent(values: pd.Series) -> tuple[str, ...]:
    counts = sorted(values.dropna().value_counts().items(), key=lambda found: (-found[1], str(found[0])))
    return tuple(str(value) for value, _ in counts[:LEARNED])


def encode_frame(schema: Sequence[Feature], frame: pd.DataFrame) -> np.ndarray:
    """The frame's features as float32 [rows, len(schema)], exactly as `bundle.encode` encodes each row.

    Unknown values (None, NaN, pd.NA, a column that the frame lacks) become NaN, or -1 for a category. Raises
    EncodingError where a number or boolean feature holds something else.
    """
    import pandas as pd

    matrix = np.empty((len(frame), len(schema)), dtype=np.float32)
    for position, feature in enumerate(schema):
        if feature.name not in frame.columns:
            matrix[:, position] = UNKNOWN_CATEGORY if feature.kind == "category" else np.nan
        elif feature.kind == "category":
            known = pd.Index(feature.categories, dtype=object)
            matrix[:, position] = known.get_indexer(pd.Index(frame[feature.name].astype(object)))
        else:
            try:
                # Via float64, like `bundle.encode`, so that an integer beyond 2**53 is rounded the same way.
                values = frame[feature.name].to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise EncodingError(
                    f"feature {feature.name!r} is a {feature.kind}, but {error}: "
                    "a column of another kind needs a new name"
                ) from error
            matrix[:, position] = values
    return matrix
