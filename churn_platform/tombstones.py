"""Tombstones: who was erased, so that no drop, restored backup or closed month brings them back.

Here: the file of keyed hashes, and telling by it whose a key is. Not here: erasing (`erasure`), or leaving rows out of
a drop (`intake.parsing`).

A tombstone is the SHA-256 of a secret that is made once, as 64 hexadecimal digits, and the customer's key. Both lie in
a folder of their own, outside of what a backup packs: so restoring an old one brings nobody back, and a backup by
itself tells nobody who was erased. Whoever has the secret can find out whether somebody whom they know by name was.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import msgspec

from churn_platform.faults import Fault
from churn_platform.files import locked, replacing, sha256
from churn_platform.files.modes import OWNER_ALONE

FILE = "tombstones.json"
_SECRET_BYTES = 32


class TombstonesError(Fault):
    """Tombstones that cannot be read, or that are not all there; the message names the folder and says what to do."""

    lasting = True


class _Kept(msgspec.Struct, frozen=True):
    """The file: the secret in hexadecimal, and the day of each erasure by the customer's hash."""

    secret: str
    erased: dict[str, str]


class Tombstones:
    """The tombstones of one folder, read once, on first use; there may be none yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / FILE

    @property
    def hashes(self) -> frozenset[str]:
        """Whom there is one of. Raises TombstonesError."""
        return frozenset(self._kept.erased)

    @cached_property
    def _kept(self) -> _Kept:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return _Kept(secrets.token_hex(_SECRET_BYTES), {})
        except (OSError, msgspec.DecodeError) as error:
            raise TombstonesError(f"{self._file} cannot be read: {error}: restore it from its copy") from error

    def add(self, customers: Iterable[str], day: str) -> tuple[str, ...]:
        """Put one up for each customer who has none, with the day (ISO 8601), and return all of their hashes."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TombstonesError(f"{self.folder} (CHURN_TOMBSTONES) cannot be made: {error.strerror}") from error
        with locked(self.folder / ".lock"):
            vars(self).pop("_kept", None)  # others may have added some
            found = self.of(customers)
            kept = _Kept(self._kept.secret, dict.fromkeys(found, day) | self._kept.erased)
            with replacing(self._file) as temporary:
                temporary.chmod(OWNER_ALONE)
                temporary.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
            self._kept = kept
        return found

    def of(self, customers: Iterable[str]) -> tuple[str, ...]:
        """The customers' hashes, whether they were erased or not."""
        return tuple(sha256((self._kept.secret + customer).encode()) for customer in customers)

    def among(self, customers: Iterable[str]) -> set[str]:
        """Those of the customers who were erased."""
        found, erased = list(customers), self._kept.erased
        return {customer for customer, known in zip(found, self.of(found), strict=True) if known in erased}

    def sql(self, column: str) -> str:
        """The hash of a quoted column of texts, in DuckDB's SQL."""
        return f"sha256('{self._kept.secret}' || {column})"


def require(folder: Path, hashes: Iterable[str]) -> None:
    """Raise TombstonesError unless there is one of everybody whom receipts name as erased."""
    if missing := set(hashes) - Tombstones(folder).hashes:
        raise TombstonesError(
            f"{folder} (CHURN_TOMBSTONES) lacks {len(missing):,} of the customers who were erased, as the receipts say:"
            " put that folder back, since without it a drop or a closed month would bring them back"
        )
