"""The registry as serving sees it: which version is champion, and the bytes of its bundle. MLflow is not imported.

Here: MLflow's tables, read-only, for the embedded SQLite store; MLflow's REST API for a tracking server. Not here:
verifying, keeping and loading what was fetched (`champion`), or writing to the registry (the platform's business).
Whatever is read is checked against a schema first: nobody may rely on what a registry says.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Annotated, Any, Protocol
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

import msgspec
from msgspec import Meta

from churn_platform.faults import Fault
from serving.asking import Answer, Asker, NoAnswerError, decoded, shown, within

MODEL = "streamflow_churn"
ALIAS = "champion"

_ANSWER_BYTES = 1_000_000
_FILE_BYTES = 100_000_000
"""The most that is read of an answer, and of a bundle's file."""


class RegistryUnavailableError(Fault):
    """The registry or its artifacts cannot be read at present, or are not as they should be."""


class RegistryUriError(Fault):
    """Serving cannot read a registry of this kind."""


Number = Annotated[int, Meta(ge=1, lt=2**53)]


class Identity(msgspec.Struct, frozen=True):
    """Which version: its number in the registry, its month, and the SHA-256 of its bundle, which alone proves it."""

    number: Number = msgspec.field(name="version")
    month: Annotated[str, Meta(pattern=r"\A[1-9][0-9]{3}-(0[1-9]|1[0-2])\Z")]
    bundle_sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class Registered(msgspec.Struct, frozen=True):
    """A version as the registry has it: its number and its tags, which may say anything."""

    number: Number
    tags: dict[str, str]

    @property
    def version(self) -> Identity:
        """Which version it is. Raises RegistryUnavailableError where the tags do not say."""
        self._require("month", "bundle_sha256")
        try:
            return msgspec.convert({**self.tags, "version": self.number}, Identity)
        except msgspec.ValidationError as error:
            raise RegistryUnavailableError(
                f"version {self.number} of {MODEL} has a tag that cannot be right: {shown(error)}: register it again"
            ) from error

    @property
    def bundle_uri(self) -> str:
        """Where its bundle is. Raises RegistryUnavailableError."""
        self._require("bundle_uri")
        return self.tags["bundle_uri"]

    def _require(self, *tags: str) -> None:
        if missing := [tag for tag in tags if not self.tags.get(tag)]:
            raise RegistryUnavailableError(
                f"version {self.number} of {MODEL} lacks the tags {', '.join(missing)}: register it again"
            )


class RegistryReader(Protocol):
    """How serving reads a registry. Every method but `close` raises RegistryUnavailableError."""

    async def champion(self) -> Registered | None:
        """The version with the alias `champion`, or None where the registry has none."""

    async def version(self, number: int) -> Registered:
        """The version of this number."""

    async def read(self, uri: str, name: str) -> bytes:
        """One file of the bundle at `uri`."""

    async def close(self) -> None:
        """Close the connections."""


def open_registry(uri: str, timeout: float) -> RegistryReader:
    """The registry at an MLflow URI: `sqlite:///path` or `http(s)://...`. `timeout` is in seconds.

    Raises RegistryUriError.
    """
    if uri.startswith("sqlite:///"):
        return SqliteRegistryReader(Path(uri.removeprefix("sqlite:///")), timeout)
    if uri.startswith(("http://", "https://")):
        return HttpRegistryReader(uri, timeout)
    raise RegistryUriError("CHURN_MLFLOW_TRACKING_URI must start with sqlite:/// or http(s):// for serving")


class SqliteRegistryReader:
    """MLflow's SQLite file, and bundles in folders on this machine."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout

    async def champion(self) -> Registered | None:
        """Ask MLflow's tables."""
        found = await self._query(
            "SELECT a.version, t.key, t.value FROM registered_model_aliases a LEFT JOIN model_version_tags t"
            " ON t.name = a.name AND t.version = a.version AND t.workspace = a.workspace"
            " WHERE a.name = ? AND a.alias = ?",
            (MODEL, ALIAS),
        )
        return self._registered(found) if found else None

    async def version(self, number: int) -> Registered:
        """Ask MLflow's tables."""
        found = await self._query(
            "SELECT v.version, t.key, t.value FROM model_versions v LEFT JOIN model_version_tags t"
            " ON t.name = v.name AND t.version = v.version AND t.workspace = v.workspace"
            " WHERE v.name = ? AND v.version = ?",
            (MODEL, number),
        )
        if not found:
            raise RegistryUnavailableError(f"the registry has no version {number} of {MODEL}")
        return self._registered(found)

    async def read(self, uri: str, name: str) -> bytes:
        """Read a file on this machine."""
        return await asyncio.to_thread(self._read, uri, name)

    async def close(self) -> None:
        """Nothing stays open."""

    async def _query(self, sql: str, parameters: tuple[object, ...]) -> list[Any]:
        async with _as_unavailable(f"the registry {self._path} cannot be read"), within(self._timeout):
            return await asyncio.to_thread(self._fetch, sql, parameters)

    def _fetch(self, sql: str, parameters: tuple[object, ...]) -> list[Any]:
        try:
            uri = f"{self._path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=self._timeout)) as database:
                return database.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise NoAnswerError(shown(error)) from error

    def _registered(self, rows: list[Any]) -> Registered:
        tags = {key: value for _, key, value in rows if key is not None}
        try:
            return msgspec.convert({"number": rows[0][0], "tags": tags}, Registered)
        except msgspec.ValidationError as error:
            raise RegistryUnavailableError(f"the registry {self._path} is not as expected: {shown(error)}") from error

    def _read(self, uri: str, name: str) -> bytes:
        try:
            path = Path(url2pathname(urlsplit(uri).path) if uri.startswith("file:") else uri) / name
            with path.open("rb") as file:
                data = file.read(_FILE_BYTES + 1)
        except (OSError, ValueError) as error:  # ValueError: no path at all
            reason = shown(getattr(error, "strerror", None) or error)
            raise RegistryUnavailableError(f"the bundle's file {shown(uri)}/{name} cannot be read: {reason}") from error
        if len(data) > _FILE_BYTES:
            raise RegistryUnavailableError(f"the bundle's file {path} is larger than {_FILE_BYTES:,} bytes")
        return data


class _VersionTag(msgspec.Struct):
    key: str
    value: str = ""


class _Found(msgspec.Struct):
    version: Number
    tags: list[_VersionTag] = []


class _VersionAnswer(msgspec.Struct):
    model_version: _Found


class _Refused(msgspec.Struct):
    error_code: str = ""
    message: str = ""


class HttpRegistryReader:
    """An MLflow tracking server that proxies its artifacts. A user and password in the URL are sent along."""

    def __init__(self, url: str, timeout: float) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._asker = Asker()

    async def champion(self) -> Registered | None:
        """Ask the server."""
        # INVALID_PARAMETER_VALUE: the model exists but the alias does not.
        absent = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
        return await self._find(f"registered-models/alias?name={MODEL}&alias={ALIAS}", absent)

    async def version(self, number: int) -> Registered:
        """Ask the server."""
        found = await self._find(f"model-versions/get?name={MODEL}&version={number}", ("RESOURCE_DOES_NOT_EXIST",))
        if found is None or found.number != number:
            raise RegistryUnavailableError(f"the registry has no version {number} of {MODEL}")
        return found

    async def read(self, uri: str, name: str) -> bytes:
        """Download a file from the server's proxied artifacts."""
        try:
            parts = urlsplit(uri)
        except ValueError as error:
            raise RegistryUnavailableError(f"{shown(uri)} is no place for a bundle: {shown(error)}") from error
        if parts.scheme != "mlflow-artifacts":
            raise RegistryUnavailableError(
                f"the bundle {shown(uri)} is not proxied by the registry: start it with --serve-artifacts"
            )
        path = quote(f"{parts.path.strip('/')}/{name}")
        async with _as_unavailable(f"the bundle's file {name} cannot be fetched"):
            answer = await self._get(f"mlflow-artifacts/artifacts/{path}", _FILE_BYTES)
        if answer.status != 200:
            raise RegistryUnavailableError(f"the bundle's file {name} cannot be fetched: status {answer.status}")
        return answer.body

    async def close(self) -> None:
        """Close the connections."""
        await self._asker.close()

    async def _find(self, question: str, absent: tuple[str, ...]) -> Registered | None:
        async with _as_unavailable("the registry does not answer as it should"), within(self._timeout):
            answer = await self._get(f"mlflow/{question}", _ANSWER_BYTES)
            if answer.status == 200:
                found = decoded(answer.body, _VersionAnswer).model_version
                return Registered(found.version, {tag.key: tag.value for tag in found.tags})
            try:
                refused = decoded(answer.body, _Refused)
            except NoAnswerError:
                refused = _Refused()
            if answer.status in (400, 404) and refused.error_code in absent:
                return None
            raise NoAnswerError(f"status {answer.status} {shown(refused.message)}".strip())

    async def _get(self, path: str, most: int) -> Answer:
        return await self._asker.ask("GET", f"{self._url}/api/2.0/{path}", most)


@asynccontextmanager
async def _as_unavailable(what: str) -> AsyncIterator[None]:
    """Say what cannot be done without the answer."""
    try:
        yield
    except NoAnswerError as error:
        raise RegistryUnavailableError(f"{what}: {error}") from error
