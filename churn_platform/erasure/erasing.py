"""Erasing: everything that is done so that nothing keeps a customer, in its order.

Here: looking where customers are, taking them out of every place, and the receipt. Not here: each place (the modules
beside this one), who asks (`cli`, `serving`), or waiting for other runs (`automation.forgetting`).

Whatever is done is done again without harm, and nobody's key is forgotten before all of it is: the request stays until
the receipt is written. So a run that is killed anywhere is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from churn_platform import erasure_requests, tombstones
from churn_platform.champion.promotion import Request, record_erasure
from churn_platform.champion.receipts import Erasure, Receipt
from churn_platform.day import today
from churn_platform.erasure import kept_rows, postgres, predictions, quarantines, sqlite, tables, texts
from churn_platform.erasure.mentions import Mentions
from churn_platform.erasure.tables import Changed
from churn_platform.erasure_requests import ErasureRequest, Held
from churn_platform.home import Home
from churn_platform.intake.drops import delivered
from churn_platform.months import Month
from churn_platform.online import store
from churn_platform.settings.databases import databases_of
from churn_platform.tables import delivery, leaving, withdrawing
from churn_platform.tables.catalog import catalog
from churn_platform.tables.names import CHURN_SCORES

if TYPE_CHECKING:
    from churn_platform.settings import Settings


def known(home: Home, customers: Collection[str]) -> set[str]:
    """Those of the customers whom any table, quarantine or kept row has. Raises DamagedTableError."""
    found = set[str]().union(*(who for _, who in tables.files_with(home.lake, customers)))
    rows = kept_rows.rows_of(home.lake, customers)
    return found | quarantines.named(home.lake, customers) | kept_rows.customers_in(home.lake, rows)


def begin(home: Home, name: str) -> ErasureRequest:
    """Put up tombstones, so that from now on nothing brings the customers back, and note what they have a part in.

    That is noted once: a run that was killed may have erased some of it. Raises ErasureRequestError, RegistryError,
    RecipeError, BundleError and DamagedTableError.
    """
    folder = home.settings.erasure_requests
    request = erasure_requests.read(folder, name)
    home.tombstones.add(request.customers, str(today()))
    if request.held is None:
        rows = kept_rows.rows_of(home.lake, request.customers)
        parts, counts = kept_rows.parts(home.registry, rows), {file: len(frame) for file, frame in rows.items()}
        held = Held(len(known(home, request.customers)), parts.trained, parts.judged, parts.shown, counts)
        request = msgspec.structs.replace(request, held=held)
        erasure_requests.write(folder, name, request)
    return request


def erase(home: Home, customers: Collection[str]) -> dict[str, int]:
    """Take the customers out of everything; returns how much went, by place.

    What others are made from comes first, texts that may quote any of it last. Raises DamagedTableError, ProofError,
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
    assert held is not None, "begin has noted it"
    hashes = home.tombstones.of(request.customers)
    erased = Erasure(hashes, held.trained, held.judged, held.shown, held.rows)
    asked = Request(request.by, request.reason, run_id, id=name)
    receipt = record_erasure(home.registry, home.ledger, asked, erased)
    erasure_requests.remove(home.settings.erasure_requests, name)
    return receipt


def come_back(home: Home) -> tuple[str, ...]:
    """Whoever is in a table although they have a tombstone, as where a backup was restored that is older."""
    return tuple(sorted(tables.erased_in(home.lake, home.tombstones)))


def erase_again(home: Home, customers: Collection[str]) -> Receipt:
    """Erase those who have come back, with a receipt of its own."""
    name, now = erasure_requests.new_name(), datetime.now(UTC).isoformat(timespec="seconds")
    asked = ErasureRequest(tuple(customers), "erased before, and brought back by a backup", "churn restore", now)
    erasure_requests.write(home.settings.erasure_requests, name, asked)
    request = begin(home, name)
    erase(home, customers)
    return finish(home, name, request, run_id="")


def refuse_without_tombstones(home: Home) -> None:
    """Raise TombstonesError where somebody who was erased could come back, since their tombstone is not there."""
    erased = (receipt.erasure.customers for receipt in home.ledger.all() if receipt.erasure)
    tombstones.require(home.settings.tombstones_folder, (customer for some in erased for customer in some))


def _erase_from_lake(home: Home, customers: Collection[str]) -> dict[Path, Changed]:
    lake, drops = home.lake, delivered(home.settings.drops, home.settings.first)
    before = tables.labels_content(lake)
    changed = tables.erase(lake, customers) | quarantines.erase(lake, customers, drops)
    hashes = {one.before: one.after for one in changed.values()}
    hashes |= {old: new for month, old in before.items() if (new := leaving.content(lake, month))}
    tables.rename(lake, hashes)
    return changed


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
    return withdrawing.erase(url, lake.contract.key, customers, digests)


def _stores(settings: Settings) -> tuple[str, ...]:
    """The online stores: the one in use, and the file from before where that is on PostgreSQL."""
    return tuple(dict.fromkeys((settings.online_store, f"sqlite:///{settings.embedded_store}")))
