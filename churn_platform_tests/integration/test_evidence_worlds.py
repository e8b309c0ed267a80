"""Evidence's worlds: what is decided in them is what a whole platform decides, and they share what is the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.evidence import code, platform, versions, worlds
from benchmarks.evidence.versions import Asked
from churn_platform.lake import Lake
from churn_platform.replay.player import settings_in
from churn_platform.replay.simulated import replay
from churn_platform.settings import Settings
from churn_platform.simulation.drops import FIRST
from churn_platform.simulation.hazard import Shock, ShockKind
from churn_platform.tables.names import EVALUATION, FEATURES

CUSTOMERS, SEED, MONTHS = 1500, 1, 3
SHOCKS = (Shock(FIRST + 1, ShockKind.PRICE_RISE),)


@pytest.fixture(scope="module")
def quick() -> Iterator[Settings]:
    """The estimator that trains fastest: which one it is makes no difference here."""
    settings = Settings.model_construct(estimator="logistic_regression")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "SETTINGS", settings)
        patch.setattr(worlds, "YEAR", SHOCKS)
        yield settings


@pytest.fixture(scope="module")
def asked(quick: Settings) -> Iterator[Asked]:
    with worlds.world(CUSTOMERS, SEED, MONTHS) as world:
        yield Asked(world, 1)


def test_a_world_decides_as_a_whole_platform_does(
    asked: Asked, quick: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = settings_in(tmp_path_factory.mktemp("replay")).model_copy(update={"estimator": quick.estimator})
    whole = list(replay(settings, MONTHS, CUSTOMERS, SEED, SHOCKS))
    lived = platform.live(asked.year, MONTHS)
    assert [cause for month in whole for cause in month.causes] == [*lived.causes.values()]
    assert len(lived.causes) == 2 and len(lived.promoted) == 2  # the first version, and one for the price rise
    assert [month.promoted for month in whole] == [False, True, True]
    served = [asked.year.auc(version, month) for month, version in enumerate(lived.served, start=1)]
    assert [month.auc for month in whole[1:]] == pytest.approx(served, abs=1e-6)


def test_a_study_that_writes_evaluations_leaves_none_behind(asked: Asked) -> None:
    year = asked.year
    year.course.month(0)
    with year.course.apart() as lake:
        year.compared(lake, 0, None, year.version(0))
        assert lake.path(EVALUATION, FIRST, ".json").exists()
    assert not year.course.lake.path(EVALUATION, FIRST, ".json").exists()


def test_another_fate_shares_what_came_before(asked: Asked) -> None:
    other = asked.after(ShockKind.NEW_PLAN)
    other.course.month(worlds.BRANCH)
    own, others = (_hashes(versions.course.lake) for versions in (asked.year, other))
    assert len(own) == worlds.BRANCH and own == others[: worlds.BRANCH] and len(others) == worlds.BRANCH + 1
    assert other.version(1) is asked.year.version(1)


def test_what_a_study_loads_is_what_its_name_stands_for() -> None:
    study = (
        "import json, sys\n"
        "from benchmarks.evidence.asking import answers\n"
        "[*answers(['estimates'], 400, 0, quick=True)]\n"
        "print(json.dumps([name for name in sys.modules if name.split('.')[0] in ('benchmarks', 'churn_platform')]))\n"
    )
    ran = subprocess.run([sys.executable, "-c", study], capture_output=True, text=True, check=True, cwd=code.ROOT)
    assert set(json.loads(ran.stdout)) <= {*code.reached(code.ASKED)}


def _hashes(lake: Lake) -> list[str]:
    return [lake.sha256(FEATURES, month) for month in lake.months(FEATURES)]
