"""The bundle: a champion as serving needs it, a folder that explains and proves itself.

Here: the bundle's format, reading and verifying one, encoding features and scoring with it. Not here:
making one from a scikit-learn model (`modelling.export`), or finding the champion's (`champion.registry`, `serving`).
Only msgspec, numpy and onnxruntime are needed, so that serving stays small.

    manifest.json         month, months trained on, estimator, threshold, metrics, the files' SHA-256
    model.onnx            float32 [n, len(schema)] named `features` -> float32 [n, 2] named `probabilities`
    feature_schema.json   the model's inputs, in order
    golden.json           rows with the probabilities that the model must give
    background.json       training customers' features, without keys, that reasons compare a customer with
    members.json          what the model adds up (`members`), empty where its form cannot hold that

Bundles of earlier versions lack the last two.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np

from churn_platform.faults import Fault
from churn_platform.files import sha256
from churn_platform.members import Member

if TYPE_CHECKING:
    import onnxruntime

FORMAT = 1
TOLERANCE = 1e-5
"""The largest difference between two probabilities that still counts as the same model."""
BACKGROUND, MEMBERS = "background.json", "members.json"

Value = float | int | bool | str | None
FeatureKind = Literal["number", "boolean", "category"]
UNKNOWN_CATEGORY = -1.0


class BundleError(Fault):
    """A bundle that must not serve; the message says which file or row and why."""


class Feature(msgspec.Struct, frozen=True):
    """One input of a model. `categories` are encoded as their position, an unknown one as -1.

    An `open` category's are those that the version has learned from its customers: others are not wrong, but unknown.

    A `nullable` one may be unknown for a customer. A `required` one may not be left out, even if it may be null: a
    store or a request that lacks it is about another model. It is None in bundles of earlier versions.

    `formula` is how a derived one was declared when the version learned it; empty for others, and in earlier versions'.
    """

    name: str
    kind: FeatureKind
    meaning: str
    nullable: bool
    categories: tuple[str, ...] = ()
    required: bool | None = None
    open: bool = False
    formula: str = ""

    @property
    def must_be_given(self) -> bool:
        """Whether features without it cannot be scored."""
        return not self.nullable if self.required is None else self.required


class Misfits(NamedTuple):
    """The features that keep a version from scoring, by name: those that are lacking, and those of another kind.

    It would take every value of another kind for an unknown one.
    """

    lacking: tuple[str, ...]
    other: tuple[str, ...]


def misfits(schema: Sequence[Feature], kinds: Mapping[str, FeatureKind]) -> Misfits:
    """What keeps a version with this schema from scoring features of these kinds, by name; empty where nothing does."""
    lacking = (feature.name for feature in schema if feature.must_be_given and feature.name not in kinds)
    other = (feature.name for feature in schema if kinds.get(feature.name, feature.kind) != feature.kind)
    return Misfits(tuple(sorted(lacking)), tuple(sorted(other)))


class Golden(msgspec.Struct, frozen=True):
    """One row that proves the model: features as delivered, and its churn probability."""

    features: dict[str, Value]
    probability: float


class Manifest(msgspec.Struct, frozen=True):
    """What the bundle says about itself. `files` maps each other file to its SHA-256 in hexadecimal."""

    format: int
    month: str
    months: tuple[str, ...]
    estimator: str
    threshold: float
    metrics: dict[str, float]
    files: dict[str, str]


class Encoder:
    """Turns a customer's features into a model's inputs. Made once per schema: it is most of scoring."""

    def __init__(self, schema: Sequence[Feature]) -> None:
        self._columns = [
            (feature.name, {name: float(code) for code, name in enumerate(feature.categories)})
            if feature.kind == "category"
            else (feature.name, None)
            for feature in schema
        ]

    def __call__(self, features: Mapping[str, Value]) -> list[float]:
        """The inputs, in the schema's order; unknown values become NaN, or -1 for a category."""
        row: list[float] = []
        for name, codes in self._columns:
            value = features.get(name)
            if codes is not None:
                row.append(codes.get(value, UNKNOWN_CATEGORY))  # type: ignore[arg-type]  # any value may be looked up
            else:
                row.append(math.nan if value is None else float(value))
        return row


def encode(schema: Sequence[Feature], features: Mapping[str, Value]) -> list[float]:
    """One customer's features as the model's inputs, see `Encoder`."""
    return Encoder(schema)(features)


def decode(schema: Sequence[Feature], row: np.ndarray) -> dict[str, Value]:
    """The features, by name, that `encode` encodes as this row, float32 [len(schema)]; unknown ones are None."""
    features: dict[str, Value] = {}
    for feature, value in zip(schema, row, strict=True):
        if feature.kind == "category":
            features[feature.name] = None if value == UNKNOWN_CATEGORY else feature.categories[int(value)]
        elif np.isnan(value):
            features[feature.name] = None
        else:
            # The shortest decimal of the float32: 29.85 rather than 29.850000381469727; both are encoded alike.
            features[feature.name] = bool(value) if feature.kind == "boolean" else float(str(value))
    return features


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """An ONNX model, ready to run on one thread: one row gains nothing from more."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at import; without it, it calls home
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Bundle:
    """A verified bundle, ready to score. Read one with `Bundle.load`."""

    def __init__(
        self,
        digest: str,
        manifest: Manifest,
        schema: tuple[Feature, ...],
        golden: tuple[Golden, ...],
        session: onnxruntime.InferenceSession,
        background: tuple[dict[str, Value], ...] = (),
        members: tuple[Member, ...] = (),
    ) -> None:
        self.digest = digest
        self.manifest = manifest
        self.schema = schema
        self.golden = golden
        self.background = background
        self.members = members
        self._session = session
        self._encode = Encoder(schema)
        self.feature_names = frozenset(feature.name for feature in schema)

    @classmethod
    def load(cls, folder: Path, digest: str | None = None) -> Bundle:
        """Read and verify a bundle: its format, its files' hashes, its golden rows.

        `digest` is the manifest's SHA-256 as the registry recorded it. Raises BundleError.
        """
        try:
            raw = (folder / "manifest.json").read_bytes()
            manifest = msgspec.json.decode(raw, type=Manifest)
            files = {name: (folder / name).read_bytes() for name in manifest.files}
            if manifest.format != FORMAT:
                raise BundleError(f"bundle {folder}: format {manifest.format}, but this program reads {FORMAT}")
            if digest is not None and sha256(raw) != digest:
                raise BundleError(f"bundle {folder}: manifest.json is not the one that was registered")
            for name, data in files.items():
                if sha256(data) != manifest.files[name]:
                    raise BundleError(f"bundle {folder}: {name} is not the file that manifest.json describes")
            schema = msgspec.json.decode(files["feature_schema.json"], type=tuple[Feature, ...])
            golden = msgspec.json.decode(files["golden.json"], type=tuple[Golden, ...])
            model = files["model.onnx"]
            background = msgspec.json.decode(files.get(BACKGROUND, b"[]"), type=tuple[dict[str, Value], ...])
            members = msgspec.json.decode(files.get(MEMBERS, b"[]"), type=tuple[Member, ...])
        except KeyError as error:
            raise BundleError(f"bundle {folder}: manifest.json names no {error.args[0]}") from error
        except (OSError, ValueError, RecursionError) as error:  # ValueError: what msgspec and Unicode raise
            raise BundleError(f"bundle {folder}: {error}") from error
        try:
            session = open_session(model)
        except Exception as error:  # onnxruntime's own
            raise BundleError(f"bundle {folder}: model.onnx cannot be read: {error}") from error
        bundle = cls(sha256(raw), manifest, schema, golden, session, background, members)
        bundle._check_golden(folder)
        return bundle

    def score(self, rows: Sequence[Sequence[float]] | np.ndarray) -> np.ndarray:
        """Churn probabilities, float32 [n], of encoded rows [n, len(schema)]."""
        inputs = np.asarray(rows, dtype=np.float32)
        if not len(inputs):
            return np.empty(0, dtype=np.float32)  # an empty list has no second axis to hand to onnxruntime
        return np.asarray(self._session.run(["probabilities"], {"features": inputs})[0][:, 1])

    def score_features(self, customers: Iterable[Mapping[str, Value]]) -> np.ndarray:
        """Churn probabilities, float32 [n], of customers' features by name."""
        return self.score([self._encode(features) for features in customers])

    def _check_golden(self, folder: Path) -> None:
        if not self.golden:
            raise BundleError(f"bundle {folder}: no golden rows, so nothing proves the model")
        try:
            scores = self.score_features(row.features for row in self.golden)
            difference = float(np.max(np.abs(scores - np.array([row.probability for row in self.golden]))))
        except Exception as error:  # onnxruntime's own: inputs do not fit the model, or a value is not a number
            raise BundleError(f"bundle {folder}: its model cannot score its golden rows: {error}") from error
        if not difference <= TOLERANCE:
            raise BundleError(f"bundle {folder}: golden rows differ by {difference:.2g}, more than {TOLERANCE:.0e}")
