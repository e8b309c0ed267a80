"""A column of another kind under a champion: the close stops, what was published stays, and the way on works."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from churn_platform.contracts import declared
from churn_platform.online.store import published
from churn_platform.tables.names import CHURN_SCORES, FEATURES
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform, done, quick_platform
from churn_platform_tests.serving.conftest import running
from churn_platform_tests.system.test_changed_declarations import PARTNER, declare, predicted

JANUARY = homes.MONTHS[0]
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """One month closed, learned from, scored and published. Read only."""
    platform = quick_platform(tmp_path_factory.mktemp("kinds"), foreign.TELCO)
    foreign.telco(platform.settings.drops / "2024-01")
    for command in ("close", "retrain", "close"):
        done(platform, command, "2024-01")
    return platform


def changed(closed: Platform, folder: Path, before: str, after: str, change: Change) -> Platform:
    """A copy that declares something else, and whose drop is as it says."""
    copy = closed.copy(folder)
    company = folder / "company.toml"
    company.write_text(foreign.TELCO)
    platform = Platform(copy.settings.model_copy(update={"company": company}))
    declared.cache_clear()
    declare(platform, before, after)
    file = next((platform.settings.drops / "2024-01").iterdir())
    change(pd.read_csv(file)).to_csv(file, index=False)
    return platform


def stops(platform: Platform, told: str) -> None:
    """Closing the month again stops in this sentence, and what was scored and published stays, and is served."""
    lake, url = platform.home.lake, platform.settings.online_store
    before = lake.sha256(CHURN_SCORES, JANUARY), published(url)
    assert done(platform, "close", "2024-01", exit_code=1).splitlines()[-1].startswith(f"Error: {told}")
    assert (lake.sha256(CHURN_SCORES, JANUARY), published(url)) == before
    ready, answer = predicted(platform)
    assert (ready.status_code, answer.status_code) == (200, 200), (ready.text, answer.text)


KINDS = {
    "Contract": (
        'Contract = { kind = "category"',
        'Contract = { kind = "integer"',
        lambda frame: frame.assign(Contract=frame["Contract"].map({"Month-to-month": 1, "One year": 2, "Two year": 3})),
    ),
    "TotalCharges": (
        'TotalCharges = { kind = "number"',
        'TotalCharges = { kind = "category"',
        lambda frame: frame.assign(TotalCharges=frame["TotalCharges"].map(lambda amount: f"about {amount[:1]}")),
    ),
}


@pytest.mark.parametrize("column", KINDS)
def test_another_kind_stops_and_a_version_that_knows_it_gets_there(
    closed: Platform, tmp_path: Path, column: str
) -> None:
    platform = changed(closed, tmp_path, *KINDS[column])
    advice = f"knows {column} as another kind: give the column another name, or retrain and promote"
    assert advice in done(platform, "company", "check", exit_code=1)
    stops(platform, f"the champion knows {column} as another kind than 2024-01 has: give the column another name, or")
    assert platform.home.lake.has(FEATURES, JANUARY)

    done(platform, "retrain", "2024-01")
    champion = platform.home.registry.champion()
    if champion and champion.number == 1:
        done(platform, "promote", "2", "--reason", "it knows the new kind")
    held(platform, 1, column)  # what is published is still of the old kind

    done(platform, "close", "2024-01")
    assert platform.home.lake.frame(CHURN_SCORES, JANUARY)["model_version"].unique().tolist() == [2]
    ready, answer = predicted(platform)
    assert (ready.status_code, answer.json()["model_version"], ready.json()["warnings"]) == (200, 2, [])
    assert "declared features" in done(platform, "company", "check")

    done(platform, "rollback", "--reason", "it was better")
    held(platform, 2, column)  # what is published is of the new kind
    assert "knows" in done(platform, "close", "2024-01", exit_code=1)
    held(platform, 2, column)
    done(platform, "promote", "2", "--reason", "it fits the declaration")
    assert predicted(platform)[0].json()["warnings"] == []


def held(platform: Platform, serves: int, column: str) -> None:
    """This version answers, and a warning says why the champion does not, and what to do."""
    with running(platform.settings) as service:
        service.until(lambda: "waits" in service.client.get("/ready").text)
        ready, answer = service.client.get("/ready"), service.client.post("/predict", json={"customerID": "0001-ABCDE"})
    assert (ready.status_code, answer.status_code) == (200, 200), (ready.text, answer.text)
    assert (ready.json()["model_version"], answer.json()["model_version"]) == (serves, serves)
    (warning,) = ready.json()["warnings"]
    assert warning == (
        f"champion: version {3 - serves} waits: the online store has {column} of another kind than the champion knows:"
        " publish the features again (churn close 2024-01); if that stops, promote a version that fits the"
        f" declaration, or declare what the champion knows and close again; version {serves}, the last good one, serves"
    )


def test_a_feature_that_is_one_no_more_stops_and_leaves_what_is_served(closed: Platform, tmp_path: Path) -> None:
    basis = PARTNER.replace("kind", 'role = "basis", kind')
    platform = changed(closed, tmp_path, PARTNER, basis, lambda frame: frame)
    stops(
        platform, "the champion needs Partner, which 2024-01 does not have as a feature: declare it as one, or retrain"
    )
