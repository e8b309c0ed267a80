"""The archive: a backup's file, which is a tar that ends with an inventory.

Here: writing one, and unpacking one if every byte is as it was written. Not here: what goes into it (`making`), or
where it goes from there (`restoring`).

    home/...                        the files of CHURN_HOME
    databases/NAME/schema.json      a PostgreSQL database's tables
    databases/NAME/rows/1           the rows of the first, as COPY writes them, and so on
    inventory.json                  what all of this is, and the SHA-256 of every file
    inventory.sha256                its own
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import BinaryIO

import msgspec

from churn_platform.faults import Fault
from churn_platform.files import sha256, sha256_of
from churn_platform.shown import inert

INVENTORY = "inventory.json"
_ITS_DIGEST = "inventory.sha256"
FORMAT = 1
_LONGEST, _LONGEST_PART = 1000, 255  # letters of a name
_BROKEN = (
    *(tarfile.TarError, EOFError, msgspec.DecodeError),
    *(FileExistsError, NotADirectoryError),  # names that stand in each other's way
    FileNotFoundError,  # there is no inventory
    *(ValueError, OverflowError),  # a name or a time that no system takes
)


class ArchiveError(Fault):
    """A file that is no backup, or no longer the one that was written; the message names it."""

    lasting = True


class Inventory(msgspec.Struct, frozen=True):
    """What a backup is: made when (UTC, ISO 8601), by which version of the platform, of which home.

    `databases` are the PostgreSQL databases in it, `published` the tables and months that analysts saw in them, and
    `sha256` names every file's content. `company` is the file in that home that declares the company; empty where the
    settings named none, so that it was the one that is shipped.
    """

    format: int
    made_at: str
    version: str
    home: str
    databases: tuple[str, ...]
    published: tuple[tuple[str, str], ...]
    sha256: dict[str, str]
    company: str = ""


class _Head(msgspec.Struct, frozen=True):
    """What an inventory of any format has."""

    format: int
    version: str


class Archive:
    """One that is being written to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tar = tarfile.open(fileobj=file, mode="w", dereference=True)  # noqa: SIM115  # see `close`
        self.sha256: dict[str, str] = {}

    def add(self, name: str, path: Path) -> None:
        """Add a file under this name, as long as it is now: what is written to its end meanwhile is not in it."""
        with path.open("rb") as file:
            reading = _Digesting(file)
            info = self._tar.gettarinfo(name, arcname=name, fileobj=file)
            info.uname = info.gname = ""
            self._tar.addfile(info, reading)  # type: ignore[arg-type]  # it reads and does nothing else
        self.sha256[name] = reading.digest.hexdigest()

    def close(self, inventory: Inventory) -> None:
        """End it, and have all of it on the disk."""
        data = msgspec.json.format(msgspec.json.encode(inventory))
        for name, content in ((INVENTORY, data), (_ITS_DIGEST, sha256(data).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            self._tar.addfile(info, io.BytesIO(content))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())


class _Digesting:
    """A file that remembers what was read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def unpack(file: Path, folder: Path) -> Inventory:
    """Unpack a backup into a folder, and return its inventory. Raises ArchiveError."""
    if not file.is_file():
        raise ArchiveError(f"{file} is not a file: name a backup, as `churn backup` has written it")
    try:
        with tarfile.open(file, "r:") as tar:
            most = file.stat().st_size  # no part is larger than the whole, whatever it says
            for member in tar:
                if member.size > most:
                    raise tarfile.TarError(f"{inert(member.name)} cannot have {member.size:,} bytes")
                _extract(tar, member, folder)
        told = (folder / INVENTORY).read_bytes()
        if sha256(told) != (folder / _ITS_DIGEST).read_text():
            raise ArchiveError(f"{file} has changed since it was written, in {INVENTORY}: use another one")
        head = msgspec.json.decode(told, type=_Head)
        if head.format != FORMAT:
            raise ArchiveError(f"{file} was made by version {head.version} of the platform: restore it with that one")
        inventory = msgspec.json.decode(told, type=Inventory)
    except _BROKEN as error:
        raise ArchiveError(f"{file} is no backup, or was cut short: {error}: use another one") from error
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    del found[INVENTORY], found[_ITS_DIGEST]
    for name in sorted(found.keys() | inventory.sha256.keys()):
        if name not in found or name not in inventory.sha256 or sha256_of(found[name]) != inventory.sha256[name]:
            raise ArchiveError(f"{file} has changed since it was written, in {name}: use another one")
    return inventory


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Put a file into the folder. Raises TarError for anything else, or for a name that leads out of it."""
    path = Path(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    long = len(member.name) > _LONGEST or max(map(len, path.parts), default=0) > _LONGEST_PART
    if content is None or path.is_absolute() or ".." in path.parts or long:
        raise tarfile.TarError(f"it has {inert(member.name)}, which no backup has")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file)
    os.utime(target, (member.mtime, member.mtime))
