"""The training set: which labelled rows a version may learn from, and which it is judged on.

Here: joining features with the labels of the same month, taking holdout customers out or keeping only them, and
refusing what cannot be trained on. Not here: the features (`features`), the fit (`modelling.training`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from churn_platform.company import past
from churn_platform.company.declaration import Role
from churn_platform.contracts import Contract
from churn_platform.faults import Fault
from churn_platform.files import sha256_of
from churn_platform.intake import deliveries
from churn_platform.lake import Lake
from churn_platform.modelling.recipe import Source
from churn_platform.months import Month
from churn_platform.tables import leaving, maturity
from churn_platform.tables.features import AS_OF, as_declared, dated, is_holdout, sample, schema
from churn_platform.tables.kinds import FEATURE_TYPES
from churn_platform.tables.names import FEATURES, TRAINING_ROWS, landed
from churn_platform.tables.origins import barred, made_otherwise, read_otherwise, unfinished

if TYPE_CHECKING:
    import ibis
    import ibis.expr.types as ir
    import pandas as pd

REACH = 12
"""How many months a version may look back at most: the longest window that training tries."""


class NotTrainableError(Fault):
    """A month that no candidate can be trained for; the message says for which one it can, or gives the counts."""

    lasting = True


class CandidateVersion(msgspec.Struct, frozen=True):
    """The version of the registry that was trained from a month's training set."""

    version: int


class TrainingSet(msgspec.Struct, frozen=True):
    """What a version was trained from. `sha256` names the rows' file; counts are of all its months together.

    `root` proves the rows (`proofs`); it is empty before 0.2.0.
    """

    month: str
    sha256: str
    rows: int
    customers: int
    churned: int
    months: dict[str, Source]
    root: str = ""


def matured(lake: Lake) -> tuple[Month, ...]:
    """The closed months whose labels have landed, oldest first: those to train for.

    What was landed may not be what is declared now. Training asks `unlike_labels` and refuses; what only measures takes
    the months that are left (`judging`).
    """
    return tuple(month for month in lake.months(landed(lake.contract.labels.name)) if lake.has(FEATURES, month))


def judging(lake: Lake) -> tuple[Month, ...]:
    """The matured months that anything may be judged on, oldest first: their labels are what is declared now."""
    return tuple(month for month in matured(lake) if unlike_labels(lake, month) is None)


def months_to_learn_from(lake: Lake, month: Month) -> tuple[Month, ...]:
    """The matured months up to `month`, oldest first. Raises NotTrainableError unless `month` is one of them.

    None is left out for labels that are not the declared ones: `labels_of` refuses them, so that somebody closes it.
    """
    known = matured(lake)
    if month not in known:
        closed = lake.has(FEATURES, month)
        reason = "has no labels yet" if closed else f"is not closed: close {month} first (churn close {month})"
        newest = f"; the newest month that can be trained for is {known[-1]}" if known else "; no month has matured yet"
        raise NotTrainableError(f"{month} {reason}{newest}")
    return tuple(m for m in known if m <= month and month.since(m) < REACH)


def training_rows(lake: Lake, months: Iterable[Month]) -> ibis.Table:
    """The labelled rows of these months without the holdout customers: `month`, key, label, features; ordered."""
    import ibis

    known = list(months)
    parts = [_labelled(lake, month, _features_of(lake, month, known[-1])) for month in known]
    rows = parts[0] if len(parts) == 1 else ibis.union(*parts)
    key = lake.contract.key
    return rows.filter(~is_holdout(rows[key])).order_by("month", key)


def holdout(lake: Lake, month: Month) -> pd.DataFrame:
    """The month's labelled holdout customers in memory, see `holdout_rows`."""
    frame: pd.DataFrame = holdout_rows(lake, month).to_pandas()
    return frame


def holdout_rows(lake: Lake, month: Month) -> ibis.Table:
    """The month's labelled holdout customers with features and segments, in key order."""
    key, customers = lake.contract.key, lake.contract.customers
    segments = as_declared(lake.read(customers.snapshots, month), customers).select(key, *segments_of(lake.contract))
    rows = _labelled(lake, month, lake.read(FEATURES, month).drop(AS_OF))
    rows = rows.filter(is_holdout(rows[key])).left_join(segments, key).drop(f"{key}_right")
    return _by_all_names(rows, lake.contract).order_by(key)


def labelled(rows: ibis.Table, key: str, month: str, most: int) -> pd.DataFrame:
    """About `most` of these training rows that are of this month, in key order."""
    own = rows.filter(rows.month == month)
    chosen = sample(own, key, int(own.count().to_pyarrow().as_py()), most)
    frame: pd.DataFrame = chosen.order_by(key).to_pandas()
    return frame


def segments_of(contract: Contract) -> tuple[str, ...]:
    """The columns that put customers into groups, within each of which versions are compared."""
    return tuple(column.name for column in contract.customers.with_role(Role.SEGMENT))


def _by_all_names(rows: ibis.Table, contract: Contract) -> ibis.Table:
    """The rows with each renamed feature by all of its names: versions know it by different ones."""
    known = rows.columns
    names = [name for name in (*contract.former, *contract.former.values()) if name not in known]
    found = {name: called for name in names if (called := past.called(contract.former, name, known)) in known}
    return rows.mutate(**{name: rows[called] for name, called in found.items()}) if found else rows


def labels_of(lake: Lake, month: Month) -> ibis.Table:
    """The month's landed labels, key and label, by the names that they have now, without those who had no choice.

    Raises MissingTableError, and NotTrainableError where they are not what is declared now.
    """
    contract, labels = lake.contract, lake.contract.labels
    if told := refused_labels(lake, [month]):
        raise NotTrainableError(told)
    rows = as_declared(lake.read(landed(labels.name), month), labels)
    if chosen := contract.declaration.label.involuntary:
        reason = rows[chosen.column]
        rows = rows.filter(reason.isnull() | reason.notin(chosen.values))
    return rows.select(contract.key, contract.label)


def refused_labels(lake: Lake, months: Iterable[Month]) -> str | None:
    """Which month's labels nothing can be trained on, why, and what to do; None where that holds for none of them."""
    for month in months:
        if told := unlike_labels(lake, month):
            return f"the labels of {month} {told}: close {month} again (churn close {month})"
    return None


def unlike_labels(lake: Lake, month: Month) -> str | None:
    """In what the month's landed labels are not what is declared now, to follow "the labels"; None where they are."""
    contract = lake.contract
    if lacking := _lacking(lake, month):
        return f"lack {', '.join(lacking)}"
    if not contract.leaves and maturity.are_early(contract, month):
        return f"count from {maturity.known_from(contract, month)} on"
    if contract.leaves and not all(lake.has(*source) for source in leaving.sources(lake, month)):
        return f"are to be withdrawn until {month + contract.leaves} is closed"
    if other := read_otherwise(lake, month, deliveries.LATER):
        return f"were taken in as {', '.join(other)} was declared before"
    return None


def _lacking(lake: Lake, month: Month) -> list[str]:
    known = lake.read(landed(lake.contract.labels.name), month).columns
    wanted = [lake.contract.labels[name] for name in lake.contract.declaration.label.columns]
    return [column.name for column in wanted if not {column.name, *column.was} & {*known}]


def _features_of(lake: Lake, month: Month, newest: Month) -> ibis.Table:
    """The month's features as they are declared now, of the types that they have in the newest month.

    One that the month's table lacks is unknown where a column says since or until when it is delivered. Raises
    NotTrainableError for any other, and for one that was made otherwise: nobody would see that it was learned from
    nothing, or from a mixture.
    """
    import ibis

    contract, rows = lake.contract, lake.read(FEATURES, month)
    if told := barred(lake, month):
        raise NotTrainableError(told)
    if unfinished(lake, month):
        raise NotTrainableError(
            f"a close of {month} did not come to its end: close {month} again (churn close {month})"
        )
    if other := made_otherwise(lake, month):
        told = f"the features of {month} have {', '.join(other)}, made otherwise than is declared now"
        raise NotTrainableError(f"{told}: close {month} again (churn close {month})")
    wanted, found = lake.read(FEATURES, newest).schema(), rows.schema()
    changed: dict[str, ir.Value] = {}
    for feature in schema(contract):
        name = feature.name
        there = past.called(contract.former, name, found)
        newest_name = past.called(contract.former, name, wanted)
        kind = wanted[newest_name] if newest_name in wanted else FEATURE_TYPES[feature.kind]
        if there in found:
            cast = found[there] != kind and newest_name in wanted
            changed |= {name: rows[there].cast(kind)} if cast else {name: rows[there]} if there != name else {}
        elif name in dated(contract):
            changed[name] = ibis.null(kind)
        else:
            told = f"the features of {month} lack {name}, which is declared now"
            raise NotTrainableError(f"{told}: close {month} again (churn close {month})")
    return rows.mutate(**changed).select(contract.key, *(feature.name for feature in schema(contract)))


def _labelled(lake: Lake, month: Month, features: ibis.Table) -> ibis.Table:
    import ibis

    return features.join(labels_of(lake, month), lake.contract.key).mutate(month=ibis.literal(str(month)))


def sources(lake: Lake, months: Iterable[Month], rows: pd.DataFrame) -> dict[str, Source]:
    """Where the rows of a training set came from."""
    counts = rows["month"].value_counts()
    return {str(month): Source(int(counts.get(str(month), 0)), *_content(lake, month)) for month in months}


def is_current(lake: Lake, month: Month, gathered: TrainingSet) -> bool:
    """Whether this training set of the month is what would be gathered now, as is declared now.

    Raises NotTrainableError where nothing would.
    """
    months = months_to_learn_from(lake, month)
    now = {str(month): _content(lake, month) for month in months}
    if now != {name: (source.features_sha256, source.labels_sha256) for name, source in gathered.months.items()}:
        return False
    # The same files give other rows by another declaration.
    return lake.write_addressed(TRAINING_ROWS, training_rows(lake, months)).sha256 == gathered.sha256


def _content(lake: Lake, month: Month) -> tuple[str, str]:
    """What the files of a month hold that it contributes, features and labels, as hashes."""
    return sha256_of(lake.path(FEATURES, month)), sha256_of(lake.path(landed(lake.contract.labels.name), month))


def refuse_too_few(month: Month, labels: pd.Series, least: int) -> None:
    """Raise NotTrainableError where the month's own rows, whose labels these are, are too few, or all of one class."""
    churned = int(labels.sum())
    counts = f"{month} has {len(labels)} labelled training customers, {churned} of them churned"
    if len(labels) < least:
        raise NotTrainableError(f"{counts}; CHURN_MIN_TRAINING_CUSTOMERS asks for at least {least}")
    if churned in (0, len(labels)):
        raise NotTrainableError(f"{counts}: training needs some who did and some who did not")
