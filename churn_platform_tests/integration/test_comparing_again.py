"""Comparing again: what an evaluation says when it is made once more, in another state of the registry and the lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn_platform.champion.comparing import basis_of, compare, model_of
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.months import Month
from churn_platform_tests.conftest import Platform

FEBRUARY = Month(2024, 2)


@pytest.fixture
def platform(trained: Platform, tmp_path: Path) -> Platform:
    """Version 2, trained for February, is the champion."""
    return trained.copy(tmp_path)


def compared(platform: Platform, number: int) -> Evaluation:
    home, registry = platform.home, platform.home.registry
    candidate, champion = registry.version(number), registry.champion()
    assert champion is not None
    bundles = {version.number: registry.bundle(version) for version in (candidate, champion)}
    basis = basis_of(home.lake, registry, FEBRUARY, candidate, champion, bundles, 7, home.ledger.appointed)
    return compare(
        home.lake,
        basis,
        bundles,
        model_of(registry, candidate),
        month=str(FEBRUARY),
        delta=0.01,
        looks=1,
        warn_only=(),
        earlier=(),
    ).evaluation


def test_the_champion_is_not_promoted_again(platform: Platform) -> None:
    evaluation = compared(platform, 2)
    assert evaluation.champion is not None
    assert (evaluation.candidate.version, evaluation.champion.version) == (2, 2)
    assert not evaluation.promote
    assert evaluation.decision == "version 2 serves already: nothing to promote"


def test_only_months_that_the_candidate_learned_from_are_usual(platform: Platform) -> None:
    evaluation = compared(platform, 1)  # trained for January alone
    assert evaluation.basis is not None
    assert evaluation.basis.usual == ("2024-01",)
    assert evaluation.watched.lone[0].before is not None
