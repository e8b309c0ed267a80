"""Comparing: two registered versions on kept holdout rows, as often as anybody asks, from the same basis.

Here: what a comparison is based on, and computing one from that, for the first time and again. Not here: the figures
(`modelling.evaluation`), or what a receipt says of them (`verifying`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from churn_platform.bundle import Bundle
from churn_platform.champion import usual
from churn_platform.champion.recipes import recipe_of
from churn_platform.champion.registry import Registry, RegistryError, Version
from churn_platform.faults import Fault
from churn_platform.lake import Lake
from churn_platform.modelling.evaluation import Evaluation, VersionScores, evaluate, score_versions
from churn_platform.modelling.facts import UNWATCHED, Basis, Earlier, Watched
from churn_platform.modelling.recipe import libraries
from churn_platform.modelling.tripwires import MOST_ROWS, watch
from churn_platform.tables import proofs
from churn_platform.tables.kinds import kind_of
from churn_platform.tables.names import HOLDOUT_ROWS, TRAINING_ROWS
from churn_platform.tables.training_set import holdout_rows, labelled, segments_of

if TYPE_CHECKING:
    import numpy as np
    from sklearn.pipeline import Pipeline

    from churn_platform.months import Month


class UnreadableModelError(Fault):
    """A version's scikit-learn model that cannot be loaded; the message names the version and says why."""

    lasting = True


class ComparedVersions(NamedTuple):
    """A comparison: its record, and the labels [rows] and scores that it was made from, the candidate's first."""

    evaluation: Evaluation
    labels: np.ndarray
    scores: Sequence[VersionScores]


def basis_of(
    lake: Lake,
    registry: Registry,
    month: Month,
    candidate: Version,
    champion: Version | None,
    bundles: Mapping[int, Bundle],
    seed: int,
    appointed: usual.Appointed,
) -> Basis:
    """Keep the month's holdout rows, and say all that a comparison of these versions on them is based on.

    What is usual is taken from months that the candidate learned from: labels that came since are not in its rows.
    """
    versions = (candidate, champion) if champion else (candidate,)
    recipes = {version.number: recipe_of(registry, version) for version in versions}
    learned = recipes[candidate.number]
    return Basis(
        candidate=candidate.number,
        champion=champion.number if champion else None,
        holdout=proofs.keep(lake, HOLDOUT_ROWS, holdout_rows(lake, month)),
        key=lake.contract.key,
        label=lake.contract.label,
        segments=segments_of(lake.contract),
        seed=seed,
        bundles={number: bundle.digest for number, bundle in bundles.items()},
        recipes={number: recipe for number, recipe in recipes.items() if recipe},
        libraries=libraries(),
        usual=usual.months(lake, month, appointed, learned.months if learned else ()),
        of_the_past=usual.of_the_past(lake.contract),
    )


def compare(
    lake: Lake,
    basis: Basis,
    bundles: Mapping[int, Bundle],
    pipeline: Pipeline,
    *,
    month: str,
    delta: float,
    looks: int,
    warn_only: Sequence[str],
    earlier: Sequence[Earlier],
    watched: Watched | None = None,
) -> ComparedVersions:
    """Compare on the rows of the basis; `pipeline` is the candidate's.

    Nothing but the arguments and the lake's kept rows decides what comes of it, least of all today's declaration.
    `watched` stands in for what the candidate's training rows would tell, where some of them were erased.
    """
    rows = lake.read_file(lake.addressed(HOLDOUT_ROWS, basis.holdout.sha256))
    others = (basis.key, basis.label, *basis.segments)
    kinds = {name: kind_of(found) for name, found in rows.schema().items() if name not in others}
    customers = rows.to_pandas()
    candidate, champion = basis.candidate, basis.champion
    scores, parity = score_versions(customers, bundles, candidate, pipeline, kinds)
    labels = customers[basis.label].to_numpy(dtype=bool)
    evaluation = evaluate(
        month,
        labels,
        scores[candidate],
        None if champion is None else scores[champion],
        parity=parity,
        segments=customers[[*basis.segments]],
        delta=delta,
        seed=basis.seed,
        looks=looks,
        warn_only=warn_only,
        earlier=earlier,
        watched=watched or _watched(lake, basis, candidate, bundles[candidate]),
        basis=basis,
    )
    return ComparedVersions(evaluation, labels, tuple(scores.values()))


def _watched(lake: Lake, basis: Basis, candidate: int, bundle: Bundle) -> Watched:
    """What features by themselves tell of the candidate's training rows: none where an earlier platform trained it."""
    if (recipe := basis.recipes.get(candidate)) is None:
        return UNWATCHED
    rows = lake.read_file(lake.addressed(TRAINING_ROWS, recipe.training.sha256))
    features = [feature for feature in bundle.schema if feature.name not in basis.of_the_past]
    months = [labelled(rows, recipe.key, month, MOST_ROWS) for month in (recipe.month, *basis.usual)]
    now, *before = [(frame, frame[recipe.label].to_numpy(dtype=bool)) for frame in months]
    return watch(features, now, before)


def model_of(registry: Registry, version: Version) -> Pipeline:
    """A version's scikit-learn model. Raises UnreadableModelError: its file may hold anything, and so may its error."""
    try:
        return registry.model(version)
    except RegistryError:
        raise
    except Exception as error:  # whatever scikit-learn, skops or the archive raises
        reason = f"{type(error).__name__}: {error}"
        raise UnreadableModelError(
            f"the scikit-learn model of version {version.number} cannot be loaded: {reason}: restore MLflow's"
            " files from a backup"
        ) from error
