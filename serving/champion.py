"""The champion: the version that serves, how it gets here, and when it is replaced.

Here: fetching and verifying a bundle, keeping it on disk, swapping, the last good one at start. Not here: asking MLflow
(`registry`), what a bundle is (`churn_platform.bundle`), scoring (`scoring`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path

import msgspec

from churn_platform.bundle import Bundle, BundleError, Manifest
from churn_platform.files import sha256
from serving.metrics import Metrics, age
from serving.registry import Registered, RegistryReader, RegistryUnavailableError
from serving.scoring import Scored, score

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Champion:
    """A verified version, ready to score, and when this process began to serve it (UTC).

    `score` is `scoring.score` with this bundle. It remembers its last answers by what was scored: the bytes that the
    store holds. They are a pure function of these bytes, so they cannot be out of date, and they are forgotten with the
    champion.
    """

    registered: Registered
    bundle: Bundle
    since: datetime
    score: Callable[[bytes], Scored]

    @property
    def version(self) -> int:
        """The registry's number."""
        return self.registered.version


class Champions:
    """Holds the champion. `current` is replaced by one assignment, so a request that reads it once is consistent.

    `remembered` bounds how many scores each champion remembers. `home` keeps `bundles/<SHA-256>/` and `champion.json`,
    which names the last one that passed its checks. `problem` says what is wrong with the registry or with the version
    that it names, and is None when all is well.
    """

    def __init__(self, registry: RegistryReader, home: Path, remembered: int, metrics: Metrics) -> None:
        self.current: Champion | None = None
        self.problem: str | None = "champion: not looked for yet"
        self._registry = registry
        self._home = home
        self._remembered = remembered
        self._metrics = metrics
        self._refused: Registered | None = None
        metrics.champion_age.set_function(lambda: age(self.current.registered.month if self.current else None))

    async def refresh(self) -> None:
        """Ask the registry and swap if it names another version. Never raises for what the registry holds or does."""
        try:
            registered = await asyncio.to_thread(self._registry.champion)
            if registered is None:
                # Whoever removed the alias did not name another version: the one that serves goes on serving.
                self.problem = "champion: the registry names none"
            elif self.current is None or self.current.registered != registered:
                self._swap(registered, await asyncio.to_thread(self._load, registered))
            else:
                self.problem = None
        except RegistryUnavailableError as error:
            self.problem = f"champion: {error}"
            if self.current is None:
                await self._last_good()
        except BundleError as error:
            self._refuse(registered, error)

    def _swap(self, registered: Registered, bundle: Bundle) -> None:
        remembering = lru_cache(self._remembered)(partial(score, bundle))
        self.current = Champion(registered, bundle, datetime.now(UTC), remembering)
        self.problem = self._refused = None
        self._metrics.champion_version.set(registered.version)
        log.info("version %d serves", registered.version)

    def _refuse(self, registered: Registered | None, error: BundleError) -> None:
        assert registered is not None
        self.problem = f"champion: version {registered.version} was refused: {error}"
        if registered != self._refused:  # retried at every poll, since a copy may have been incomplete; counted once
            self._refused = registered
            self._metrics.refused_reloads.inc()
            log.error("version %d was refused: %s", registered.version, error)

    def _load(self, registered: Registered) -> Bundle:
        """The version's bundle, from this disk or fetched. Raises BundleError and RegistryUnavailableError."""
        folder = self._home / "bundles" / registered.bundle_sha256
        try:
            bundle = Bundle.load(folder, registered.bundle_sha256)
        except BundleError:  # not there, or damaged
            self._fetch(registered, folder)
            bundle = Bundle.load(folder, registered.bundle_sha256)
        if bundle.manifest.month != registered.month:
            raise BundleError(f"its bundle is for {bundle.manifest.month}, but the registry says {registered.month}")
        self._write(self._home / "champion.json", msgspec.json.encode(registered))
        return bundle

    def _fetch(self, registered: Registered, folder: Path) -> None:
        """Copy a bundle here; its folder appears whole or not at all."""
        raw = self._registry.read(registered.bundle_uri, MANIFEST)
        if sha256(raw) != registered.bundle_sha256:
            raise BundleError(f"{MANIFEST} at {registered.bundle_uri} is not the one that was registered")
        try:
            names = msgspec.json.decode(raw, type=Manifest).files
        except msgspec.DecodeError as error:
            raise BundleError(f"{MANIFEST} at {registered.bundle_uri}: {error}") from error
        if unsafe := [name for name in names if name != Path(name).name]:
            raise BundleError(f"{MANIFEST} at {registered.bundle_uri} names files outside its folder: {unsafe}")
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".fetching.", dir=folder.parent))
        try:
            for name in names:
                (partial / name).write_bytes(self._registry.read(registered.bundle_uri, name))
            (partial / MANIFEST).write_bytes(raw)
            shutil.rmtree(folder, ignore_errors=True)  # a damaged copy
            partial.rename(folder)
        except OSError as error:
            if not folder.exists():  # otherwise another process was faster, and its copy is as good
                raise RegistryUnavailableError(
                    f"the bundle cannot be kept under {folder.parent}: {error.strerror}"
                ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    async def _last_good(self) -> None:
        """Serve the last version that passed its checks here, since the registry cannot be asked."""
        try:
            registered = msgspec.json.decode((self._home / "champion.json").read_bytes(), type=Registered)
            folder = self._home / "bundles" / registered.bundle_sha256
            bundle = await asyncio.to_thread(Bundle.load, folder, registered.bundle_sha256)
        except (OSError, msgspec.DecodeError, BundleError):
            return  # nothing to fall back to; `problem` already says why there is no champion
        problem = self.problem
        self._swap(registered, bundle)
        self.problem = problem

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
