"""Scoring: what a version's bundle makes of a month's features.

Here: reading them as the version takes them, whether it can, and its probabilities. Not here: what is delivered of that
(`delivery`), or scoring one customer (`bundle`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from churn_platform.bundle import Bundle, FeatureKind, misfits
from churn_platform.company import past
from churn_platform.faults import Fault
from churn_platform.lake import Lake, opened, picked
from churn_platform.modelling.encoding import encode_frame
from churn_platform.months import Month
from churn_platform.tables.kinds import RENAME, kind_of
from churn_platform.tables.names import FEATURES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PLACES = 6
"""The decimal places of a delivered probability: as many as a float32 near 1 holds."""

AT_ONCE = 50_000


class UnfitFeaturesError(Fault):
    """A month that lacks features without which a version cannot score, or has them of another kind; it names them."""

    lasting = True


def kinds(lake: Lake, month: Month, features: Iterable[str]) -> dict[str, FeatureKind]:
    """The kinds of those of the features that the month has, by whatever name. Raises MissingTableError."""
    known = lake.read(FEATURES, month).schema()
    called = {name: past.called(lake.contract.former, name, known) for name in features}
    return {name: kind_of(known[there]) for name, there in called.items() if there in known}


def refuse_unfit(month: Month, bundle: Bundle, found: Mapping[str, FeatureKind]) -> None:
    """Raise UnfitFeaturesError where the champion, whose bundle this is, cannot score the month by what was found."""
    lacking, other = misfits(bundle.schema, found)
    faults = []
    if lacking:
        faults.append(
            f"the champion needs {', '.join(lacking)}, which {month} does not have as a feature: declare it as one,"
            " or retrain and promote a version without it"
        )
    if other:
        faults.append(
            f"the champion knows {', '.join(other)} as another kind than {month} has: {RENAME}, or retrain for {month}"
            " and promote that version"
        )
    if faults:
        raise UnfitFeaturesError(f"{'; '.join(faults)} (churn company check)")


def scored(lake: Lake, month: Month, bundle: Bundle) -> tuple[pd.DataFrame, np.ndarray]:
    """What the bundle gives every active customer of the month, without delivering it.

    The frame has the key, the monthly fee if there is one, and `probability`, in key order; the array holds the
    encoded features that were scored. Raises MissingTableError and UnfitFeaturesError.
    """
    frame, (encoded,) = taken(lake, month, [bundle])
    frame["probability"] = bundle.score(encoded).astype(np.float64).round(PLACES)
    return frame, encoded


def taken(
    lake: Lake, month: Month, bundles: Sequence[Bundle], customers: Collection[str] | None = None
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Active customers of the month as each bundle takes them: all, or those of `customers` who are active.

    The frame has the key and the monthly fee if there is one, in key order; the arrays hold their encoded features.
    The month is read once for all bundles. Raises MissingTableError, DamagedTableError and UnfitFeaturesError.
    """
    import pandas as pd

    contract, known = lake.contract, set(lake.read(FEATURES, month).columns)
    kept = [name for name in (contract.key, contract.fee) if name]
    features = dict.fromkeys(feature.name for bundle in bundles for feature in bundle.schema)
    # An older version may ask for a feature by a name that it had, or for one that is gone.
    called = {name: past.called(contract.former, name, known) for name in (*kept, *features)}
    names = {name: there for name, there in called.items() if there in known}
    found = kinds(lake, month, features)
    for bundle in bundles:
        refuse_unfit(month, bundle, found)
    columns = list(dict.fromkeys(names.values()))
    parts = [_by_name(part.to_pandas(), names) for part in _parts(lake, month, columns, customers)]
    parts = parts or [_by_name(lake.read(FEATURES, month).limit(0).to_pandas(), names)]  # nobody is left
    encoded = [np.vstack([encode_frame(bundle.schema, part) for part in parts]) for bundle in bundles]
    return pd.concat([part[kept] for part in parts], ignore_index=True), encoded


def _parts(
    lake: Lake, month: Month, columns: list[str], customers: Collection[str] | None
) -> Iterator[pa.RecordBatch | pa.Table]:
    """The month's rows, or those of these customers."""
    if customers is None:
        yield from batches(lake, month, columns)
    else:
        yield picked(lake.path(FEATURES, month), columns, lake.contract.key, customers)


def _by_name(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The frame with the columns that `names` says, by the names that are asked for."""
    return frame[[*names.values()]].set_axis([*names], axis=1)


def batches(lake: Lake, month: Month, columns: list[str], at_once: int = AT_ONCE) -> Iterator[pa.RecordBatch]:
    """The month's feature table in pieces, so that a million customers need not be in memory at once."""
    lake.require(FEATURES, month)
    with opened(lake.path(FEATURES, month)) as file:
        yield from file.iter_batches(at_once, columns=columns)
