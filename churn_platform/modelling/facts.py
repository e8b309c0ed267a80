"""Facts: what is measured of a candidate, for the gates to answer from.

Here: the record, which is kept with each evaluation and receipt. Not here: measuring (`evaluation`), or what follows
(`gate`).
"""

from __future__ import annotations

import msgspec

from churn_platform.modelling.recipe import KeptRows, Recipe


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


class Earlier(msgspec.Struct, frozen=True):
    """An earlier month's evaluation: the better AUC of the two versions compared, and its standard error."""

    month: str
    auc: float
    error: float


class Lone(msgspec.Struct, frozen=True, omit_defaults=True):
    """How well a feature by itself ranks the month's customers, see `alone.rank`.

    `before` is its highest AUC of the earlier months, or for a feature that none of them knows any feature's highest;
    None where there is no earlier month. `error` is the standard error of the difference. `of` is how many features
    were looked at.
    """

    feature: str
    auc: float
    before: float | None
    error: float
    of: int
    new: bool = False


class Marked(msgspec.Struct, frozen=True, omit_defaults=True):
    """The customers for whom a feature is `known`, or unknown: how many they are, and how many of them churned.

    `everyone` is the churn share of all customers; `rows_before` and `churned_before` count the same in earlier months.
    `of` is how many such groups were looked at.
    """

    feature: str
    known: bool
    rows: int
    churned: int
    everyone: float
    of: int
    rows_before: int = 0
    churned_before: int = 0


class Watched(msgspec.Struct, frozen=True, omit_defaults=True):
    """What features by themselves tell of who left.

    `lone` are those that tell more than in any earlier month, or come nearest to that, most first. `highest` is the
    highest AUC of any feature in the earlier months, with its standard error. `faded` is the feature that tells less by
    most; its `before` is its lowest AUC of the earlier months. `marked` are those whose known, or unknown, customers
    left more often than everyone, the surest first.
    """

    lone: tuple[Lone, ...] = ()
    highest: tuple[float, float] | None = None
    faded: Lone | None = None
    marked: tuple[Marked, ...] = ()


UNWATCHED = Watched()
"""Where nobody looked at features by themselves."""


class Basis(msgspec.Struct, frozen=True):
    """What a comparison was computed from, so that it can be computed again whatever is declared or set by then.

    `candidate` and `champion` are the versions; they are the same one where the champion is evaluated again.
    `holdout` are the customers, with `key`, `label` and `segments` by the names that those columns had; `seed` is the
    bootstrap's. `bundles` are the SHA-256 of both versions' manifests, and `recipes` how they were trained, without
    those of earlier platforms, which kept none. `libraries` are those of the comparison. What features tell by
    themselves is measured on the candidate's training rows against the months of `usual`, without the features that
    are made `of_the_past` of a column.
    """

    candidate: int
    champion: int | None
    holdout: KeptRows
    key: str
    label: str
    segments: tuple[str, ...]
    seed: int
    bundles: dict[int, str]
    recipes: dict[int, Recipe]
    libraries: dict[str, str]
    usual: tuple[str, ...] = ()
    of_the_past: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the gates go by, measured on the holdout customers of `month`.

    `interval` is the paired bootstrap's 95 % interval of the AUC difference, candidate minus champion; `parity` the
    largest difference between the candidate's ONNX and scikit-learn probabilities; `positives` counts churned rows.
    `looks` is how many candidates were compared on this month so far, this one counted; 0 where nobody counted.
    `earlier` are months before this one, and `watched` is what features by themselves tell of the candidate's training
    customers: empty before 0.2.0.
    `warn_only` names gates that do not stop a promotion, as set at the time (CHURN_WARN_ONLY). `basis` is what all of
    that was computed from; None before 0.2.0.
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
    earlier: tuple[Earlier, ...] = ()
    watched: Watched = UNWATCHED
    basis: Basis | None = None
