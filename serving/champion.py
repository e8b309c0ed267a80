"""The champion: the version that serves, and when it is replaced.

Here: looking at the registry, fetching and verifying what it names, swapping, falling back to the last good version.
Not here: asking MLflow (`registry`), what is kept on disk (`shelf`), what a bundle is (`churn_platform.bundle`), or
scoring (`scoring`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path

from churn_platform.bundle import Bundle, BundleError, Manifest
from churn_platform.files import sha256
from serving.asking import NoAnswerError, decoded, shown, within
from serving.metrics import Metrics, age
from serving.registry import Registered, RegistryReader, RegistryUnavailableError, Version
from serving.scoring import Scored, score
from serving.shelf import Shelf

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"

_FETCHING = 10
"""How many times as long as an answer of the registry a whole bundle may take."""


@dataclass(frozen=True)
class Champion:
    """A verified version, ready to score, and when this process began to serve it (UTC).

    `score` is `scoring.score` with this bundle. It remembers its last answers by what was scored: the bytes that the
    store holds. They are a pure function of these bytes, so they cannot be out of date, and they are forgotten with the
    champion.
    """

    identity: Version
    bundle: Bundle
    since: datetime
    score: Callable[[bytes], Scored]

    @property
    def version(self) -> int:
        """The registry's number."""
        return self.identity.number


class Champions:
    """Holds the champion. `current` is replaced by one assignment, so a request that reads it once is consistent.

    `timeout` is how many seconds the registry has for an answer; `remembered` bounds how many scores each champion
    remembers. `problem` says what is wrong with the registry or with the version that it names, and is None when all is
    well.
    """

    def __init__(
        self, registry: RegistryReader, shelf: Shelf, timeout: float, remembered: int, metrics: Metrics
    ) -> None:
        self.current: Champion | None = None
        self.problem: str | None = "champion: not looked for yet"
        self._registry = registry
        self._shelf = shelf
        self._timeout = timeout
        self._remembered = remembered
        self._metrics = metrics
        self._refused: Version | None = None
        self._bug: str | None = None
        metrics.champion_age.set_function(lambda: age(self.current.identity.month if self.current else None))

    @property
    def warnings(self) -> list[str]:
        """What is wrong although a version serves, a sentence each."""
        if self.problem is None or self.current is None:
            return []
        return [f"{self.problem}; version {self.current.version}, the last good one, serves"]

    async def refresh(self) -> None:
        """Look at the registry once, and swap if it names another version.

        Never raises: in every failure the version that serves goes on serving, or else the last good one begins to.
        """
        try:
            self.problem = await self._look()
        except RegistryUnavailableError as error:
            self.problem = f"champion: {error}"
        except Exception as error:
            self._report(error)
        if self.current is None:
            await self._last_good()

    async def _look(self) -> str | None:
        """Serve what the registry names; returns what is wrong, if anything. Raises RegistryUnavailableError."""
        registered = await self._registry.champion()
        if registered is None:
            # Whoever removed the alias did not name another version: the one that serves goes on serving.
            return "champion: the registry names none"
        wanted = registered.version
        bundle = None
        if self.current is None or self.current.identity != wanted:
            try:
                bundle = await self._load(wanted, registered)
            except BundleError as error:
                return self._refuse(wanted, error)
        problem = await self._note(wanted)
        if bundle is not None:
            self._swap(wanted, bundle)
        return problem

    async def _note(self, version: Version) -> str | None:
        """Have the next start know this version as the last good one; returns what is wrong, if anything."""
        try:
            await asyncio.to_thread(self._shelf.note, version)
        except OSError as error:
            return f"champion: version {version.number} cannot be noted for the next start: {error.strerror}"
        return None

    async def _load(self, wanted: Version, registered: Registered) -> Bundle:
        """The version's bundle, from this disk or fetched. Raises BundleError and RegistryUnavailableError."""
        try:
            return await asyncio.to_thread(self._shelf.load, wanted)
        except BundleError:  # not there, or damaged
            pass
        if self.current is None:
            await self._last_good()  # nobody should wait for a slow registry
        self.problem = f"champion: version {wanted.number} is being fetched"
        try:
            async with within(self._timeout * _FETCHING, f"{_FETCHING} times CHURN_SERVING_TIMEOUT_SECONDS"):
                files = await self._fetch(wanted, registered.bundle_uri)
            await asyncio.to_thread(self._shelf.put, wanted, files)
        except NoAnswerError as error:
            raise RegistryUnavailableError(f"the bundle of version {wanted.number} was not fetched: {error}") from error
        except OSError as error:
            raise RegistryUnavailableError(
                f"the bundle of version {wanted.number} cannot be kept under CHURN_HOME: {error.strerror}"
            ) from error
        return await asyncio.to_thread(self._shelf.load, wanted)

    async def _fetch(self, wanted: Version, uri: str) -> dict[str, bytes]:
        """A bundle's files by name, as far as its manifest is the registered one and names no others."""
        raw = await self._registry.read(uri, MANIFEST)
        if sha256(raw) != wanted.bundle_sha256:
            raise BundleError(f"{MANIFEST} at {shown(uri)} is not the one that was registered")
        try:
            names = decoded(raw, Manifest).files
        except NoAnswerError as error:
            raise BundleError(f"{MANIFEST} at {shown(uri)}: {error}") from error
        if unsafe := [name for name in names if name != Path(name).name or "\0" in name]:
            raise BundleError(f"{MANIFEST} at {shown(uri)} names files outside its folder: {shown(unsafe)}")
        return {name: await self._registry.read(uri, name) for name in names} | {MANIFEST: raw}

    def _swap(self, version: Version, bundle: Bundle) -> None:
        remembering = lru_cache(self._remembered)(partial(score, bundle))
        self.current = Champion(version, bundle, datetime.now(UTC), remembering)
        self._refused = None
        self._metrics.champion_version.set(version.number)
        log.info("version %d serves", version.number)

    def _refuse(self, version: Version, error: BundleError) -> str:
        if version != self._refused:  # retried at every poll, since a copy may have been incomplete; counted once
            self._refused = version
            self._metrics.refused_reloads.inc()
            log.error("version %d was refused: %s", version.number, error)
        return f"champion: version {version.number} was refused: {error}"

    def _report(self, error: Exception) -> None:
        """Say that there is a bug here, with its traceback in the log, but not again at every poll."""
        self.problem = f"champion: serving has a bug, which its log shows: {type(error).__name__}"
        if self._bug != repr(error):
            self._bug = repr(error)
            log.error("looking for the champion failed", exc_info=error)

    async def _last_good(self) -> None:
        """Serve the last version that passed its checks here."""
        for version in self._shelf.noted():
            try:
                bundle = await asyncio.to_thread(self._shelf.load, version)
            except BundleError as error:
                log.error("version %d, which served last, cannot serve: %s", version.number, error)
            else:
                self._swap(version, bundle)
                return
