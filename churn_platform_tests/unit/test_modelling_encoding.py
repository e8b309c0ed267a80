"""Encoding: frames and single rows are encoded alike, and decoded to what they were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_platform.bundle import Feature, decode, encode
from churn_platform.modelling.encoding import EncodingError, encode_frame

SCHEMA = (
    Feature("n", "number", "A number.", True),
    Feature("b", "boolean", "A flag.", True),
    Feature("c", "category", "A choice.", True, ("red", "green")),
    Feature("absent", "number", "In no frame.", True),
    Feature("gone", "category", "In no frame.", True, ("x",)),
)

numbers = st.one_of(st.floats(width=32, allow_nan=False), st.integers(-(2**62), 2**62), st.none())
rows = st.lists(
    st.fixed_dictionaries(
        {
            "n": numbers,
            "b": st.sampled_from([True, False, None]),
            "c": st.sampled_from(["red", "green", "blue", "", None]),
        }
    ),
    max_size=8,
)


@given(rows, st.sampled_from([None, np.nan, pd.NA]))
def test_a_frame_is_encoded_as_its_rows_are(rows, unknown):
    expected = np.array([encode(SCHEMA, row) for row in rows], dtype=np.float32).reshape(-1, len(SCHEMA))
    shown = [{name: unknown if value is None else value for name, value in row.items()} for row in rows]
    frame = pd.DataFrame(shown, columns=["n", "b", "c"], dtype=object)
    encoded = encode_frame(SCHEMA, frame)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, expected)


@pytest.mark.parametrize(
    ("name", "dtype", "values"),
    [
        ("n", "Int64", [1, None, 2**60 + 1]),
        ("n", "int64", [1, 0, 2**60 + 1]),
        ("n", "uint8", [1, 0, 255]),
        ("n", "Float64", [0.1, None, -1e30]),
        ("n", "float64", [0.1, np.nan, -1e30]),
        ("n", "int64[pyarrow]", [1, None, 2**60 + 1]),
        ("n", "double[pyarrow]", [0.1, None, -1e30]),
        ("b", "bool", [True, False, True]),
        ("b", "boolean", [True, None, False]),
        ("b", "bool[pyarrow]", [True, None, False]),
        ("c", "category", ["green", None, "blue"]),
        ("c", "string", ["green", None, "blue"]),
        ("c", "string[pyarrow]", ["green", None, "blue"]),
    ],
)
def test_pandas_types_make_no_difference(name, dtype, values):
    plain = [None if pd.isna(value) else value for value in values]
    encoded = encode_frame(SCHEMA, pd.DataFrame({name: pd.Series(values, dtype=dtype)}))
    np.testing.assert_array_equal(
        encoded, np.array([encode(SCHEMA, {name: value}) for value in plain], dtype=np.float32)
    )


def test_a_value_of_another_kind_is_named():
    with pytest.raises(EncodingError, match=r"feature 'b' is a boolean.*maybe.*needs a new name"):
        encode_frame(SCHEMA, pd.DataFrame({"b": [True, "maybe"]}))


@given(rows)
def test_decoding_gives_features_that_encode_alike(rows):
    for row in rows:
        encoded = np.array(encode(SCHEMA, row), dtype=np.float32)
        features = decode(SCHEMA, encoded)
        assert list(features) == [feature.name for feature in SCHEMA]
        np.testing.assert_array_equal(np.array(encode(SCHEMA, features), dtype=np.float32), encoded)


def test_decoding_writes_numbers_as_people_do():
    encoded = np.array(encode(SCHEMA, {"n": 29.85, "b": True, "c": "green"}), dtype=np.float32)
    assert decode(SCHEMA, encoded) == {"n": 29.85, "b": True, "c": "green", "absent": None, "gone": None}
