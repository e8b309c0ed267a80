"""Deliveries: which delivered months can be taken in now, and what was taken in before.

Here: whether a drop is complete and settled, what its files hold, and the record of what was landed from which
content. Not here: what a drop is (`drops`), landing it (`landing`), or what follows from all this (`automation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from churn_platform.contracts import Contract, Table
from churn_platform.intake.drops import WRITING, DropError, content_hash, delivered, file_of, files_of, misnamed
from churn_platform.intake.meaning import Meaning
from churn_platform.intake.names import UNFINISHED, is_written_for
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.shown import inert

STATE = "drop/state"
"""The lake's record of the content that a month's tables about customers were landed from."""

LATER = "drop/labels"
"""The same for its labels, which may come later."""

RECORDS = (STATE, LATER)

# What editors and Hadoop keep beside a file, for as long as they like.
_BESIDE = (".swp", ".swo", ".swn", ".swx", "~", ".crc", ".lock")


class Taken(msgspec.Struct, frozen=True):
    """What was landed: `drops.content_hash` of the tables' files, and the names of the tables.

    Both are empty where the drop had labels and no longer has them. `notes` are sentences that people should know about
    what was landed. `meaning` is None where it was landed before that was kept.
    """

    sha256: str
    tables: tuple[str, ...]
    notes: tuple[str, ...] = ()
    meaning: Meaning | None = None


@dataclass(frozen=True)
class Delivery:
    """One month's folder as it is now.

    `unready` says in a sentence why it cannot be taken in yet, and is None where it can. Only then are `state` and
    `labels` set, to the content of its tables about customers and of its labels; `labels` is None until they arrive,
    and `meant` then has a sentence about each file that looks like them.
    """

    month: Month
    unready: str | None
    state: str = ""
    labels: str | None = None
    meant: tuple[str, ...] = ()


def contents(drop: Path, contract: Contract, month: Month) -> dict[str, str | None]:
    """What a month's drop holds, by record; None where labels have not arrived. Raises DropError."""
    later = contract.labels
    labels = content_hash(drop, (later,)) if file_of(drop, later) else None
    return {STATE: content_hash(drop, _states(contract, month)), LATER: labels}


def _states(contract: Contract, month: Month) -> tuple[Table, ...]:
    """The tables about customers, as the month's drop has to have them."""
    return tuple(table.at(month) for table in contract.states)


def take(
    lake: Lake,
    month: Month,
    name: str,
    content: str,
    tables: Iterable[str],
    notes: Iterable[str],
    meaning: Meaning | None = None,
) -> None:
    """Record that a month's tables were landed from this content. Call it after all of them are kept."""
    lake.write_document(name, month, Taken(content, tuple(tables), tuple(notes), meaning))


def take_without_labels(lake: Lake, month: Month, content: str, *, withdrawn: bool) -> None:
    """Record that this content, if there is any, has no labels. Call it after those that were landed are removed."""
    note = f"the labels of {month} were withdrawn: its drop had some, and no longer has any"
    take(lake, month, LATER, content, (), [note] if withdrawn else [])


def forget(lake: Lake, month: Month, name: str) -> None:
    """Remove a record. Call it before the tables are replaced: until all of them are, it is not known what they are."""
    lake.remove(name, month)


def taken(lake: Lake, month: Month, name: str) -> str | None:
    """The content that a month's tables were landed from, or None where they were not landed or it is not known."""
    found = lake.document(name, month, Taken)
    return found.sha256 or None if found else None


def meaning_of(lake: Lake, month: Month, name: str) -> Meaning | None:
    """What a month's tables were taken to mean when they were landed; None where that is not known."""
    found = lake.document(name, month, Taken)
    return found.meaning if found else None


def tables_taken(lake: Lake, month: Month, name: str) -> tuple[str, ...]:
    """The tables that were landed with a record."""
    found = lake.document(name, month, Taken)
    return found.tables if found else ()


def were_withdrawn(lake: Lake, month: Month) -> bool:
    """Whether the month's labels were landed once and then taken out of its drop."""
    found = lake.document(LATER, month, Taken)
    return found is not None and not found.tables and bool(found.notes)


def in_doubt(lake: Lake, month: Month, meant: tuple[str, ...]) -> str | None:
    """Why the month is not taken in: its labels would be withdrawn, although a file in the drop looks like them."""
    if not meant or taken(lake, month, LATER) is None:
        return None
    return f"{'; '.join(meant)}; rename it, or take it away to withdraw the labels of {month}"


def notes(lake: Lake, month: Month) -> tuple[str, ...]:
    """What people should know about what was landed for the month, one sentence each."""
    found = (lake.document(name, month, Taken) for name in RECORDS)
    return tuple(note for record in found if record for note in record.notes)


def found_in(contract: Contract, folder: Path, first: Month, settle_seconds: float, now: float) -> tuple[Delivery, ...]:
    """Every delivered month from `first` on, oldest first, at the time `now`, in seconds since the epoch.

    Raises DropError where two folders claim one month.
    """
    return tuple(
        _delivery(contract, month, drop, settle_seconds, now)
        for month, drop in delivered(folder, first).items()
        if month >= first
    )


def before(folder: Path, first: Month) -> tuple[str, ...]:
    """A sentence about each drop of a month before `first`: no month can be built on it. Raises DropError."""
    return tuple(
        f"{drop.name} is before the first month, {first} (CHURN_FIRST_MONTH), and is passed over"
        for month, drop in delivered(folder, first).items()
        if month < first
    )


def _delivery(contract: Contract, month: Month, drop: Path, settle_seconds: float, now: float) -> Delivery:
    try:
        states = _states(contract, month)
        if unready := _incomplete(drop, states) or _unsettled(drop, contract, settle_seconds, now):
            return Delivery(month, f"{month} waits: {unready}")
        stamp = _stamp(drop)
        later = (contract.labels,)
        labels = _content(drop, later, stamp) if file_of(drop, contract.labels) else None
        meant = misnamed(drop, later, contract.tables)
        return Delivery(month, None, _content(drop, states, stamp), labels, meant)
    except (DropError, OSError) as error:  # a file that is there may be gone before it is read
        return Delivery(month, f"{month} waits: {error}")


def _incomplete(drop: Path, states: Sequence[Table]) -> str | None:
    missing = [table.name for table in states if table.required and not files_of(drop, table)]
    return f"{drop.name} has no file yet for {', '.join(missing)}" if missing else None


def _unsettled(drop: Path, contract: Contract, settle_seconds: float, now: float) -> str | None:
    present = _present(drop)
    if unfinished := sorted(
        path.relative_to(drop).as_posix() for path in present if _is_unfinished(path.name, contract)
    ):
        return f"{drop.name} is still being written: {inert(', '.join(unfinished))}"
    # A copy may keep the original's modification time, but never its ctime.
    newest = max((drop, *present), key=lambda path: path.stat().st_ctime)
    age = now - newest.stat().st_ctime
    if age < settle_seconds:
        what = inert(newest.relative_to(drop.parent).as_posix())
        return f"{what} may not be complete yet: it changed {max(age, 0):.0f} s ago (CHURN_SETTLE_SECONDS)"
    return None


def _is_unfinished(name: str, contract: Contract) -> bool:
    """`users.csv.part` and rsync's `.users.csv.Xy12Ab`; not `.DS_Store`, which stays for ever."""
    hidden = any(is_written_for(name, table) for table in contract.tables)
    return (hidden and not name.endswith(_BESIDE)) or name.endswith(UNFINISHED) or name == WRITING


def _present(drop: Path) -> list[Path]:
    """What is in the drop, and in the folders of its tables; links to nothing are not."""
    return sorted(path for path in (*drop.glob("*"), *drop.glob("*/*")) if path.exists())


def _stamp(drop: Path) -> tuple[object, ...]:
    """What changes whenever one of the folder's files does."""
    stats = [(path.relative_to(drop).as_posix(), path.stat()) for path in _present(drop)]
    return tuple((name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats)


@lru_cache(maxsize=1024)
def _content(drop: Path, tables: tuple[Table, ...], stamp: tuple[object, ...]) -> str:
    """The content's hash, worked out once for each stamp: a sensor asks every few seconds, and drops may be large."""
    return content_hash(drop, tables)
