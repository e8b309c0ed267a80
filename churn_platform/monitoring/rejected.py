"""Rejected: whether it was right to keep the champion, seen on a later month of which both knew nothing.

Here: the newest candidate that was not promoted, measured beside the champion that was kept. Not here: the decision
itself (`modelling.gate`), which is made before such a month is known, or what the champion was worth (`performance`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from churn_platform.champion.registry import Version
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.lake import Lake
from churn_platform.modelling.comparison import auc_difference_interval
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.metrics import auc
from churn_platform.monitoring import performance
from churn_platform.monitoring.reference import scores_of
from churn_platform.months import Month
from churn_platform.shown import as_text
from churn_platform.tables.names import EVALUATION, REJECTED
from churn_platform.tables.training_set import judging, labels_of

Verdict = Literal["kept rightly", "chance", "rejected one better"]

_VERDICTS: dict[Verdict, str] = {
    "kept rightly": "keeping the champion was right",
    "chance": "it may be chance",
    "rejected one better": "the rejected version would have been better",
}


class Rejected(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rejected `version` and the `champion` on a month's labelled `customers`, from whom neither has learned.

    `interval` holds the difference of their AUCs, the rejected version's minus the champion's, in 95 % of cases (paired
    bootstrap); the `verdict` is by whether zero lies in it. Where there is none, `why_not` says why.
    """

    month: str
    champion: int
    version: int
    version_month: str
    customers: int = 0
    champion_auc: float | None = None
    auc: float | None = None
    interval: tuple[float, float] | None = None
    verdict: Verdict | None = None
    why_not: str | None = None

    @property
    def sentence(self) -> str:
        """What came out, for people."""
        name = f"version {self.version}, which was not promoted,"
        if self.auc is None or self.champion_auc is None or self.interval is None or self.verdict is None:
            return f"{name} cannot be compared with the champion on {self.month}: {self.why_not}"
        low, high = self.interval
        return (
            f"{name} would have had an AUC of {self.auc:.4f} on {self.month}, the champion {self.champion_auc:.4f}:"
            f" difference {self.auc - self.champion_auc:.4f} ({low:.4f} to {high:.4f}): {_VERDICTS[self.verdict]}"
        )


class RejectedVersion(NamedTuple):
    """A version, and the newest month that it was trained on."""

    version: int
    month: Month


def newest(home: Home, champion: Version, month: Month) -> RejectedVersion | None:
    """The newest version that lost against this champion, and was trained for a month before this one.

    One that has lost has an evaluation, and a receipt only where the gate was asked again at the promotion. One that
    may have learned from the label is left out: where a month's column carries it too, it looks better than it is.
    """
    found = (home.lake.document(EVALUATION, earlier, Evaluation, "churn retrain") for earlier in judging(home.lake))
    lost = [compared for compared in found if compared and not compared.promote]
    lost += [receipt.evaluation for receipt in home.ledger.all() if receipt.verdict == "kept" and receipt.evaluation]
    candidates = (
        RejectedVersion(compared.candidate.version, Month.parse(compared.candidate.month))
        for compared in lost
        if not compared.may_leak
        and compared.champion
        and compared.champion.version == champion.number != compared.candidate.version
    )
    return max((candidate for candidate in candidates if candidate.month < month), default=None)


def compare(home: Home, month: Month, champion: Version) -> Rejected | None:
    """What the newest rejected version would have been worth; None where none was, or the champion is not measurable.

    What is wrong with the rejected version is part of the record. Raises ReceiptError and DocumentError.
    """
    if month not in performance.measurable(home.lake, champion):
        return None
    if (candidate := newest(home, champion, month)) is None:
        return None
    told = Rejected(str(month), champion.number, candidate.version, str(candidate.month))
    try:
        return _compared(home, month, champion, told)
    except Fault as fault:
        return msgspec.structs.replace(told, why_not=as_text(fault))


def latest(lake: Lake, champion: Version) -> Rejected | None:
    """What is known of the newest month on which this champion was compared with a rejected version."""
    found = (lake.document(REJECTED, month, Rejected) for month in reversed(performance.measurable(lake, champion)))
    return next((record for record in found if record and record.champion == champion.number), None)


def _compared(home: Home, month: Month, champion: Version, told: Rejected) -> Rejected:
    lake, registry, key, label = home.lake, home.registry, home.contract.key, home.contract.label
    version = registry.version(told.version)
    rejected, kept = (
        scores_of(lake, month, one, registry.bundle(one))[[key, "probability"]] for one in (version, champion)
    )
    rows = rejected.merge(kept, on=key, suffixes=("", "_of_champion"))
    rows = rows.merge(labels_of(lake, month).to_pandas(), on=key).sort_values(key)
    labels = rows[label].to_numpy(dtype=bool)
    new, old = (rows[name].to_numpy() for name in ("probability", "probability_of_champion"))
    new_auc, old_auc = auc(new, labels), auc(old, labels)
    if new_auc is None or old_auc is None:
        return msgspec.structs.replace(told, customers=len(rows), why_not="everyone or nobody churned")
    low, high = auc_difference_interval(labels, new, old, home.settings.seed)
    return msgspec.structs.replace(
        told,
        customers=len(rows),
        champion_auc=old_auc,
        auc=new_auc,
        interval=(low, high),
        verdict="rejected one better" if low > 0 else "kept rightly" if high < 0 else "chance",
    )
