"""Watch: the present facts, gathered from drops, lake, registry and runs, and the decision on them.

Here: what the sensors and the replay both ask. Not here: the rules that decide (`closing`, `retraining`, `promoting`,
`refreshing`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from churn_platform.automation.closing import MonthFacts, next_closing
from churn_platform.automation.history import failed_checks, runs_of, under_way
from churn_platform.automation.promoting import WonFacts, next_promotion
from churn_platform.automation.refreshing import next_measure, next_refresh
from churn_platform.automation.retraining import (
    ChampionFacts,
    DriftFacts,
    Limits,
    ModelFacts,
    RealisedFacts,
    next_retraining,
)
from churn_platform.automation.triggers import (
    CLOSE,
    MATURE,
    MEASURE,
    PROMOTE,
    REFRESH,
    RETRAIN,
    Action,
    Launch,
    RunState,
    Wait,
)
from churn_platform.champion import promotion
from churn_platform.champion.agreement import contested
from churn_platform.champion.receipts import digest_of
from churn_platform.files import sha256
from churn_platform.home import Home
from churn_platform.intake import deliveries, drops
from churn_platform.lake import Lake
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.gate import GATES
from churn_platform.monitoring import drift, performance, target
from churn_platform.monitoring.status import Stopped
from churn_platform.months import Month
from churn_platform.online import store
from churn_platform.online.types import EarlierStoreError, StoreUnavailableError
from churn_platform.settings import Settings
from churn_platform.tables import delivery, leaving, lineage, maturity, taking, training_set
from churn_platform.tables.features import WINDOW
from churn_platform.tables.names import DRIFT_REPORT, EVALUATION, FEATURES, ORIGINS, TARGET_DRIFT, landed

if TYPE_CHECKING:
    import dagster as dg


EXPECTED_DROPS = "expected folders such as month_000"


def closing(home: Home, instance: dg.DagsterInstance) -> Action:
    """Which month to close or mature now. Raises DropError where two folders claim one month."""
    if running := under_way(instance, CLOSE, MATURE):
        return Wait(running)
    settings = home.settings
    facts = month_facts(home, settings.settle_seconds)
    notes = (
        *deliveries.before(settings.drops, settings.first),
        *drops.passed_over(settings.drops, settings.first, home.contract.tables),
    )
    if not facts:
        return Wait("; ".join((f"{settings.drops} (CHURN_DROPS) has no drop yet: {EXPECTED_DROPS}", *notes)))
    decision = next_closing(
        facts, settings.first, Month.of(date.today()), lambda month: runs_of(instance, month, CLOSE, MATURE)
    )
    return Wait("; ".join((decision.why, *notes))) if isinstance(decision, Wait) else decision


def month_facts(home: Home, settle_seconds: float) -> list[MonthFacts]:
    """The facts of every month that is delivered or was landed, oldest first. Raises DropError."""
    lake, settings = home.lake, home.settings
    delivered = deliveries.found_in(home.contract, settings.drops, settings.first, settle_seconds, time.time())
    found = {delivery.month: delivery for delivery in delivered}
    for month in taking.landed_months(lake):
        if month >= settings.first and month not in found:
            found[month] = _archived(lake, month, settings.drops)
    return [_month(lake, _as_of_today(lake, found[month]), settings.first) for month in sorted(found)]


def _as_of_today(lake: Lake, delivery: deliveries.Delivery) -> deliveries.Delivery:
    """A delivery with the labels that the month has today: nobody delivers those that follow from absence."""
    if lake.contract.leaves:
        sources = leaving.sources(lake, delivery.month)
        return replace(delivery, labels=_left(lake, delivery.month, _stamps(lake, sources)), meant=())
    return replace(delivery, labels=maturity.content(lake.contract, delivery.month, delivery.labels))


def stopped(home: Home, instance: dg.DagsterInstance) -> tuple[Stopped, ...]:
    """Each month whose newest run to take it in has failed, and why, oldest first. Raises DropError."""
    settings, lake = home.settings, home.lake
    months = sorted({*drops.delivered(settings.drops, settings.first), *taking.landed_months(lake)})
    newest = [(month, runs[0]) for month in months if (runs := runs_of(instance, month, CLOSE, MATURE))]
    return tuple(Stopped(str(month), run.fault) for month, run in newest if run.state == RunState.FAILED)


def _archived(lake: Lake, month: Month, drops: Path) -> deliveries.Delivery:
    """A month whose drop is gone counts as delivered as it was landed, as long as that is whole."""
    lost = [name for record in deliveries.RECORDS for name in taking.lost(lake, month, record)]
    state = deliveries.taken(lake, month, deliveries.STATE)
    if state is None or lost:
        files = f" ({', '.join(lost)})" if lost else ""
        return deliveries.Delivery(
            month, f"{month} is not whole in the lake{files}, and its drop is not in {drops}: put the drop back"
        )
    return deliveries.Delivery(month, None, state, deliveries.taken(lake, month, deliveries.LATER))


def _month(lake: Lake, delivery: deliveries.Delivery, first: Month) -> MonthFacts:
    month = delivery.month
    lost = {record: taking.lost(lake, month, record) for record in deliveries.RECORDS}
    taken = {name: None if files else deliveries.taken(lake, month, name) for name, files in lost.items()}
    return MonthFacts(
        month=month,
        unready=delivery.unready or deliveries.in_doubt(lake, month, delivery.meant),
        state=delivery.state,
        labels=delivery.labels,
        landed=taken[deliveries.STATE],
        landed_labels=taken[deliveries.LATER],
        closed=lake.has(FEATURES, month),
        stale=_is_stale(lake, month, first),
        basis=_basis(lake, month),
        lost=tuple(name for files in lost.values() for name in files),
    )


def _is_stale(lake: Lake, month: Month, first: Month) -> bool:
    """Whether a closed month has a table that was built from something else than is there now."""
    if not lake.has(FEATURES, month):
        return False
    snapshots = lake.contract.snapshots
    inputs = [(landed(table.name), month) for table in snapshots.values()]
    inputs += [(name, month - ago) for name in snapshots for ago in range(WINDOW)]
    return _stale(lake, month, first, _stamps(lake, [*inputs, (FEATURES, month), (ORIGINS, month)]))


@lru_cache(maxsize=512)
def _left(lake: Lake, month: Month, stamps: tuple[object, ...]) -> str | None:
    """Worked out once for each state of the files."""
    return leaving.content(lake, month)


@lru_cache(maxsize=512)
def _stale(lake: Lake, month: Month, first: Month, stamps: tuple[object, ...]) -> bool:
    """Asked once for each state of the files: it hashes them, and a sensor asks every few seconds."""
    return lineage.is_stale(lake, month, first)


def _stamps(lake: Lake, tables: Sequence[tuple[str, Month]]) -> tuple[object, ...]:
    paths = [lake.path(name, month, ending) for name, month in tables for ending in (".parquet", ".json")]
    stats = [path.stat() if path.exists() else None for path in paths]
    return tuple(s and (s.st_ino, s.st_size, s.st_mtime_ns) for s in stats)


def _basis(lake: Lake, month: Month) -> str:
    before = [(name, month - 1) for name in lake.contract.snapshots]
    return _hash(lake, tuple(before), _stamps(lake, before))


@lru_cache(maxsize=512)
def _hash(lake: Lake, tables: tuple[tuple[str, Month], ...], stamps: tuple[object, ...]) -> str:
    """One hash of some tables' content, worked out once for each state of the files."""
    return sha256(" ".join(lake.sha256(*table) for table in tables).encode())


def paused(home: Home) -> str | None:
    """Why nothing is promoted or retrained by itself now, or None."""
    return promotion.paused(home.ledger)


def retraining(home: Home, instance: dg.DagsterInstance) -> Action:
    """Whether to retrain now, and why. Raises RegistryError, BookError and ReceiptError."""
    if held := paused(home) or contested(home.registry, home.ledger):  # nobody knows which champion it would be for
        return Wait(held)
    if running := under_way(instance, CLOSE, MATURE, RETRAIN):  # what a closing has yet to find may be a cause
        return Wait(running)
    return next_retraining(model_facts(home), limits(home.settings), lambda month: runs_of(instance, month, RETRAIN))


def limits(settings: Settings) -> Limits:
    """The settings that decide on causes."""
    return Limits(settings.drift_threshold, settings.realised_margin, settings.retrain_cooldown_months)


def model_facts(home: Home) -> ModelFacts:
    """What a retraining is decided from. Raises RegistryError, MissingTableError and DocumentError."""
    lake, version = home.lake, home.registry.champion()
    matured = max(training_set.matured(lake), default=None)
    closed = lake.months(FEATURES)
    months = training_set.months_to_learn_from(lake, matured) if matured else ()
    rows = tuple(table for month in months for table in _labelled(lake, month))
    return ModelFacts(
        champion=ChampionFacts(version.number, version.month, version.auc) if version else None,
        matured=matured,
        content=_hash(lake, rows, _stamps(lake, rows)),
        drifts=tuple(found for m in closed if version and m > version.month and (found := _drift(lake, m)) is not None),
        realised=_realised(lake, matured, version.number) if matured and version else None,
        trained=frozenset(month for month in closed if lake.path(EVALUATION, month, ".json").exists()),
        refused=training_set.refused_labels(lake, months),
    )


def _drift(lake: Lake, month: Month) -> DriftFacts | None:
    features = lake.document(DRIFT_REPORT, month, drift.Drift)
    labels = lake.document(TARGET_DRIFT, month, target.TargetDrift)
    if features is None and labels is None:
        return None
    return DriftFacts(
        month=month,
        drifted=frozenset(features.drifted) if features else frozenset(),
        columns=len(features.columns) if features else 0,
        target=f"{labels.reference_churn_share:.3f} -> {labels.churn_share:.3f}" if labels and labels.drifted else None,
        shifted=frozenset(features.shifted) if features else frozenset(),
    )


def _realised(lake: Lake, month: Month, version: int) -> RealisedFacts | None:
    found = performance.of_version(lake, month, version)
    if found is None or found.auc is None:
        return None
    return RealisedFacts(month, found.expected.version, found.auc)


def promoting(home: Home, instance: dg.DagsterInstance) -> Action:
    """Which evaluation to settle now. Raises DocumentError, BookError and ReceiptError."""
    if held := paused(home):
        return Wait(held)
    if running := under_way(instance, RETRAIN, PROMOTE):  # a retraining may be about to replace an evaluation
        return Wait(running)
    return next_promotion(_won(home, instance), lambda month: runs_of(instance, month, PROMOTE))


def _won(home: Home, instance: dg.DagsterInstance) -> list[WonFacts]:
    settled = {receipt.evaluation_sha256 for receipt in home.ledger.all()}
    found = []
    for month in home.lake.months(FEATURES):
        compared = home.lake.document(EVALUATION, month, Evaluation, "churn retrain")
        if compared and compared.promote and (digest := digest_of(compared)) not in settled:
            blocking = [gate.name for gate in GATES if gate.blocks(compared.warn_only)]
            failed = failed_checks(instance, EVALUATION, blocking, month)
            found.append(WonFacts(month, compared.candidate.version, digest, failed))
    return found


def refreshing(home: Home, instance: dg.DagsterInstance) -> Action:
    """Whether the newest month has to be delivered again, or the champion measured on one. Raises RegistryError."""
    if running := under_way(instance, CLOSE, MATURE, REFRESH, MEASURE):
        return Wait(running)
    lake, champion = home.lake, home.registry.champion()
    month, serving = max(lake.months(FEATURES), default=None), champion.number if champion else None
    stale = month is not None and delivery.scores_are_stale(lake, month, serving)
    unpublished = _unpublished(home, month) if month else None
    refresh = next_refresh(month, serving, stale, unpublished, lambda month: runs_of(instance, month, REFRESH))
    if champion is None or isinstance(refresh, Launch):
        return refresh
    months = performance.measurable(lake, champion)
    unmeasured = [month for month in months if performance.of_version(lake, month, champion.number) is None]
    content = {month: _hash(lake, rows := _labelled(lake, month), _stamps(lake, rows)) for month in unmeasured}
    measure = next_measure(content, champion.number, lambda month: runs_of(instance, month, MEASURE))
    return measure if unmeasured else refresh


def _unpublished(home: Home, month: Month) -> str | None:
    """What the online store holds in place of a month, in words; None where it holds it, or a later one."""
    try:
        held = store.published(home.settings.online_store)
    except EarlierStoreError:
        return "what the online store holds was published by an earlier version"
    except StoreUnavailableError:
        return None  # serving says so, and nothing can be published either
    if held is None:
        return "the online store is empty"
    return f"the online store holds {held.month}" if Month.parse(held.month) < month else None


def _labelled(lake: Lake, month: Month) -> tuple[tuple[str, Month], ...]:
    """What a version is measured on."""
    return ((FEATURES, month), (landed(lake.contract.labels.name), month))
