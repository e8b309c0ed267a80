"""Erasing: everything that is done so that nothing keeps a customer, in its order.

Here: looking where customers are, taking them out of every place, and the receipt. Not here: each place (the modules
beside this one), who asks (`cli`, `serving`), or waiting for other runs (`automation.forgetting`).

Whatever is done is done again without harm, and the request, which alone holds the keys, stays until the receipt is
written. So a run that is killed anywhere is finished by the next one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from churn_platform import erasure_requests, tombstones
from churn_platform.champion.promotion import Request, record_erasure
from churn_platform.champion.receipts import Erasure, Receipt
from churn_platform.contracts import Contract
from churn_platform.day import today
from churn_platform.erasure import kept_rows, postgres, predictions, quarantines, sqlite, tables, texts
from churn_platform.erasure.mentions import Mentions
from churn_platform.erasure.tables import Changed
from churn_platform.erasure_requests import ErasureRequest, Held
from churn_platform.home import Home
from churn_platform.intake import deliveries
from churn_platform.intake.drops import DropError, delivered
from churn_platform.months import Month
from churn_platform.online import store
from churn_platform.settings.databases import databases_of
from churn_platform.tables import delivery, leaving, withdrawing
from churn_platform.tables.catalog import catalog
from churn_platform.tables.names import CHURN_SCORES

if TYPE_CHECKING:
    from churn_platform.settings import Settings


def known(home: Home, customers: Collection[str], rows: kept_rows.Rows) -> set[str]:
    """Those of the customers whom any table, quarantine or these kept rows have. Raises DamagedTableError."""
    found = set[str]().union(*(who for _, who in tables.files_with(home.lake, customers)))
    return found | quarantines.named(home.lake, customers) | kept_rows.customers_in(home.lake, rows)


def begin(home: Home, name: str) -> ErasureRequest:
    """Put up tombstones, so that from now on no drop brings the customers back. Raises ErasureRequestError.

    Raises TombstonesError where those of earlier erasures are not there, rather than begin a new list.
    """
    refuse_without_tombstones(home)
    request = erasure_requests.read(home.settings.erasure_requests, name)
    wanted = as_kept(home.contract, request.customers)
    if wanted != request.customers:
        request = msgspec.structs.replace(request, customers=wanted)
        erasure_requests.write(home.settings.erasure_requests, name, request)
    home.tombstones.add(request.customers, str(today()))
    return request


def as_kept(contract: Contract, customers: Iterable[str]) -> tuple[str, ...]:
    """Each customer once, by the key as tables have it: where keys are whole numbers, 0043 is 43."""
    whole = contract.declaration.customer.kind == "integer"
    found = (str(int(one)) if whole and re.fullmatch(r"[-+]?[0-9]{1,19}", one) else one for one in customers)
    return tuple(dict.fromkeys(found))


def note(home: Home, name: str) -> ErasureRequest:
    """Add to the request what its customers have a part in now, before that is erased; what was noted before stays.

    Raises ErasureRequestError, RegistryError and DamagedTableError.
    """
    folder = home.settings.erasure_requests
    request = erasure_requests.read(folder, name)
    rows = kept_rows.rows_of(home.lake, request.customers)
    found, before = kept_rows.parts(home.registry, rows), request.held or Held(0, (), (), (), {})
    held = Held(
        max(before.known, len(known(home, request.customers, rows))),
        tuple(sorted({*before.trained, *found.trained})),
        tuple(sorted({*before.judged, *found.judged})),
        tuple(sorted({*before.shown, *found.shown})),
        {file: max(before.rows.get(file, 0), len(rows.get(file, ()))) for file in sorted({*before.rows, *rows})},
    )
    request = msgspec.structs.replace(request, held=held)
    erasure_requests.write(folder, name, request)
    return request


def erase(home: Home, customers: Collection[str]) -> dict[str, int]:
    """Take the customers out of everything; returns how much went, by place.

    What others are made from comes first, then texts that may quote any of it. Raises DamagedTableError, ProofError,
    StoreUnavailableError, NotPublishedError, SqliteMentionsError, PostgresMentionsError and PlaceError.
    """
    settings, mentions = home.settings, Mentions.of(home.contract, customers)
    changed = _erase_from_lake(home, customers)
    gone = {
        "rows of tables": sum(one.rows for one in changed.values()),
        "kept rows": kept_rows.erase(home.lake, customers),
        "exports": _export_again(home),
        "customers of the online store": sum(store.erase(url, customers) for url in _stores(settings)),
        "published rows": _withdraw(home, customers, changed),
        "files that named them": len(texts.erase(settings.home, mentions)),
        "databases that named them": len(sqlite.erase(settings.home, mentions, [settings.embedded_store])),
    }
    for url in databases_of(settings).values():
        gone["databases that named them"] += len(postgres.erase(url, mentions))
    # Serving writes some moments later what it answered before they were gone from the online store.
    gone["files of the prediction log"] = len(predictions.erase(settings.prediction_log, customers))
    return gone


def finish(home: Home, name: str, request: ErasureRequest, run_id: str) -> Receipt:
    """Write the receipt, and forget whom it was about."""
    held = request.held
    assert held is not None, "it was noted before anything was erased"
    hashes = home.tombstones.of(request.customers)
    erased = Erasure(hashes, held.known, held.trained, held.judged, held.shown, held.rows)
    asked = Request(request.by, request.reason, run_id, id=name)
    receipt = record_erasure(home.registry, home.ledger, asked, erased)
    erasure_requests.remove(home.settings.erasure_requests, name)
    return receipt


def come_back(home: Home) -> tuple[str, ...]:
    """Whoever is in any table, quarantine or kept rows although they have a tombstone, as in a backup that is older."""
    lake, erased = home.lake, home.tombstones
    found = tables.erased_in(lake, erased) | kept_rows.erased_in(lake, erased) | quarantines.erased_in(lake, erased)
    return tuple(sorted(found))


def erase_again(home: Home, customers: Collection[str]) -> Receipt:
    """Erase those who have come back, with a receipt of its own."""
    name, now = erasure_requests.new_name(), datetime.now(UTC).isoformat(timespec="seconds")
    asked = ErasureRequest(tuple(customers), "erased before, and brought back by a backup", "churn restore", now)
    erasure_requests.write(home.settings.erasure_requests, name, asked)
    begin(home, name)
    request = note(home, name)
    erase(home, customers)
    return finish(home, name, request, run_id="")


def refuse_without_tombstones(home: Home) -> None:
    """Raise TombstonesError where somebody who was erased could come back, since their tombstone is not there."""
    erased = (receipt.erasure.customers for receipt in home.ledger.all() if receipt.erasure)
    tombstones.require(home.settings.tombstones_folder, (customer for some in erased for customer in some))


def _erase_from_lake(home: Home, customers: Collection[str]) -> dict[Path, Changed]:
    lake = home.lake
    before = tables.labels_content(lake)
    changed = tables.erase(lake, customers) | quarantines.erase(lake, customers, _as_landed(home))
    tables.rename(lake, {old: new for month, old in before.items() if (new := leaving.content(lake, month))})
    return changed


def _as_landed(home: Home) -> dict[Month, Path]:
    """The drops that are still those that were landed; none where two of them claim one month."""
    try:
        found = delivered(home.settings.drops, home.settings.first)
        return {month: drop for month, drop in found.items() if _is_landed(home, month, drop)}
    except (DropError, OSError):
        return {}


def _is_landed(home: Home, month: Month, drop: Path) -> bool:
    content = deliveries.contents(drop, home.contract, month)[deliveries.STATE]
    return content is not None and content == deliveries.taken(home.lake, month, deliveries.STATE)


def _export_again(home: Home) -> int:
    """Write the exports again that are not of the scores as they are now, and say how many those were."""
    lake, written = home.lake, 0
    for month in lake.months(CHURN_SCORES):
        csv = delivery.csv_of(home.settings.exports, month)
        if csv.exists() and csv.read_bytes().count(b"\n") != lake.rows(CHURN_SCORES, month) + 1:
            delivery.write_csv(lake, month, csv)
            written += 1
    return written


def _withdraw(home: Home, customers: Collection[str], changed: Mapping[Path, Changed]) -> int:
    """Take the customers out of what analysts see; a month that was published from a changed file is up to date."""
    url, lake = home.settings.postgres_url.get_secret_value(), home.lake
    if not url:
        return 0
    digests = {
        (table.name, Month.parse(path.stem)): one.after
        for table in catalog(lake.contract)
        for path, one in changed.items()
        if path.parent == lake.root / table.source
    }
    names = (lake.contract.key, *lake.contract.customers.key.was)
    return sum(withdrawing.erase(url, name, customers, digests) for name in names)


def _stores(settings: Settings) -> tuple[str, ...]:
    """The online stores: the one in use, and the file from before where that is on PostgreSQL."""
    return tuple(dict.fromkeys((settings.online_store, f"sqlite:///{settings.embedded_store}")))
