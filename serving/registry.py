"""The registry as serving sees it: which version is champion, and the bytes of its bundle. MLflow is not imported.

Here: MLflow's tables, read-only, for the embedded SQLite store; MLflow's REST API for a tracking server. Not here:
verifying, keeping and loading what was fetched (`champion`), or writing to the registry (the platform's business).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

import msgspec

from churn_platform.faults import Fault

if TYPE_CHECKING:
    import httpx

MODEL = "streamflow_churn"
ALIAS = "champion"


class RegistryUnavailableError(Fault):
    """The registry or its artifacts cannot be read at present."""


class RegistryUriError(Fault):
    """Serving cannot read a registry of this kind."""


class Registered(msgspec.Struct, frozen=True):
    """A registered version: its number, its month, where its bundle is and the bundle's SHA-256."""

    version: int
    month: str
    bundle_uri: str
    bundle_sha256: str


class RegistryReader(Protocol):
    """Both methods wait for files or the network and raise RegistryUnavailableError."""

    def champion(self) -> Registered | None:
        """The version with the alias `champion`, or None where the registry has none."""

    def read(self, uri: str, name: str) -> bytes:
        """One file of the bundle at `uri`."""


def open_registry(uri: str, timeout: float) -> RegistryReader:
    """The registry at an MLflow URI: `sqlite:///path` or `http(s)://...`. `timeout` is in seconds.

    Raises RegistryUriError.
    """
    if uri.startswith("sqlite:///"):
        return SqliteRegistryReader(Path(uri.removeprefix("sqlite:///")))
    if uri.startswith(("http://", "https://")):
        return HttpRegistryReader(uri, timeout)
    raise RegistryUriError("CHURN_MLFLOW_TRACKING_URI must start with sqlite:/// or http(s):// for serving")


def _registered(version: int, tags: dict[str, str]) -> Registered:
    if missing := [tag for tag in ("month", "bundle_uri", "bundle_sha256") if not tags.get(tag)]:
        raise RegistryUnavailableError(
            f"version {version} of {MODEL} lacks the tags {', '.join(missing)}: register it again"
        )
    return Registered(version, tags["month"], tags["bundle_uri"], tags["bundle_sha256"])


class SqliteRegistryReader:
    """MLflow's SQLite file, and bundles in folders on this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def champion(self) -> Registered | None:
        """Ask MLflow's tables."""
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as database:
                found = database.execute(
                    "SELECT a.version, t.key, t.value FROM registered_model_aliases a LEFT JOIN model_version_tags t"
                    " ON t.name = a.name AND t.version = a.version AND t.workspace = a.workspace"
                    " WHERE a.name = ? AND a.alias = ?",
                    (MODEL, ALIAS),
                ).fetchall()
        except sqlite3.Error as error:
            raise RegistryUnavailableError(f"the registry {self._path} cannot be read: {error}") from error
        return _registered(found[0][0], {key: value for _, key, value in found}) if found else None

    def read(self, uri: str, name: str) -> bytes:
        """Read a file on this machine."""
        path = Path(url2pathname(urlsplit(uri).path) if uri.startswith("file:") else uri) / name
        try:
            return path.read_bytes()
        except OSError as error:
            raise RegistryUnavailableError(f"the bundle's file {path} cannot be read: {error.strerror}") from error


class HttpRegistryReader:
    """An MLflow tracking server that proxies its artifacts. A user and password in the URL are sent along."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._client: httpx.Client | None = None

    def champion(self) -> Registered | None:
        """Ask the server."""
        response = self._get(f"/api/2.0/mlflow/registered-models/alias?name={MODEL}&alias={ALIAS}")
        answer = response.json()
        if response.status_code in (400, 404) and answer.get("error_code") in (
            "RESOURCE_DOES_NOT_EXIST",
            "INVALID_PARAMETER_VALUE",  # the model exists but the alias does not
        ):
            return None
        if response.status_code != 200:
            raise RegistryUnavailableError(f"the registry answered {response.status_code}: {answer.get('message')}")
        found = answer["model_version"]
        return _registered(int(found["version"]), {tag["key"]: tag["value"] for tag in found.get("tags", [])})

    def read(self, uri: str, name: str) -> bytes:
        """Download a file from the server's proxied artifacts."""
        parts = urlsplit(uri)
        if parts.scheme != "mlflow-artifacts":
            raise RegistryUnavailableError(
                f"the bundle {uri} is not proxied by the registry: start it with --serve-artifacts"
            )
        path = quote(f"{parts.path.strip('/')}/{name}")
        response = self._get(f"/api/2.0/mlflow-artifacts/artifacts/{path}")
        if response.status_code != 200:
            raise RegistryUnavailableError(f"the bundle's file {name} cannot be fetched: status {response.status_code}")
        return response.content

    def _get(self, path: str) -> httpx.Response:
        import httpx

        if self._client is None:
            self._client = httpx.Client(timeout=self._timeout)
        try:
            response = self._client.get(f"{self._url}{path}")
            if response.headers.get("content-type", "").startswith("application/json"):
                response.json()
            elif "/mlflow-artifacts/" not in path:
                raise RegistryUnavailableError(f"the registry's answer is not JSON: status {response.status_code}")
        except (httpx.HTTPError, ValueError) as error:
            raise RegistryUnavailableError(f"the registry does not answer: {type(error).__name__}") from error
        return response
