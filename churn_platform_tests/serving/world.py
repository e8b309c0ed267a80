"""What serving reads, made small and real: customers, bundles converted from scikit-learn, an MLflow store.

The benchmark uses it too.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from churn_platform.bundle import FORMAT, Encoder, Golden, Manifest, Value
from churn_platform.files import sha256
from churn_platform.settings import Settings
from churn_platform_tests.online import publish
from churn_platform_tests.streamflow import SCHEMA
from serving.registry import ALIAS, MODEL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sklearn.pipeline import Pipeline


def user_id(number: int) -> str:
    """A customer's id that matches the contract."""
    return f"{number % 10_000:04d}-{chr(65 + number // 10_000 % 26)}TEST"


def customer(rng: random.Random) -> dict[str, Value]:
    """One customer's features; those that may be unknown sometimes are."""
    values: dict[str, Value] = {}
    for feature in SCHEMA:
        if feature.nullable and rng.random() < 0.2:
            values[feature.name] = None
        elif feature.kind == "category":
            values[feature.name] = rng.choice(feature.categories)
        elif feature.kind == "boolean":
            values[feature.name] = rng.random() < 0.5
        else:
            values[feature.name] = round(rng.uniform(0, 100), 2)
    return values


def customers(count: int, seed: int = 1) -> Iterator[tuple[str, dict[str, Value]]]:
    """This many customers, always the same ones for a seed."""
    rng = random.Random(seed)
    for number in range(count):
        yield user_id(number), customer(rng)


@cache
def pipeline(seed: int, trees: bool = False) -> Pipeline:
    """A scikit-learn pipeline fitted on encoded rows; each seed gives a different one."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    encode = Encoder(SCHEMA)
    rows = np.array([encode(features) for _, features in customers(2000, seed + 100)], dtype=np.float32)
    signal = np.nan_to_num(rows) @ np.random.default_rng(seed).normal(size=len(SCHEMA))
    labels = signal > np.quantile(signal, 0.75)
    if trees:
        # As large as the platform's own: 150 rounds of depth 3.
        model = make_pipeline(HistGradientBoostingClassifier(max_iter=150, max_depth=3, learning_rate=0.05))
    else:
        model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    return model.fit(rows, labels)


@cache
def _onnx(seed: int, trees: bool) -> bytes:
    import onnx
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    graph = to_onnx(
        pipeline(seed, trees),
        initial_types=[("features", FloatTensorType([None, len(SCHEMA)]))],
        options={"zipmap": False},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    del graph.graph.output[:-1]  # the label
    assert graph.graph.output[0].name == "probabilities"
    onnx.checker.check_model(graph)
    data: bytes = graph.SerializeToString()
    return data


def write_bundle(folder: Path, month: str, seed: int = 0, *, trees: bool = False, threshold: float = 0.5) -> str:
    """A bundle as the platform writes it; returns its manifest's SHA-256."""
    sample = [features for _, features in customers(8, seed + 500)]
    encode = Encoder(SCHEMA)
    inputs = np.array([encode(features) for features in sample], dtype=np.float32)
    expected = pipeline(seed, trees).predict_proba(inputs)[:, 1]
    files = {
        "model.onnx": _onnx(seed, trees),
        "feature_schema.json": msgspec.json.encode(SCHEMA),
        "golden.json": msgspec.json.encode(
            [Golden(features, float(score)) for features, score in zip(sample, expected, strict=True)]
        ),
    }
    manifest = Manifest(
        format=FORMAT,
        month=month,
        months=(month,),
        estimator="hist_gradient_boosting" if trees else "logistic_regression",
        threshold=threshold,
        metrics={"auc": 0.8},
        files={name: sha256(data) for name, data in files.items()},
    )
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    raw = msgspec.json.encode(manifest)
    (folder / "manifest.json").write_bytes(raw)
    return sha256(raw)


def mlflow_client(uri: str) -> MlflowClient:
    """A client of only this store."""
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


class World:
    """A CHURN_HOME with a registry of real versions and an online store, and the settings that name them."""

    def __init__(self, home: Path, mlflow_template: Path, online_store_url: str = "", **settings: Any) -> None:
        self.home = home
        defaults: dict[str, Any] = {"serving_poll_seconds": 0.05, "drops": home / "drops", "dagster_port": 9}
        self.settings = Settings(home=home, online_store_url=online_store_url, **{**defaults, **settings})
        self.settings.mlflow_home.mkdir(parents=True)
        shutil.copy(mlflow_template, self.settings.mlflow_home / "mlflow.db")
        self.client = mlflow_client(f"sqlite:///{self.settings.mlflow_home / 'mlflow.db'}")
        self.seeds: dict[int, int] = {}

    def bundle_folder(self, version: int) -> Path:
        """Where a version's bundle lies."""
        return self.settings.mlflow_home / "artifacts" / str(version) / "bundle"

    def register(self, seed: int, month: str = "2024-02", *, trees: bool = False) -> int:
        """A new version of the model; `seed` says which one it is."""
        version = len(self.seeds) + 1
        folder = self.bundle_folder(version)
        digest = write_bundle(folder, month, seed, trees=trees)
        tags = {"month": month, "bundle_uri": folder.as_uri(), "bundle_sha256": digest}
        made = self.client.create_model_version(MODEL, folder.as_uri(), tags=tags)
        assert int(made.version) == version
        self.seeds[version] = seed
        return version

    def promote(self, version: int) -> None:
        """Make a version the champion."""
        self.client.set_registered_model_alias(MODEL, ALIAS, str(version))

    def publish(self, count: int = 50, month: str = "2024-02", seed: int = 1) -> None:
        """Publish this many customers."""
        from churn_platform.months import Month

        publish(self.settings.online_store, Month.parse(month), customers(count, seed))

    def probability(self, version: int, features: dict[str, Value]) -> float:
        """What scikit-learn says."""
        row = np.array([Encoder(SCHEMA)(features)], dtype=np.float32)
        return float(pipeline(self.seeds[version]).predict_proba(row)[0, 1])


def mlflow_template(folder: Path) -> Path:
    """A fresh MLflow SQLite store that knows the model's name; copying it is faster than migrating again."""
    path = folder / "template.db"
    mlflow_client(f"sqlite:///{path}").create_registered_model(MODEL)
    return path
