"""Status: where the platform stands, from what is on disk and in the registry.

Here: one record of every month and of what else people should know. Not here: how good the champion is (`standing`), or
how it is shown (`screen`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import msgspec

from churn_platform import erasure_requests
from churn_platform.champion.agreement import findings
from churn_platform.champion.promotion import paused
from churn_platform.company.declaration import EARLY_LABELS
from churn_platform.home import Home
from churn_platform.intake import deliveries, drops
from churn_platform.lake import Lake, engine
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.monitoring import consequences, drift
from churn_platform.monitoring.standing import ChampionStatus, of_champion
from churn_platform.months import Month
from churn_platform.tables import maturity
from churn_platform.tables.names import DRIFT_REPORT, EVALUATION, FEATURES, landed, quarantine
from churn_platform.tables.training_set import matured


class Candidate(msgspec.Struct, frozen=True):
    """A month's candidate: both AUCs on the month's holdout customers, and whether it became champion.

    `promoted` is None for one that has won and is not settled yet.
    """

    version: int
    auc: float
    champion_auc: float | None
    promoted: bool | None


class MonthStatus(msgspec.Struct, frozen=True):
    """What the platform holds for one month; row counts are by table or snapshot.

    `other_engine` names the engine that closed it, if another one writes now and would give the same rows other bytes.
    `notes` are sentences that people should know about what was delivered. Labels that do not count yet are either kept
    until the day `labels_from`, or `labels_delivered` and not taken in yet.
    """

    month: str
    as_of: str
    landed: dict[str, int]
    quarantined: dict[str, int]
    snapshots: dict[str, int]
    active_customers: int
    matured: bool
    candidate: Candidate | None
    drift_share: float | None
    other_engine: str | None
    notes: tuple[str, ...]
    labels_from: str | None = None
    labels_delivered: bool = False


class Stopped(msgspec.Struct, frozen=True):
    """A month whose newest run to take it in has failed, and the fault's sentence."""

    month: str
    fault: str


class NextMonth(msgspec.Struct, frozen=True, omit_defaults=True):
    """The month after the newest closed one: its last day, the day until which it is to be closed, and if that is past.

    The days are those of CHURN_FEATURES_DUE_DAYS. `delivered` says whether it has a drop already.
    """

    month: str
    ends: str
    due: str
    overdue: bool
    delivered: bool = False


class Status(msgspec.Struct, frozen=True):
    """Every landed month, oldest first, the champion, and what is named like a drop or a table, but not quite.

    `stopped` are months that could not be taken in, `rollbacks` sentences about each rollback, oldest first, and `next`
    is None before the first month is closed. `declaration` are sentences about what has to be done since it was
    changed, and what the champion goes without. `unsafe` is a sentence if the champion may be wrong about a month that
    is unlike what it has learned. `unfinished` counts erasures that were asked for and are not done. `paused` is a
    sentence if promotions and retrainings are; `findings`
    are sentences about what is wrong with the receipts, or between them and the registry.
    """

    months: tuple[MonthStatus, ...]
    champion: ChampionStatus | None
    passed_over: tuple[str, ...] = ()
    paused: str | None = None
    findings: tuple[str, ...] = ()
    stopped: tuple[Stopped, ...] = ()
    rollbacks: tuple[str, ...] = ()
    next: NextMonth | None = None
    declaration: tuple[str, ...] = ()
    unsafe: str | None = None
    unfinished: int = 0


def read(
    home: Home,
    today: date,
    stopped: tuple[Stopped, ...] = (),
    unread: str | None = None,
    unsafe: str | None = None,
) -> Status:
    """Where the platform stands now; `unread` is why nobody knows what has stopped, `unsafe` as in Status.

    Raises RegistryError, BookError, ReceiptError, MissingTableError, DamagedTableError and DocumentError.
    """
    months = sorted({month for table in home.contract.states for month in home.lake.months(landed(table.name))})
    delivered = _drops(home)
    return Status(
        months=tuple(of_month(home, month, delivered.get(month)) for month in months),
        champion=of_champion(home),
        passed_over=drops.passed_over(home.settings.drops, home.settings.first, home.contract.tables),
        paused=paused(home.ledger),
        findings=(*findings(home.registry, home.ledger), *([unread] if unread else [])),
        stopped=stopped,
        rollbacks=tuple(
            f"{receipt.title} on {receipt.decided_at[:10]} by {receipt.who}: {receipt.why}"
            for receipt in home.ledger.all()
            if receipt.verdict == "rolled back"
        ),
        next=_next(home, today, delivered),
        declaration=consequences.to_know(home),
        unsafe=unsafe,
        unfinished=len(erasure_requests.waiting(home.settings.erasure_requests)),
    )


def of_month(home: Home, month: Month, drop: Path | None) -> MonthStatus:
    """Where one month stands now, whose drop is this one; None where it has none."""
    lake = home.lake
    is_matured = month in matured(lake)
    kept = not is_matured and lake.has(landed(EARLY_LABELS), month)
    return MonthStatus(
        month=str(month),
        as_of=str(month.as_of),
        landed={name: lake.rows(landed(name), month) for name in _landed(lake, month)},
        quarantined=quarantined_rows(lake, month),
        snapshots={name: lake.rows(name, month) for name in lake.contract.snapshots if lake.has(name, month)},
        active_customers=lake.rows(FEATURES, month) if lake.has(FEATURES, month) else 0,
        matured=is_matured,
        candidate=_candidate(home, month),
        drift_share=found.drift_share if (found := lake.document(DRIFT_REPORT, month, drift.Drift)) else None,
        other_engine=_other_engine(lake, month),
        notes=deliveries.notes(lake, month),
        labels_from=str(maturity.known_from(lake.contract, month)) if kept else None,
        labels_delivered=not (is_matured or kept or drop is None) and _labels_delivered(home, month, drop),
    )


def _labels_delivered(home: Home, month: Month, drop: Path) -> bool:
    """Whether the month's drop has a file of labels that were not taken in: others may stand blank beside the rest."""
    contract = home.contract
    if contract.leaves or contract.labels.file.name in {table.file.name for table in contract.states}:
        return False
    try:
        if drops.file_of(drop, contract.labels) is None:
            return False
        content = drops.content_hash(drop, (contract.labels,))
    except (drops.DropError, OSError):  # a month that stops says so, and a file may be gone before it is read
        return False
    return not maturity.same_labels(content, deliveries.taken(home.lake, month, deliveries.LATER))


def _drops(home: Home) -> Mapping[Month, Path]:
    """The delivered months' drops; none where two claim one month, which the sensors tell."""
    try:
        return drops.delivered(home.settings.drops, home.settings.first)
    except drops.DropError:
        return {}


def _landed(lake: Lake, month: Month) -> list[str]:
    """The tables that the month has landed."""
    return [table.name for table in lake.contract.tables if lake.has(landed(table.name), month)]


def _other_engine(lake: Lake, month: Month) -> str | None:
    if not lake.has(FEATURES, month):
        return None
    writer = lake.written_by(FEATURES, month)
    return writer if writer != engine() else None


def quarantined_rows(lake: Lake, month: Month) -> dict[str, int]:
    """How many rows of each landed table were taken out; a row is in quarantine once for each rule that it broke."""
    names = [name for name in _landed(lake, month) if lake.has(quarantine(name), month)]
    broken = {name: lake.read(quarantine(name), month) for name in names}
    return {name: int(rows["file", "line"].distinct().count().to_pyarrow().as_py()) for name, rows in broken.items()}


def _candidate(home: Home, month: Month) -> Candidate | None:
    found = home.lake.document(EVALUATION, month, Evaluation, "churn retrain")
    if found is None:
        return None
    promoted = any(receipt.champion == receipt.version == found.candidate.version for receipt in home.ledger.all())
    is_open = found.promote and not promoted and home.ledger.of_evaluation(found) is None
    return Candidate(
        version=found.candidate.version,
        auc=found.candidate.metrics["auc"],
        champion_auc=found.champion.metrics["auc"] if found.champion else None,
        promoted=None if is_open else promoted,
    )


def _next(home: Home, today: date, delivered: Mapping[Month, Path]) -> NextMonth | None:
    if not (closed := home.lake.months(FEATURES)):
        return None
    month = max(closed) + 1
    due = month.as_of + timedelta(days=home.settings.features_due_days)
    return NextMonth(str(month), str(month.as_of), str(due), today > due, month in delivered)
