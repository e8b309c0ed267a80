"""Rebuilding: a version trained again from what is stored, and compared with the registered one bit by bit.

Here: training by a version's recipe, and what is the same. Not here: the recipe (`modelling.recipe`), or registering
anything: nothing changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from churn_platform.bundle import Bundle
from churn_platform.champion.recipes import recipe_of
from churn_platform.champion.registry import Registry, Version
from churn_platform.faults import Fault
from churn_platform.files import sha256_of
from churn_platform.files.scratch import scratch
from churn_platform.lake import Lake
from churn_platform.modelling.recipe import Recipe, changed_libraries
from churn_platform.shown import counted
from churn_platform.tables import proofs
from churn_platform.tables.names import HOLDOUT_ROWS, TRAINING_ROWS

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"


class RebuildError(Fault):
    """A version that cannot be trained again as it was; the message says why, and what to do."""

    lasting = True


class Rebuilt(msgspec.Struct, frozen=True):
    """What came of training a version again.

    `same` and `different` name what was compared: the files of the bundle, and the probabilities of the holdout
    customers. `libraries` says which have another version now than when it was trained.
    """

    version: int
    same: tuple[str, ...]
    different: tuple[str, ...]
    libraries: tuple[str, ...]


def rebuild(lake: Lake, registry: Registry, number: int) -> Rebuilt:
    """Train a version again, from the rows and by the recipe that were kept, and compare the two bit by bit.

    Raises RebuildError, ProofError, BundleError, RecipeError and RegistryError.
    """
    version = registry.version(number)
    bundle = registry.bundle(version)
    recipe = _recipe(registry, version)
    if erased := proofs.check(lake, TRAINING_ROWS, recipe.training):
        raise RebuildError(
            f"version {number} cannot be trained again to the bit: {counted(erased, 'row')} erased of those that it was"
            " trained from"
        )
    lost = proofs.check(lake, HOLDOUT_ROWS, recipe.holdout)
    rows = lake.read_file(lake.addressed(TRAINING_ROWS, recipe.training.sha256)).to_pandas()
    holdout = lake.read_file(lake.addressed(HOLDOUT_ROWS, recipe.holdout.sha256)).to_pandas()
    with scratch(registry.scratch) as folder:
        verdicts = _compared(bundle, recipe, rows, holdout, folder / "bundle", measured=not lost)
    return Rebuilt(
        number,
        tuple(name for name, same in verdicts.items() if same),
        tuple(name for name, same in verdicts.items() if not same),
        tuple(changed_libraries(recipe.libraries)),
    )


def _recipe(registry: Registry, version: Version) -> Recipe:
    if (recipe := recipe_of(registry, version)) is None:
        raise RebuildError(
            f"version {version.number} was trained by an earlier version of the platform, which did not keep what it"
            f" was trained from: `churn retrain {version.month} --again` trains one that can be rebuilt"
        )
    return recipe


def _compared(
    bundle: Bundle, recipe: Recipe, rows: pd.DataFrame, holdout: pd.DataFrame, folder: Path, *, measured: bool
) -> dict[str, bool]:
    """Train, write a bundle, and say of each thing that both have whether it is the same.

    Metrics are not measured again where holdout rows were erased.
    """
    import numpy as np

    from churn_platform.modelling.encoding import encode_frame
    from churn_platform.modelling.export import score, to_onnx, write_bundle
    from churn_platform.modelling.metrics import measure
    from churn_platform.modelling.training import train

    features = bundle.schema
    training = train(rows, recipe, features, recipe.estimator, recipe.seed, recipe.windows)
    model = to_onnx(training.pipeline, len(features))
    encoded = encode_frame(features, holdout)
    probabilities = score(model, encoded)
    metrics = bundle.manifest.metrics
    if measured:
        metrics = measure(holdout[recipe.label].to_numpy(), probabilities, training.threshold)
    sample = rows[rows["month"] == recipe.month]
    digest = write_bundle(folder, training, model, features, sample, metrics, recipe.month)
    files = {name: sha256_of(folder / name) == known for name, known in bundle.manifest.files.items()}
    same_scores = np.array_equal(probabilities, bundle.score(encoded))
    return {
        **files,
        MANIFEST: digest == bundle.digest,
        f"the probabilities of {counted(len(holdout), 'holdout customer')}": same_scores,
    }
