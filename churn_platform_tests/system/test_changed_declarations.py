"""Changes of a declaration with months closed and a champion serving: it works, or a sentence says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pandas as pd
import pytest

from churn_platform.automation.alerts import Remembered
from churn_platform.contracts import declared
from churn_platform.tables import training_set
from churn_platform.tables.names import CHURN_SCORES, FEATURES, landed
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform, done, quick_platform
from churn_platform_tests.serving.conftest import running

JANUARY, FEBRUARY = homes.MONTHS[:2]
PARTNER = 'Partner = { kind = "boolean", meaning = "Has a partner." }\n'


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """One month closed, learned from and scored. Read only."""
    folder = tmp_path_factory.mktemp("changed")
    platform = quick_platform(folder, foreign.TELCO)
    foreign.telco(platform.settings.drops / "2024-01")
    for command in ("close", "retrain", "close"):
        assert platform.churn(command, "2024-01").exit_code == 0
    return platform


@pytest.fixture
def platform(closed: Platform, tmp_path: Path) -> Platform:
    """A copy whose old drop is gone, free to be changed."""
    copy = closed.copy(tmp_path)
    company = tmp_path / "company.toml"
    company.write_text(foreign.TELCO)
    (next((copy.settings.drops / "2024-01").iterdir())).unlink()
    (copy.settings.drops / "2024-01").rmdir()
    return Platform(copy.settings.model_copy(update={"company": company}))


def declare(platform: Platform, before: str, after: str) -> None:
    company = platform.settings.company
    assert company is not None
    text = company.read_text()
    assert before in text
    company.write_text(text.replace(before, after))
    declared.cache_clear()  # a command is a process of its own


def deliver(platform: Platform, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """The second month's drop, changed."""
    drop = foreign.telco(platform.settings.drops / "2024-02")
    file = next(drop.iterdir())
    change(pd.read_csv(file)).to_csv(file, index=False)


def test_a_column_since_a_month_is_unknown_before(platform: Platform) -> None:
    declare(platform, PARTNER, PARTNER + 'Visits = { kind = "integer", since = "2024-02", meaning = "Visits." }\n')
    deliver(platform, lambda frame: frame.assign(Visits=range(len(frame))))
    assert "a retrain learns Visits" in done(platform, "company", "check")
    done(platform, "close", "2024-02")
    lake = platform.home.lake
    assert lake.frame(FEATURES, FEBRUARY)["Visits"].notna().all()
    assert "Visits" not in lake.frame(FEATURES, JANUARY)  # keeps its bytes
    done(platform, "retrain", "2024-02")
    done(platform, "close", "2024-01")  # as it was landed
    assert lake.frame(FEATURES, JANUARY)["Visits"].isna().all() or "Visits" not in lake.frame(FEATURES, JANUARY)


def test_a_new_column_without_a_date_asks_for_the_old_months(platform: Platform) -> None:
    declare(platform, PARTNER, PARTNER + 'Visits = { kind = "integer", meaning = "Visits." }\n')
    deliver(platform, lambda frame: frame.assign(Visits=1))
    assert "2024-01 lacks Visits" in done(platform, "company", "check", exit_code=1)
    done(platform, "close", "2024-02")
    told = done(platform, "retrain", "2024-02", exit_code=1)
    assert "the features of 2024-01 lack Visits, which is declared now: close 2024-01 again" in told


def test_a_derived_feature_asks_for_the_old_months(platform: Platform) -> None:
    declare(
        platform,
        "[tables.customers]\n",
        '[features.derived]\nyears = { sql = "TotalCharges / 12", meaning = "x" }\n[tables.customers]\n',
    )
    assert "2024-01 lacks years" in done(platform, "company", "check", exit_code=1)
    told = done(platform, "retrain", "2024-01", exit_code=1)
    assert "the features of 2024-01 lack years" in told


def test_another_formula_under_the_same_name_asks_for_the_old_months_and_a_new_version(platform: Platform) -> None:
    derived = '[features.derived]\nyears = { sql = "TotalCharges / 12", meaning = "x" }\n'
    declare(platform, "[tables.customers]\n", f"{derived}[tables.customers]\n")
    done(platform, "close", "2024-01")
    done(platform, "retrain", "2024-01")
    done(platform, "promote", "2", "--reason", "it knows the years")
    declare(platform, "TotalCharges / 12", "TotalCharges/12")
    assert "declared features" in done(platform, "company", "check")
    declare(platform, "TotalCharges/12", "TotalCharges / 24")
    deliver(platform, lambda frame: frame)
    done(platform, "close", "2024-02")
    told = done(platform, "company", "check", exit_code=1).splitlines()
    what = "2024-01 has years, made otherwise than is declared now, so no version is trained on it"
    assert told[1:] == [
        f"{what}: close it again (churn close 2024-01)",
        "the champion, version 2, has learned years by another formula than the one that it is given: retrain, or give"
        " the new formula another name",
    ]
    refused = done(platform, "retrain", "2024-02", exit_code=1)
    assert "the features of 2024-01 have years, made otherwise than is declared now: close 2024-01 again" in refused
    done(platform, "close", "2024-01")
    done(platform, "retrain", "2024-02")
    rows = training_set.training_rows(platform.home.lake, [JANUARY, FEBRUARY]).to_pandas()
    assert (rows["years"] * 24 - rows["TotalCharges"]).abs().max() < 1e-6


def alerts(platform: Platform) -> list[str]:
    """What people were told, or would have been, in the order of the sentences."""
    files = (platform.settings.home / "alerts").glob("*.json")
    found = (msgspec.json.decode(file.read_bytes(), type=Remembered).alert for file in files)
    return sorted(alert.body for alert in found if alert.title == "Champion and declaration differ")


def predicted(platform: Platform) -> tuple[httpx.Response, httpx.Response]:
    """What serving says of itself, and of a customer of the second month, once it serves the champion."""
    champion = platform.home.registry.champion()
    assert champion is not None
    with running(platform.settings) as service:  # which may begin with the version that it served last
        service.until(lambda: service.client.get("/model").json().get("version") == champion.number)
        return service.client.get("/ready"), service.client.post("/predict", json={"customerID": "0001-ABCDE"})


def test_a_column_until_a_month_is_unknown_after(platform: Platform) -> None:
    done(platform, "company", "check")
    assert alerts(platform) == []
    declare(platform, PARTNER, PARTNER.replace("kind", 'until = "2024-01", kind'))
    told = (
        "Partner ends with 2024-01: the champion, version 1, goes on with it unknown after that, until a version"
        " trained for a later month takes its place"
    )
    assert told in done(platform, "company", "check").splitlines()
    assert alerts(platform) == [told]
    assert told in done(platform, "status").splitlines()
    deliver(platform, lambda frame: frame.drop(columns="Partner"))
    done(platform, "close", "2024-02")
    assert platform.home.lake.frame(FEATURES, FEBRUARY)["Partner"].isna().all()
    assert platform.home.lake.has(CHURN_SCORES, FEBRUARY)
    ready, answer = predicted(platform)
    assert (ready.status_code, answer.status_code) == (200, 200)
    assert answer.json()["features_used"]["Partner"] is None
    done(platform, "retrain", "2024-02")


def test_a_column_that_the_champion_needs_is_missed_before_it_is_gone(platform: Platform) -> None:
    declare(platform, PARTNER, "")
    deliver(platform, lambda frame: frame.drop(columns="Partner"))
    told = done(platform, "company", "check", exit_code=1)
    needs = "the champion, version 1, cannot score a month without Partner: declare it with `until`"
    assert needs in told
    assert [body.startswith(needs) for body in alerts(platform)] == [True]
    assert needs in done(platform, "status")
    told = done(platform, "close", "2024-02", exit_code=1)
    assert "the champion needs Partner, which 2024-02 does not have" in told
    assert platform.home.lake.has(FEATURES, FEBRUARY)
    ready, answer = predicted(platform)  # by the month before, which is not published over
    assert (ready.json()["as_of"], answer.status_code) == ("2024-01-31", 200)


def test_a_renamed_column_is_the_same_one(platform: Platform) -> None:
    declare(platform, PARTNER, PARTNER.replace("Partner =", "HasPartner =").replace("kind", 'was = ["Partner"], kind'))
    deliver(platform, lambda frame: frame.rename(columns={"Partner": "HasPartner"}))
    assert "declared features" in done(platform, "company", "check")
    done(platform, "close", "2024-02")
    lake = platform.home.lake
    assert lake.has(CHURN_SCORES, FEBRUARY)  # by the champion, which knows it by its old name
    assert lake.frame(landed("customers"), FEBRUARY)["HasPartner"].notna().all()
    assert lake.frame(FEATURES, FEBRUARY)["HasPartner"].notna().all()
    done(platform, "retrain", "2024-02")
    rows = training_set.training_rows(lake, [JANUARY, FEBRUARY]).to_pandas()
    assert rows["HasPartner"].notna().all()
    assert "Partner" not in rows
    holdout = training_set.holdout(lake, FEBRUARY)
    assert holdout["HasPartner"].equals(holdout["Partner"].rename("HasPartner"))


def test_old_drops_with_an_old_name_stay_valid(platform: Platform) -> None:
    declare(platform, PARTNER, PARTNER.replace("Partner =", "HasPartner =").replace("kind", 'was = ["Partner"], kind'))
    deliver(platform, lambda frame: frame)
    done(platform, "close", "2024-02")
    assert platform.home.lake.frame(landed("customers"), FEBRUARY)["HasPartner"].notna().all()


def test_another_kind_is_told(platform: Platform) -> None:
    declare(platform, 'TotalCharges = { kind = "number", nullable', 'TotalCharges = { kind = "category", nullable')
    deliver(platform, lambda frame: frame)
    checked = done(platform, "company", "check", exit_code=1)
    assert "knows TotalCharges as another kind: give the column another name, or" in checked
    assert "2024-01 has TotalCharges of another kind than is declared now: give the column another name, or" in checked
    told = done(platform, "close", "2024-02", exit_code=1)
    was = "TotalCharges was number when an earlier month was closed, and is category now: give the column another name"
    assert f"Error: customers: {was}, or" in told  # it begins with the sentence, not with who raised it


def test_another_key_is_told_before_anything_is_kept(platform: Platform) -> None:
    declare(platform, 'key = "customerID"', 'key = "customer"')
    deliver(platform, lambda frame: frame.rename(columns={"customerID": "customer"}))
    assert "2024-01 was closed by another key than customer" in done(platform, "company", "check", exit_code=1)
    told = done(platform, "close", "2024-02", exit_code=1)
    assert "the customer's key is customer now, and was another when a month was closed" in told
    assert not platform.home.lake.has("customers_snapshots", FEBRUARY)


def test_a_new_segment_and_a_new_date_are_unknown_before(platform: Platform) -> None:
    added = (
        'Region = { kind = "category", role = "segment", since = "2024-02", meaning = "The region." }\n'
        'Joined = { kind = "date", since = "2024-02", meaning = "The first day." }\n'
    )
    declare(platform, PARTNER, PARTNER + added)
    deliver(platform, lambda frame: frame.assign(Region="north", Joined="2023-05-01"))
    done(platform, "company", "check")
    done(platform, "retrain", "2024-01")  # whose snapshot has no region
    done(platform, "close", "2024-02")
    done(platform, "retrain", "2024-02")
    assert platform.home.lake.frame(FEATURES, FEBRUARY)["days_since_Joined"].eq(304).all()


def test_a_wrong_formula_stops_a_month_before_it_is_landed(platform: Platform) -> None:
    derived = "[features.derived]\nyears = { sql = 'TotalCharge / 12', meaning = 'x' }\n[tables.customers]\n"
    declare(platform, "[tables.customers]\n", derived)
    deliver(platform, lambda frame: frame)
    for command in (("company", "check"), ("close", "2024-02")):
        told = done(platform, *command, exit_code=1)
        assert "features.derived.years: there is no column TotalCharge: did you mean TotalCharges?" in told
    assert not platform.home.lake.has(landed("customers"), FEBRUARY)


def test_blank_labels_beside_a_broken_row_are_no_labels(platform: Platform) -> None:
    deliver(platform, lambda frame: pd.concat([frame, frame.head(1).assign(gender="?")]).assign(Churn=None))
    assert "no labels" in done(platform, "close", "2024-02")
    assert not platform.home.lake.has(landed("labels"), FEBRUARY)


def test_another_value_is_unknown_to_the_champion_and_learned_by_the_next_version(platform: Platform) -> None:
    deliver(platform, lambda frame: frame.assign(Contract=frame["Contract"].where(frame.index % 10 > 0, "Weekly")))
    done(platform, "company", "check")
    done(platform, "close", "2024-02")
    assert platform.home.lake.has(CHURN_SCORES, FEBRUARY)
    done(platform, "retrain", "2024-02")
    registry = platform.home.registry
    learned = {f.name: f.categories for f in registry.bundle(registry.version(2)).schema}["Contract"]
    assert "Weekly" in learned
    assert "Weekly" not in {f.name: f.categories for f in registry.bundle(registry.version(1)).schema}["Contract"]


def test_keys_of_another_form_are_taken_once_the_pattern_says_so(platform: Platform) -> None:
    deliver(platform, lambda frame: frame.assign(customerID="X" + frame["customerID"]))
    assert "customerID" in done(platform, "close", "2024-02", exit_code=1)
    declare(platform, "'[0-9]{4}-[A-Z]{5}'", "'X?[0-9]{4}-[A-Z]{5}'")
    platform = Platform(platform.settings.model_copy(update={"company": renewed(platform)}))
    done(platform, "company", "check")
    done(platform, "close", "2024-02")
    assert platform.home.lake.frame(CHURN_SCORES, FEBRUARY)["customerID"].str.startswith("X").all()


def renewed(platform: Platform) -> Path:
    """The declaration in another file: a process reads each one once."""
    company = platform.settings.company
    assert company is not None
    return company.rename(company.with_name("renewed.toml"))
