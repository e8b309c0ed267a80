"""The shelf: what serving keeps on disk, so that it can serve without the registry.

Here: bundles by their SHA-256, and which versions passed their checks here. Not here: where bundles come from
(`registry`), or which one serves (`champion`).

    bundles/<SHA-256>/    a bundle; its name proves it
    champion.json         the version that served last
    previous.json         the one before it, in case the first or its bundle is damaged
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from churn_platform.bundle import Bundle, BundleError
from churn_platform.files import replacing
from serving.registry import Identity

CHAMPION, PREVIOUS = "champion.json", "previous.json"


class Shelf:
    """The folder in which serving keeps things."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, version: Identity) -> Bundle:
        """A version's bundle, verified. Raises BundleError, also where there is none."""
        bundle = Bundle.load(self._bundle(version), version.bundle_sha256)
        if bundle.manifest.month != version.month:
            raise BundleError(f"its bundle is for {bundle.manifest.month}, but the registry says {version.month}")
        return bundle

    def put(self, version: Identity, files: Mapping[str, bytes]) -> None:
        """Keep a bundle's files in place of what is there; the folder appears whole or not at all. Raises OSError."""
        folder = self._bundle(version)
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".fetching.", dir=folder.parent))
        try:
            for name, data in files.items():
                (partial / name).write_bytes(data)
            shutil.rmtree(folder, ignore_errors=True)  # a damaged copy
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise another process was faster, and its copy is as good
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def note(self, version: Identity) -> None:
        """Remember that this version serves. Raises OSError."""
        before = self._noted(CHAMPION)
        if before == version:
            return
        if before is not None:
            self._write(PREVIOUS, before)
        self._write(CHAMPION, version)

    def noted(self) -> Iterator[Identity]:
        """The versions that served, as far as they can be read; the last one first."""
        for name in (CHAMPION, PREVIOUS):
            if (version := self._noted(name)) is not None:
                yield version

    def _noted(self, name: str) -> Identity | None:
        try:
            return msgspec.json.decode((self._folder / name).read_bytes(), type=Identity)
        except (OSError, ValueError, RecursionError):
            return None

    def _write(self, name: str, version: Identity) -> None:
        with replacing(self._folder / name) as temporary:
            temporary.write_bytes(msgspec.json.encode(version))

    def _bundle(self, version: Identity) -> Path:
        return self._folder / "bundles" / version.bundle_sha256
