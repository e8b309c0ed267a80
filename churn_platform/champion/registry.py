"""The registry: versions of the churn model in MLflow, their bundles, and which of them is champion.

Here: everything that is asked of MLflow outside a training run. Not here: training and logging a run
(`assets.models`), deciding (`promotion`), reading the champion for serving (`serving.registry`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from churn_platform.bundle import Bundle
from churn_platform.champion import opening
from churn_platform.champion.deadline import within
from churn_platform.champion.quiet import quiet_mlflow
from churn_platform.faults import Fault, placing
from churn_platform.files.links import plain
from churn_platform.files.scratch import scratch
from churn_platform.months import Month
from churn_platform.settings.urls import without_secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from sklearn.pipeline import Pipeline

P = ParamSpec("P")
T = TypeVar("T")

MODEL = "streamflow_churn"
EXPERIMENT = "streamflow_churn"
CHAMPION = "champion"
CHALLENGER = "challenger"
BUNDLE = "bundle"
_ANCHOR = "newest_receipt"


class RegistryError(Fault):
    """MLflow cannot be reached, or does not have what is asked for; the message says which store and why."""


class NoVersionError(RegistryError):
    """A version that the registry answers it does not have; the message names those that it has."""


@dataclass(frozen=True)
class Version:
    """A registered version. `month` is the newest that it was trained on, `auc` its AUC on the holdout customers."""

    number: int
    month: Month
    auc: float
    run_id: str
    bundle_uri: str
    bundle_sha256: str


def bounded(ask: Callable[Concatenate[Registry, P], T]) -> Callable[Concatenate[Registry, P], T]:
    """What asks a registry, and raises RegistryError where a store on another machine has not answered in time."""

    @wraps(ask)
    def asking(self: Registry, /, *arguments: P.args, **named: P.kwargs) -> T:
        if self.embedded:
            return ask(self, *arguments, **named)
        try:
            return within(self.seconds, lambda: ask(self, *arguments, **named))
        except TimeoutError as error:
            raise RegistryError(
                f"the MLflow store {self.name} has not answered within {self.seconds:.0f} s: unblock it, then run "
                "this again"
            ) from error

    return asking


class Registry:
    """The registry in one MLflow store. `artifacts` is where an embedded store keeps its files."""

    seconds = 120.0
    """How long a store on another machine may take to answer, and to hand over a bundle."""

    def __init__(self, uri: str, artifacts: Path) -> None:
        self.uri = uri
        self.artifacts = artifacts
        quiet_mlflow()

    @property
    def name(self) -> str:
        """The store for messages: its URI without user and password."""
        return without_secrets(self.uri)

    @cached_property
    def mlflow_uri(self) -> str:
        """The store's URI as MLflow is to be given it."""
        return self.uri if self._sqlite is None else opening.uri_of(self._sqlite)

    @property
    def embedded(self) -> bool:
        """Whether the store is a file."""
        return self._sqlite is not None

    @property
    def _sqlite(self) -> Path | None:
        """The file of an embedded store."""
        return Path(self.uri.removeprefix(opening.SCHEME)) if self.uri.startswith(opening.SCHEME) else None

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Turn whatever MLflow raises into a RegistryError, or a PlaceError, that says what to do."""
        import requests
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with placing():
                yield
        except (MlflowException, SQLAlchemyError, sqlite3.Error, requests.RequestException, OSError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            if self._sqlite is not None and (told := opening.damage(self._sqlite, reason)):
                raise RegistryError(told) from error
            raise RegistryError(
                f"the MLflow store {self.name} does not answer: {reason} (start or unblock it, then run this again)"
            ) from error

    @cached_property
    @bounded
    def client(self) -> MlflowClient:
        """MLflow's client, once the store has its tables and the experiment.

        One process at a time makes them, before anything else asks: steps that race a database's migration fail.
        """
        with self.reachable():
            from mlflow import MlflowClient
            from mlflow.exceptions import MlflowException

            if self._sqlite is not None:
                opening.prepare(self._sqlite, EXPERIMENT, self.artifacts)
            with opening.alone(self.uri):
                client = MlflowClient(self.mlflow_uri)
                if client.get_experiment_by_name(EXPERIMENT) is None:
                    place = None if self.uri.startswith("http") else self.artifacts.as_uri()  # a server has its own
                    try:
                        client.create_experiment(EXPERIMENT, place)
                    except MlflowException as error:
                        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # by another process, a moment ago
                            raise
        return client

    @bounded
    def champion(self) -> Version | None:
        """The version that serves, or None before the first promotion."""
        from mlflow.exceptions import MlflowException

        client = self.client
        with self.reachable():
            try:
                return _version(client.get_model_version_by_alias(MODEL, CHAMPION))
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None  # no such model yet, or no such alias
                raise

    @bounded
    def version(self, number: int) -> Version:
        """One version. Raises NoVersionError where there is none of that number, and RegistryError."""
        from mlflow.exceptions import MlflowException

        client = self.client
        with self.reachable():
            try:
                return _version(client.get_model_version(MODEL, str(number)))
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                known = sorted(int(found.version) for found in client.search_model_versions(f"name='{MODEL}'"))
        raise NoVersionError(f"{MODEL} has no version {number}; it has {', '.join(map(str, known)) or 'none yet'}")

    @bounded
    def parameters(self, version: Version) -> dict[str, str]:
        """What the version's run was told, such as its estimator."""
        with self.reachable():
            return dict(self.client.get_run(version.run_id).data.params)

    @bounded
    def register(self, run_id: str, model_id: str, bundle: Path, digest: str) -> Version:
        """Put a logged model's bundle beside it and register both as a new version, with the alias `challenger`.

        The version comes last: a crash before it leaves files that nothing refers to, but no version without a bundle.
        """
        client = self.client
        with self.reachable():
            from mlflow.exceptions import MlflowException

            client.log_model_artifacts(model_id, str(bundle), BUNDLE)
            try:
                client.create_registered_model(MODEL)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            manifest = Bundle.load(bundle, digest).manifest
            auc = manifest.metrics["auc"]
            tags = {
                "month": manifest.month,
                "auc": repr(auc),
                "bundle_uri": f"{client.get_logged_model(model_id).artifact_location}/{BUNDLE}",
                "bundle_sha256": digest,
            }
            made = client.create_model_version(
                MODEL,
                f"models:/{model_id}",
                run_id=run_id,
                tags=tags,
                description=f"Trained for {manifest.month}; its AUC on the holdout customers is {auc:.4f}.",
                model_id=model_id,
            )
            client.set_registered_model_alias(MODEL, CHALLENGER, made.version)
        return _version(made)

    @bounded
    def appoint(self, version: Version) -> None:
        """Make a version the champion, after its bundle has been fetched and verified."""
        self.bundle(version)
        with self.reachable():
            self.client.set_registered_model_alias(MODEL, CHAMPION, str(version.number))

    @bounded
    def anchor(self) -> str | None:
        """What `keep_anchor` kept last, or None before that."""
        with self.reachable():
            found = self.client.search_registered_models(f"name='{MODEL}'")
            return found[0].tags.get(_ANCHOR) if found else None

    @bounded
    def keep_anchor(self, text: str) -> None:
        """Keep a line about the receipts with the model, apart from the receipts themselves."""
        with self.reachable():
            if not self.client.search_registered_models(f"name='{MODEL}'"):  # a pause before the first version
                self.client.create_registered_model(MODEL)
            self.client.set_registered_model_tag(MODEL, _ANCHOR, text)

    @bounded
    def keep_decision(self, number: int, receipt: str) -> None:
        """Tag a version with the receipt of the newest decision about it, for people who look at it in MLflow."""
        from mlflow.exceptions import MlflowException

        with self.reachable():
            try:
                self.client.set_model_version_tag(MODEL, str(number), "receipt", receipt)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # somebody has deleted the version since
                    raise

    @property
    def scratch(self) -> Path:
        """Where temporary folders are kept, by a path that MLflow, which takes paths for URIs, does not change."""
        (place := self.artifacts.with_name("tmp")).mkdir(parents=True, exist_ok=True)
        return plain(place)

    @bounded
    def bundle(self, version: Version) -> Bundle:
        """A version's bundle, fetched and verified. Raises RegistryError, or BundleError if it must not serve."""
        with self.reachable(), scratch(self.scratch) as folder:
            from mlflow.artifacts import download_artifacts

            local = download_artifacts(version.bundle_uri, dst_path=str(folder), tracking_uri=self.mlflow_uri)
            return Bundle.load(Path(local), version.bundle_sha256)

    @bounded
    def model(self, version: Version) -> Pipeline:
        """A version's scikit-learn pipeline."""
        client = self.client
        with self.reachable(), scratch(self.scratch) as folder:
            import mlflow.sklearn
            from mlflow.artifacts import download_artifacts

            uri = client.get_model_version_download_uri(MODEL, str(version.number))
            local = download_artifacts(uri, dst_path=str(folder), tracking_uri=self.mlflow_uri)
            return mlflow.sklearn.load_model(local)


def _version(found: ModelVersion) -> Version:
    tags = found.tags
    return Version(
        number=int(found.version),
        month=Month.parse(tags["month"]),
        auc=float(tags["auc"]),
        run_id=found.run_id or "",
        bundle_uri=tags["bundle_uri"],
        bundle_sha256=tags["bundle_sha256"],
    )
