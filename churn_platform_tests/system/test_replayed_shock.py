"""A shock, replayed: four months of a company through the real assets, and what retraining was worth in them."""

from __future__ import annotations

import pytest

from churn_platform.home import Home
from churn_platform.months import Month
from churn_platform.replay.player import settings_in
from churn_platform.replay.regret import Lived, summary
from churn_platform.replay.simulated import replay
from churn_platform.settings import Settings
from churn_platform.simulation.hazard import Shock, ShockKind

MARCH = Month(2024, 3)
CUSTOMERS = 1500


@pytest.fixture(scope="module")
def shocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, tuple[Lived, ...]]:
    """Four months with a price rise in the third."""
    settings = settings_in(tmp_path_factory.mktemp("replay")).model_copy(update={"estimator": "logistic_regression"})
    return settings, tuple(replay(settings, 4, CUSTOMERS, 1, [Shock(MARCH, ShockKind.PRICE_RISE)], label_delay=0))


def test_the_shock_is_retrained_for_in_its_own_month(shocked: tuple[Settings, tuple[Lived, ...]]) -> None:
    _, months = shocked
    first, _, shock, after = months
    assert first.causes == ("RETRAINING_TRIGGERED no champion yet",)
    assert first.promoted
    assert first.drift_share is None
    assert shock.drift_share
    assert shock.causes[0].startswith("RETRAINING_TRIGGERED drift_share=")
    assert shock.promoted
    assert shock.champion_auc is not None and shock.auc is not None
    assert shock.auc > shock.champion_auc + 0.05
    assert after.auc is not None and after.first_auc is not None
    assert after.auc > after.first_auc + 0.05
    assert all(month.faults == () for month in months)


def test_regret_is_measured_on_the_same_rows(shocked: tuple[Settings, tuple[Lived, ...]]) -> None:
    _, months = shocked
    for month in months:
        if month.promoted:  # the candidate was judged on the very rows that it is measured on here
            assert month.auc == pytest.approx(month.candidate_auc, abs=1e-9)
    found = summary(months)
    assert found is not None
    assert found.months == 4
    assert 0 < found.regret < found.regret_never_retraining


def test_the_platform_that_was_replayed_is_whole(shocked: tuple[Settings, tuple[Lived, ...]]) -> None:
    settings, months = shocked
    home = Home(settings)
    champion = home.registry.champion()
    assert champion is not None
    assert champion.number == months[-1].version
    assert home.ledger.faults() == []
    assert sum(receipt.verdict == "promoted" for receipt in home.ledger.all()) == sum(m.promoted for m in months)
