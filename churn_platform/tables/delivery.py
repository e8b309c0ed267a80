"""Delivery: what leaves the platform each month, as plain values: features for the online store, scores for a CRM.

Here: the rows and their order, deciles and value at risk, and whether served scores are out of date. Not here: the
online store (`online`), scoring one customer (`bundle`), or how good scores were (`monitoring.performance`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from churn_platform.bundle import Bundle, FeatureKind, Value, misfits
from churn_platform.company import past
from churn_platform.contracts import Contract
from churn_platform.faults import Fault
from churn_platform.files import replacing
from churn_platform.lake import Lake, Written, opened
from churn_platform.modelling.encoding import encode_frame
from churn_platform.modelling.reasons import reasons
from churn_platform.months import Month
from churn_platform.tables.features import AS_OF, schema
from churn_platform.tables.kinds import RENAME, kind_of
from churn_platform.tables.names import CHURN_SCORES, FEATURES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DECILES = 10
EXPLAINED = 1_000
"""How many customers' scores are explained each month, riskiest first: a CRM makes far fewer calls."""

PLACES = 6
"""The decimal places of a delivered probability: as many as a float32 near 1 holds."""

_BATCH = 50_000


class UnfitFeaturesError(Fault):
    """A month that lacks features without which a version cannot score, or has them of another kind; it names them."""

    lasting = True


def online_features(lake: Lake, month: Month) -> dict[str, FeatureKind]:
    """The features that serving looks up, in the order of `online_rows`: those that the month has, with their kinds.

    A renamed one is there by all of its names: the champion may have learned it by another. Raises MissingTableError.
    """
    return kinds(lake, month, (*(feature.name for feature in schema(lake.contract)), *_former(lake.contract)))


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


def _former(contract: Contract) -> dict[str, str]:
    """The former names of features, each with the present one."""
    present = {feature.name for feature in schema(contract)}
    return {old: new for old, new in contract.former.items() if new in present and old not in present}


def online_rows(lake: Lake, month: Month, at_once: int = _BATCH) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """Each active customer's features, in key order, read `at_once`: numbers, booleans, text, None.

    Raises MissingTableError.
    """
    known = lake.read(FEATURES, month).columns
    names = [past.called(lake.contract.former, name, known) for name in online_features(lake, month)]
    for batch in _batches(lake, month, [lake.contract.key, *dict.fromkeys(names)], at_once):
        plain = dict(zip(batch.schema.names, (_plain(column) for column in batch.columns), strict=True))
        customers, columns = plain[lake.contract.key], [plain[name] for name in names]
        yield from zip(customers, zip(*columns, strict=True), strict=True)


def score(lake: Lake, month: Month, bundle: Bundle, version: int) -> Written:
    """Score every active customer of the month and write the scores to the lake, replacing earlier ones.

    Columns, in key order: the key, `as_of`, `probability` (of churning in the window after as_of), `decile` (1 is the
    riskiest tenth of the customers), the monthly fee and `value_at_risk` (probability times monthly fee: what is
    expected to be lost each month) where the company declares a fee, `reasons` (what moves the risk most; for the
    EXPLAINED riskiest), and `model_version`. Raises MissingTableError.
    """
    import ibis

    contract = lake.contract
    frame, encoded = scored(lake, month, bundle)
    # Equal probabilities are ordered by key, so that the same customers get the same deciles.
    riskiest = np.lexsort((frame[contract.key].to_numpy(dtype=str), -frame["probability"].to_numpy()))
    frame["decile"] = deciles(riskiest)
    if contract.fee:
        frame["value_at_risk"] = (frame["probability"] * frame[contract.fee]).round(2)
    explained = riskiest[:EXPLAINED]
    frame["reasons"] = None
    frame.loc[explained, "reasons"] = [
        " ".join(reason.sentence for reason in found) for found in reasons(bundle, encoded[explained])
    ]
    frame["model_version"] = version
    table = ibis.memtable(frame, schema=_types(contract)).mutate(**{AS_OF: ibis.literal(month.as_of)})
    key, *others = _types(contract)
    ordered = table.select(key, AS_OF, *others).order_by(key)
    return lake.write(CHURN_SCORES, month, ordered, built_from=[(FEATURES, month)])


def _types(contract: Contract) -> dict[str, str]:
    """The scores' columns but for `as_of`, with Ibis's types."""
    return {
        contract.key: "string",
        "probability": "float64",
        "decile": "int64",
        **({contract.fee: "float64", "value_at_risk": "float64"} if contract.fee else {}),
        "reasons": "string",
        "model_version": "int64",
    }


def scored(lake: Lake, month: Month, bundle: Bundle) -> tuple[pd.DataFrame, np.ndarray]:
    """What the bundle gives every active customer of the month, without delivering it.

    The frame has the key, the monthly fee if there is one, and `probability`, in key order; the array holds the
    encoded features that were scored. Raises MissingTableError and UnfitFeaturesError.
    """
    import pandas as pd

    contract, known = lake.contract, set(lake.read(FEATURES, month).columns)
    kept = [name for name in (contract.key, contract.fee) if name]
    wanted = dict.fromkeys([*kept, *(feature.name for feature in bundle.schema)])
    # An older version may ask for a feature by a name that it had, or for one that is gone.
    names = {name: called for name in wanted if (called := past.called(contract.former, name, known)) in known}
    refuse_unfit(month, bundle, kinds(lake, month, (feature.name for feature in bundle.schema)))
    batches = _batches(lake, month, list(dict.fromkeys(names.values())))
    parts = [_by_name(batch.to_pandas(), names) for batch in batches]
    encoded = np.vstack([encode_frame(bundle.schema, part) for part in parts])
    frame = pd.concat([part[kept] for part in parts], ignore_index=True)
    frame["probability"] = bundle.score(encoded).astype(np.float64).round(PLACES)
    return frame, encoded


def _by_name(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The frame with the columns that `names` says, by the names that are asked for."""
    return frame[[*names.values()]].set_axis([*names], axis=1)


def deciles(riskiest: np.ndarray) -> np.ndarray:
    """Each customer's decile, given the customers' positions [n], riskiest first; group sizes differ by one at most."""
    found = np.empty(len(riskiest), dtype=np.int64)
    found[riskiest] = np.arange(len(riskiest)) * DECILES // max(1, len(riskiest)) + 1
    return found


def write_csv(lake: Lake, month: Month, path: Path) -> None:
    """Put the month's scores into a CSV file for other systems, atomically. Raises MissingTableError."""
    with replacing(path) as temporary:
        lake.read(CHURN_SCORES, month).order_by(lake.contract.key).to_csv(temporary)


def served_by(lake: Lake, month: Month) -> int | None:
    """The version that made the month's scores, or None where it has none."""
    if not lake.has(CHURN_SCORES, month):
        return None
    version = lake.read(CHURN_SCORES, month).model_version.max().to_pyarrow().as_py()
    return None if version is None else int(version)


def is_history(lake: Lake, month: Month) -> bool:
    """Whether the month's scores are there and a later month is closed: what was served then is not rewritten."""
    return lake.has(CHURN_SCORES, month) and month < lake.months(FEATURES)[-1]


def scores_are_stale(lake: Lake, month: Month, champion: int | None) -> bool:
    """Whether the month is the newest closed one, and its scores are not what this champion would give it now.

    They are not where there are none, another version made them, or the features have changed since.
    """
    closed = lake.months(FEATURES)
    if champion is None or not closed or month != closed[-1]:
        return False
    return served_by(lake, month) != champion or lake.is_stale(CHURN_SCORES, month)


def _batches(lake: Lake, month: Month, columns: list[str], at_once: int = _BATCH) -> Iterator[pa.RecordBatch]:
    """The month's feature table in pieces, so that a million customers need not be in memory at once."""
    lake.require(FEATURES, month)
    with opened(lake.path(FEATURES, month)) as file:
        yield from file.iter_batches(at_once, columns=columns)


def _plain(column: pa.Array) -> list[Value]:
    """A column as Python values; NaN and infinity are unknown."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, None)
    values: list[Value] = column.to_pylist()
    return values
