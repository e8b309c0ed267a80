"""Files that are taken to mean something else than before: a close stops in one sentence, or takes them in anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from churn_platform.contracts import declared
from churn_platform.tables.names import FEATURES, landed
from churn_platform_tests import foreign, homes
from churn_platform_tests.conftest import Platform, done, quick_platform

JANUARY, FEBRUARY = homes.MONTHS[:2]
SWAP = ('true_values = ["ja"]\nfalse_values = ["nein"]', 'true_values = ["nein"]\nfalse_values = ["ja"]')


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A bank of which January is closed, and both months are delivered."""
    platform = quick_platform(tmp_path, foreign.BANK)
    for month in (JANUARY, FEBRUARY):
        foreign.bank(platform.settings.drops / str(month))
    done(platform, "close", "2024-01")
    return platform


def declare(platform: Platform, before: str, after: str) -> None:
    company = platform.settings.company
    assert company is not None
    assert before in company.read_text()
    company.write_text(company.read_text().replace(before, after))
    declared.cache_clear()  # a command is a process of its own


def test_a_key_of_another_kind_stops_before_anything_is_kept(platform: Platform) -> None:
    declare(platform, 'kind = "integer"\n', 'kind = "text"\n')
    told = '2024-01 was closed with CustomerId of kind "integer", and others are other customers: declare that kind'
    assert told in done(platform, "company", "check", exit_code=1)
    assert told in done(platform, "close", "2024-02", exit_code=1)
    assert told in done(platform, "retrain", "2024-01", exit_code=1)
    assert not platform.home.lake.has(landed("clients"), FEBRUARY)
    declare(platform, 'kind = "text"\n', 'kind = "integer"\n')
    done(platform, "close", "2024-02")


def test_true_and_false_that_have_changed_places_are_taken_in_anew(platform: Platform) -> None:
    before = platform.home.lake.frame(FEATURES, JANUARY)["Active"]
    declare(platform, *SWAP)
    told = "2024-01 has Active, made otherwise than is declared now, so no version is trained on it: close it again"
    assert told in done(platform, "company", "check", exit_code=1)
    drop = platform.settings.drops / "2024-01"
    drop.rename(kept := platform.settings.home.parent / "kept")
    told = "2024-01 was taken in as Active was declared before, and its drop is gone: put the drop back"
    assert told in done(platform, "close", "2024-01", exit_code=1)
    shutil.move(kept, drop)
    done(platform, "close", "2024-01")
    assert (platform.home.lake.frame(FEATURES, JANUARY)["Active"] == ~before).all()
    done(platform, "company", "check")
