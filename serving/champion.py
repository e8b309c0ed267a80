"""The champion: the version that serves, and when it is replaced.

Here: looking at the registry and the ledger, fetching and verifying what they name, swapping, falling back to the last
good version, and holding to it where the new one cannot score what is published. Not here: asking MLflow (`registry`),
reading receipts (`ledger`), what is kept on disk (`shelf`), what a bundle is (`churn_platform.bundle`), or scoring
(`scoring`).

With `require_receipt` a version serves only once a receipt made it champion, whatever the registry's alias says; the
registry then only says where that version's bundle is. Where there are no receipts at all, the alias counts.
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
from churn_platform.online.types import Row, RowSchema
from churn_platform.settings.services import ServingSettings
from serving.asking import NoAnswerError, decoded, shown, within
from serving.comparing import Compared
from serving.features import OnlineFeatures
from serving.ledger import LedgerError, ReceiptReader, Standing
from serving.metrics import Metrics, age
from serving.registry import Identity, Registered, RegistryReader, RegistryUnavailableError
from serving.scoring import Scored, Unscorable, score, unscorable
from serving.shelf import Shelf

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"

_PUBLICATIONS = 2
"""How many publications are judged once: the newest, and the one before, of which answers may be under way."""

_FETCHING = 10
"""How many times as long as an answer of the registry a whole bundle may take."""


@dataclass(frozen=True)
class Champion:
    """A verified version, ready to score, and when this process began to serve it (UTC).

    `score` and `unscorable` are those of `scoring` with this bundle. They remember their last answers by what they were
    asked of: the row as the store holds it, and what all rows of a publication share. They are pure functions of that,
    so they cannot be out of date, and what they remember is forgotten with the champion.
    """

    identity: Identity
    bundle: Bundle
    since: datetime
    score: Callable[[Row], Scored]
    unscorable: Callable[[RowSchema], Unscorable | None]

    @property
    def version(self) -> int:
        """The registry's number."""
        return self.identity.number


class Champions:
    """Holds the champion. `current` is replaced by one assignment, so a request that reads it once is consistent.

    `problem` says what is wrong with the registry or with the version that is to serve, and is None when all is well.
    """

    def __init__(
        self,
        registry: RegistryReader,
        ledger: ReceiptReader,
        shelf: Shelf,
        features: OnlineFeatures,
        settings: ServingSettings,
        metrics: Metrics,
    ) -> None:
        self.current: Champion | None = None
        self.problem: str | None = "champion: not looked for yet"
        self._registry = registry
        self._ledger = ledger
        self._shelf = shelf
        self._features = features
        self._timeout = settings.serving_timeout_seconds
        self._remembered = settings.serving_remembered_scores
        self._require_receipt = settings.require_receipt
        self._standing: Standing | None = None  # None before the receipts could be read for the first time
        self._unread: str | None = None
        self._compared = Compared()
        self._metrics = metrics
        self._refused: Identity | None = None
        self._bug: str | None = None
        metrics.champion_age.set_function(lambda: age(self.current.identity.month if self.current else None))

    @property
    def warnings(self) -> list[str]:
        """What people should know although a version serves, a sentence each."""
        if self.current is None:
            return []
        problem = f"{self.problem}; version {self.current.version}, the last good one, serves" if self.problem else None
        paused = self._standing.paused if self._standing else None
        pause = None if paused is None else f"promotions and retrainings are paused: {paused}"
        return [told for told in (problem, self._unread, self._compared.difference, pause) if told is not None]

    async def refresh(self) -> None:
        """Look at registry and ledger once, and swap if another version is to serve.

        Never raises: in every failure the version that serves goes on serving, or else the last good one begins to.
        """
        try:
            self.problem = await self._look()
        except (RegistryUnavailableError, LedgerError) as error:
            self.problem = f"champion: {error}"
        except Exception as error:
            self._report(error)
        if self.current is None:
            await self._last_good()

    async def _look(self) -> str | None:
        """Serve what is to serve; returns what is wrong, if anything.

        Raises RegistryUnavailableError and LedgerError.
        """
        registered, problem = await self._named()
        standing = await self._ruled()  # after the alias, which a promotion moves first
        self._compared.look(registered, standing)
        wanted = standing.champion if self._require_receipt else None
        if wanted is None:
            if registered is None:
                return problem
            wanted = registered.version
        bundle = None
        if self.current is None or self.current.identity != wanted:
            try:
                bundle = await self._load(wanted, registered)
            except BundleError as error:
                return self._refuse(wanted, error)
            if (why := await self._waits(bundle)) is not None:
                return f"champion: version {wanted.number} waits: {why}"
        unnoted = await self._note(wanted)
        if bundle is not None:
            self._swap(wanted, bundle)
        return problem or unnoted

    async def _named(self) -> tuple[Registered | None, str | None]:
        """The version that the registry names, or else why there is none."""
        try:
            registered = await self._registry.champion()
        except RegistryUnavailableError as error:
            return None, f"champion: {error}"
        # Whoever removed the alias did not name another version: the one that serves goes on serving.
        return registered, None if registered else "champion: the registry names none"

    async def _ruled(self) -> Standing:
        """What the receipts say, or said when they could be read last. Raises LedgerError where they never could."""
        try:
            self._standing, self._unread = await self._ledger.read(), None
        except LedgerError as error:
            if self._standing is None and self._require_receipt:
                raise
            self._unread = f"champion: {error}"
        return self._standing or Standing()

    async def _waits(self, bundle: Bundle) -> str | None:
        """Why this bundle is not served yet: it cannot score what is published, and the one that serves can."""
        await self._features.refresh()
        if (publication := self._features.publication) is None:
            return None
        if (found := unscorable(bundle, publication.schema)) is None:
            return None
        if self.current is None:
            await self._last_good()
        return None if self.current is None or self.current.unscorable(publication.schema) else found.why

    async def _note(self, version: Identity) -> str | None:
        """Have the next start know this version as the last good one; returns what is wrong, if anything."""
        try:
            await asyncio.to_thread(self._shelf.note, version)
        except OSError as error:
            return f"champion: version {version.number} cannot be noted for the next start: {error.strerror}"
        return None

    async def _load(self, wanted: Identity, registered: Registered | None) -> Bundle:
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
                if registered is None or registered.number != wanted.number:  # the alias is elsewhere
                    registered = await self._registry.version(wanted.number)
                files = await self._fetch(wanted, registered.bundle_uri)
            await asyncio.to_thread(self._shelf.put, wanted, files)
        except NoAnswerError as error:
            raise RegistryUnavailableError(f"the bundle of version {wanted.number} was not fetched: {error}") from error
        except OSError as error:
            raise RegistryUnavailableError(
                f"the bundle of version {wanted.number} cannot be kept under CHURN_HOME: {error.strerror}"
            ) from error
        return await asyncio.to_thread(self._shelf.load, wanted)

    async def _fetch(self, wanted: Identity, uri: str) -> dict[str, bytes]:
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

    def _swap(self, version: Identity, bundle: Bundle) -> None:
        judge = lru_cache(_PUBLICATIONS)(partial(unscorable, bundle))
        remembering = lru_cache(self._remembered)(partial(score, bundle, judge))
        self.current = Champion(version, bundle, datetime.now(UTC), remembering, judge)
        self._refused = None
        self._metrics.champion_version.set(version.number)
        log.info("version %d serves", version.number)

    def _refuse(self, version: Identity, error: BundleError) -> str:
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
        """Serve the last version that passed its checks here; where a receipt is required, one that has a receipt."""
        champions = self._standing.champions if self._standing and self._require_receipt else frozenset()
        for version in self._shelf.noted():
            if champions and version not in champions:
                continue
            try:
                bundle = await asyncio.to_thread(self._shelf.load, version)
            except BundleError as error:
                log.error("version %d, which served last, cannot serve: %s", version.number, error)
            else:
                self._swap(version, bundle)
                return
