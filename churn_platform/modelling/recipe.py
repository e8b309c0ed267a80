"""Recipes: what a version was trained from and how, so that anybody can train it again.

Here: the record, which is kept with the version's run and in receipts, and the libraries that decide a model's bits.
Not here: the rows (`tables.proofs`), training (`training`), or training again (`champion.rebuilding`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from platform import machine, python_version

import msgspec

from churn_platform.settings import Estimator

PLATFORM = "churn-platform"
LIBRARIES = ("scikit-learn", "numpy", "scipy", "skl2onnx", "onnx", "onnxruntime", PLATFORM)
"""What a model's bits, or its probabilities', may depend on besides the rows: another version may give others."""


class KeptRows(msgspec.Struct, frozen=True):
    """Rows in the lake: `sha256` names their file, `root` proves each of them (`tables.proofs`)."""

    sha256: str
    rows: int
    root: str


class Source(msgspec.Struct, frozen=True):
    """What one month contributed: its rows, and the SHA-256 of the files that they came from."""

    rows: int
    features_sha256: str
    labels_sha256: str


class Recipe(msgspec.Struct, frozen=True):
    """How a version was trained: everything but its features, which are in its bundle.

    `training` and `holdout` are the rows that it learned from and was measured on, `months` what each month contributed
    to the first, `key` and `label` what those columns were called, `windows` the months that were tried.
    """

    month: str
    training: KeptRows
    holdout: KeptRows
    months: dict[str, Source]
    key: str
    label: str
    estimator: Estimator
    seed: int
    windows: tuple[int, ...]
    libraries: dict[str, str]


def libraries() -> dict[str, str]:
    """The versions that are installed now, by name, and the processor, since libraries choose their ways by it."""
    return {"python": python_version(), **{name: version(name) for name in LIBRARIES}, "processor": _processor()}


def _processor() -> str:
    """Its kind, and those of its extensions that numpy can use."""
    import numpy as np

    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return " ".join([machine(), *extensions["baseline"], *extensions["found"]])


def changed_libraries(then: Mapping[str, str]) -> Iterator[str]:
    """Which libraries have another version now than they had `then`, a few words each."""
    now = libraries()
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            yield f"{name} was {then.get(name, 'not recorded')} and is {now.get(name, 'not used any more')}"
