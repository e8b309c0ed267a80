"""Kept rows: customers taken out of the rows that versions were trained and judged on, which stay provable.

Here: which versions a customer has a part in, and erasing their rows. Not here: the proofs (`tables.proofs`), or what a
receipt says of that (`champion.receipts`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from churn_platform.bundle import BundleError, encode
from churn_platform.champion.recipes import recipes
from churn_platform.champion.registry import Registry, Version
from churn_platform.lake import Lake, opened, picked
from churn_platform.modelling.encoding import encode_frame
from churn_platform.tables import proofs
from churn_platform.tables.names import HOLDOUT_ROWS, TRAINING_ROWS
from churn_platform.tombstones import Tombstones

if TYPE_CHECKING:
    import pandas as pd

FOLDERS = (TRAINING_ROWS, HOLDOUT_ROWS)


class Parts(NamedTuple):
    """The versions that learned from customers, that were judged on them, and whose bundles hold their features."""

    trained: tuple[int, ...]
    judged: tuple[int, ...]
    shown: tuple[int, ...]


Rows = Mapping[str, "pd.DataFrame"]
"""Kept rows by their file, such as `training_rows/SHA256`."""


def rows_of(lake: Lake, customers: Collection[str]) -> Rows:
    """The customers' kept rows; files without any are left out. Raises DamagedTableError."""
    found = {}
    for folder, sha256, key in _files(lake):
        path = lake.addressed(folder, sha256)
        with opened(path) as file:
            columns = file.schema_arrow.names
        rows = picked(path, columns, key, customers)
        if rows.num_rows:
            found[f"{folder}/{sha256}"] = rows.to_pandas()
    return found


def customers_in(lake: Lake, rows: Rows) -> set[str]:
    """Whose rows they are."""
    names = (lake.contract.key, *lake.contract.customers.key.was)
    return {str(key) for frame in rows.values() for name in names if name in frame for key in frame[name]}


def erased_in(lake: Lake, tombstones: Tombstones) -> set[str]:
    """Whoever has a tombstone and kept rows all the same. Raises DamagedTableError."""
    found = set[str]()
    for folder, sha256, key in _files(lake) if tombstones.hashes else ():
        with opened(lake.addressed(folder, sha256)) as file:
            found |= tombstones.among(set(file.read([key])[key].drop_null().to_pylist()))
    return found


def parts(registry: Registry, rows: Rows) -> Parts:
    """Which versions the rows have a part in, as recipes tell. Raises RegistryError and RecipeError.

    A bundle that cannot be read may hold their features, and counts as one that does.
    """
    trained, judged, shown = [], [], []
    for version, recipe in recipes(registry):
        if recipe is None:
            continue
        learned = rows.get(f"{TRAINING_ROWS}/{recipe.training.sha256}")
        if learned is not None:
            trained.append(version.number)
            if _may_be_shown(registry, version, learned):
                shown.append(version.number)
        if f"{HOLDOUT_ROWS}/{recipe.holdout.sha256}" in rows:
            judged.append(version.number)
    return Parts(tuple(trained), tuple(judged), tuple(shown))


def erase(lake: Lake, customers: Collection[str]) -> int:
    """Take the customers' rows out of all kept rows, and say how many there were. Raises ProofError."""
    erased = 0
    for folder, sha256, key in _files(lake):
        if not lake.addressed(folder, sha256).with_suffix(proofs.ENDING).exists():
            proofs.prove(lake, folder, sha256)  # of an earlier version of the platform
        erased += proofs.erase(lake, folder, sha256, key, customers)
    return erased


def _may_be_shown(registry: Registry, version: Version, rows: pd.DataFrame) -> bool:
    """Whether any of the bundle's golden rows, or of its background, has the features of one of these customers.

    They hold no keys: somebody else with the very same features counts, too.
    """
    try:
        bundle = registry.bundle(version)
    except BundleError:
        return True
    held = [*(row.features for row in bundle.golden), *bundle.background]
    known = {_bits(encode(bundle.schema, features)) for features in held}
    return any(_bits(row) in known for row in encode_frame(bundle.schema, rows))


def _bits(row: Collection[float]) -> bytes:
    import numpy as np

    return np.asarray(row, dtype=np.float32).tobytes()


def _files(lake: Lake) -> Iterator[tuple[str, str, str]]:
    """Each file of kept rows that has customers' keys: its folder, its name, and what the key is called in it."""
    names = (lake.contract.key, *lake.contract.customers.key.was)
    for folder in FOLDERS:
        for path in sorted((lake.root / folder).glob("*.parquet")):
            if path.name.endswith(proofs.ENDING):
                continue
            with opened(path) as file:
                columns = file.schema_arrow.names
            if key := next((name for name in names if name in columns), None):
                yield folder, path.stem, key
