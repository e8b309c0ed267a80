"""Recipes in the registry: each version's stands with its run, in `recipe.json`.

Here: keeping and finding one. Not here: what it says (`modelling.recipe`), or what is done by it (`rebuilding`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from churn_platform.champion.registry import MODEL, Registry, Version, bounded
from churn_platform.faults import Fault
from churn_platform.files.scratch import scratch
from churn_platform.modelling.recipe import Recipe

FILE = "recipe.json"


class RecipeError(Fault):
    """A recipe that cannot be read; the message names the version and says what to do."""

    lasting = True


def log(mlflow: Any, recipe: Recipe) -> None:
    """Keep a recipe with the MLflow run that is under way."""
    mlflow.log_dict(msgspec.to_builtins(recipe), FILE)


@bounded
def recipe_of(registry: Registry, version: Version) -> Recipe | None:
    """A version's recipe; None where an earlier version of the platform trained it. Raises RegistryError, RecipeError.

    Whoever deletes its file makes a version look like one of those: receipts keep the recipes that they were based on.
    """
    with registry.reachable(), scratch(registry.scratch) as folder:
        from mlflow.artifacts import download_artifacts

        if not any(found.path == FILE for found in registry.client.list_artifacts(version.run_id)):
            return None
        file = download_artifacts(
            run_id=version.run_id, artifact_path=FILE, dst_path=str(folder), tracking_uri=registry.mlflow_uri
        )
        data = Path(file).read_bytes()
    try:
        return msgspec.json.decode(data, type=Recipe)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{FILE} of version {version.number} cannot be read: {error}: restore MLflow's files from a backup"
        ) from error


def recipes(registry: Registry) -> Iterator[tuple[Version, Recipe | None]]:
    """Every version with its recipe, oldest first, see `recipe_of`. Raises RegistryError and RecipeError."""
    for number in _numbers(registry):
        version = registry.version(number)
        yield version, recipe_of(registry, version)


@bounded
def _numbers(registry: Registry) -> list[int]:
    with registry.reachable():
        found = registry.client.search_model_versions(f"name = '{MODEL}'", max_results=10_000)
    return sorted(int(version.version) for version in found)
