"""Facts: what is measured of a candidate, for the gates to answer from.

Here: the record, which is kept with each evaluation and receipt. Not here: measuring (`evaluation`), or what follows
(`gate`).
"""

from __future__ import annotations

import msgspec


class Contender(msgspec.Struct, frozen=True):
    """A version as the comparison saw it: the month that it was trained for, and its `metrics.measure`."""

    version: int
    month: str
    metrics: dict[str, float]


class Segment(msgspec.Struct, frozen=True, omit_defaults=True):
    """Both AUCs within one group of customers; None where the group has too few of a class.

    `change` is an interval of the candidate's minus the champion's, so wide that of all groups together one in twenty
    months has one outside by chance. Both are None in evaluations before 0.2.0 too, and without a champion.
    """

    column: str
    value: str
    rows: int
    positives: int
    auc: float | None
    champion_auc: float | None = None
    change: tuple[float, float] | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the gates go by, measured on the holdout customers of `month`.

    `interval` is the paired bootstrap's 95 % interval of the AUC difference, candidate minus champion; `parity` the
    largest difference between the candidate's ONNX and scikit-learn probabilities; `positives` counts churned rows.
    `looks` is how many candidates were compared on this month so far, this one counted; 0 where nobody counted.
    `warn_only` names gates that do not stop a promotion, as set at the time (CHURN_WARN_ONLY).
    A fact that is added later needs a default: the evaluations in earlier receipts lack it. Defaults are not written,
    so that the hashes of those evaluations still match.
    """

    month: str
    candidate: Contender
    champion: Contender | None
    delta: float
    interval: tuple[float, float] | None
    parity: float
    segments: tuple[Segment, ...]
    rows: int
    positives: int
    looks: int = 0
    warn_only: tuple[str, ...] = ()
