"""A declaration that is changed under a running platform: nothing is started by two at once, and people know."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.automation import news
from churn_platform.contracts import declared
from churn_platform.home import Home
from churn_platform.settings import Settings
from churn_platform_tests import foreign, homes
from churn_platform_tests.daemon import Daemon

SENSORS = ("drops", "retraining", "promotions", "refreshing")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    company = tmp_path / "company.toml"
    company.write_text(foreign.CLUB)
    return homes.settings_of(tmp_path, company=company, settle_seconds=0)


def test_nothing_is_started_by_a_declaration_that_was_changed(settings: Settings) -> None:
    company = settings.company
    assert company is not None
    foreign.club(settings.drops, 1, 30)
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(settings, instance)
        assert daemon.requested("drops").partition_key == "2024-01"
        company.write_text(foreign.CLUB.replace("The city.", "The city, or none."))
        told = f"{company} (CHURN_COMPANY) has changed since this was started: start `churn up` again"
        assert {daemon.skipped(sensor) for sensor in SENSORS} == {told}
        (alert,) = news.alerts(Home(settings), instance, date(2024, 1, 1))
        assert (alert.title, alert.body) == ("The declaration of Club has changed", told)
        (happening, *_) = news.happening(Home(settings), instance, date(2024, 1, 1))
        assert [one.event for one in happening] == [alert.event]

        company.unlink()
        assert {daemon.skipped(sensor) for sensor in SENSORS} == {told}
        company.write_text(foreign.CLUB)  # as it was
        assert daemon.requested("drops").partition_key == "2024-01"

        company.write_text(foreign.CLUB.replace("The city.", "The city, or none."))
        declared.cache_clear()  # the platform is started again
        assert Daemon(settings, instance).requested("drops").partition_key == "2024-01"
        assert list(news.alerts(Home(settings), instance, date(2024, 1, 1))) == []
