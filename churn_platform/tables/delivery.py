"""Delivery: what leaves the platform each month, as plain values: features for the online store, scores for a CRM.

Here: the rows and their order, deciles and value at risk, and whether served scores are out of date. Not here: the
online store (`online`), scoring one customer (`bundle`), or how good scores were (`monitoring.performance`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from churn_platform.bundle import Bundle, FeatureKind, Value
from churn_platform.company import past
from churn_platform.contracts import Contract
from churn_platform.files import replacing
from churn_platform.lake import Lake, Written, undamaged
from churn_platform.months import Month
from churn_platform.reasons.telling import in_short, reasons
from churn_platform.tables import changes
from churn_platform.tables.features import AS_OF, schema
from churn_platform.tables.names import CHURN_SCORES, FEATURES
from churn_platform.tables.scoring import AT_ONCE, batches, kinds, scored

if TYPE_CHECKING:
    import pyarrow as pa

DECILES = 10


def online_features(lake: Lake, month: Month) -> dict[str, FeatureKind]:
    """The features that serving looks up, in the order of `online_rows`: those that the month has, with their kinds.

    A renamed one is there by all of its names: the champion may have learned it by another. Raises MissingTableError.
    """
    return kinds(lake, month, (*(feature.name for feature in schema(lake.contract)), *_former(lake.contract)))


def _former(contract: Contract) -> dict[str, str]:
    """The former names of features, each with the present one."""
    present = {feature.name for feature in schema(contract)}
    return {old: new for old, new in contract.former.items() if new in present and old not in present}


def online_rows(lake: Lake, month: Month, at_once: int = AT_ONCE) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """Each active customer's features, in key order, read `at_once`: numbers, booleans, text, None.

    Raises MissingTableError.
    """
    known = lake.read(FEATURES, month).columns
    names = [past.called(lake.contract.former, name, known) for name in online_features(lake, month)]
    for batch in batches(lake, month, [lake.contract.key, *dict.fromkeys(names)], at_once):
        plain = dict(zip(batch.schema.names, (_plain(column) for column in batch.columns), strict=True))
        customers, columns = plain[lake.contract.key], [plain[name] for name in names]
        yield from zip(customers, zip(*columns, strict=True), strict=True)


def score(
    lake: Lake, month: Month, bundle: Bundle, version: int, explained: int, before: Bundle | None = None
) -> Written:
    """Score every active customer of the month and write the scores to the lake, replacing earlier ones.

    Columns, in key order: the key, `as_of`, `probability` (of churning in the window after as_of), `decile` (1 is the
    riskiest tenth of the customers), the monthly fee and `value_at_risk` (probability times monthly fee: what is
    expected to be lost each month) where the company declares a fee, `reasons` (what moves the risk most), the
    `changes.COLUMNS` since last month, when `before` gave the scores, and `model_version`. Reasons and changes are
    those of the riskiest customers, as many as `explained`. Raises MissingTableError and UnfitFeaturesError.
    """
    import ibis

    contract = lake.contract
    frame, encoded = scored(lake, month, bundle)
    # Equal probabilities are ordered by key, so that the same customers get the same deciles.
    riskiest = np.lexsort((frame[contract.key].to_numpy(dtype=str), -frame["probability"].to_numpy()))
    frame["decile"] = deciles(riskiest)
    if contract.fee:
        frame["value_at_risk"] = (frame["probability"] * frame[contract.fee]).round(2)
    first = riskiest[:explained]
    frame["reasons"] = None
    frame.loc[first, "reasons"] = [in_short(found) for found in reasons(bundle, encoded[first])]
    customers = frame[contract.key].iloc[first]
    known = changes.since_last_month(lake, month, before, bundle, customers) if before else None
    for column in changes.COLUMNS:
        frame[column] = np.nan if known is None else frame[contract.key].map(known[column])
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
        **dict.fromkeys(changes.COLUMNS, "float64"),
        "model_version": "int64",
    }


def deciles(riskiest: np.ndarray) -> np.ndarray:
    """Each customer's decile, given the customers' positions [n], riskiest first; group sizes differ by one at most."""
    found = np.empty(len(riskiest), dtype=np.int64)
    found[riskiest] = np.arange(len(riskiest)) * DECILES // max(1, len(riskiest)) + 1
    return found


def csv_of(folder: Path, month: Month) -> Path:
    """Where the month's scores are for other systems."""
    return folder / f"{CHURN_SCORES}_{month}.csv"


def write_csv(lake: Lake, month: Month, path: Path) -> None:
    """Put the month's scores into a CSV file for other systems, atomically. Raises MissingTableError."""
    with replacing(path) as temporary:
        lake.read(CHURN_SCORES, month).order_by(lake.contract.key).to_csv(temporary)


def served_by(lake: Lake, month: Month) -> int | None:
    """The version that made the month's scores, or None where it has none. Raises DamagedTableError."""
    if not lake.has(CHURN_SCORES, month):
        return None
    with undamaged(lake.path(CHURN_SCORES, month)):
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


def _plain(column: pa.Array) -> list[Value]:
    """A column as Python values; NaN and infinity are unknown."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, None)
    values: list[Value] = column.to_pylist()
    return values
