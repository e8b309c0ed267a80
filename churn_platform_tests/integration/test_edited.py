"""A declaration that is changed under a running platform: nothing is started by two at once, and people know."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.automation import news
from churn_platform.automation.instance import open_instance
from churn_platform.contracts import declared
from churn_platform.definitions import build_defs
from churn_platform.home import Home
from churn_platform.local import following
from churn_platform.local.programs import environment
from churn_platform.settings import Settings
from churn_platform_tests import foreign, homes
from churn_platform_tests.daemon import Daemon

SENSORS = ("drops", "retraining", "promotions", "refreshing")
CHANGED = foreign.CLUB.replace("The city.", "The city, or none.")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    company = tmp_path / "company.toml"
    company.write_text(foreign.CLUB)
    return homes.settings_of(tmp_path, company=company, settle_seconds=0)


def file_of(settings: Settings) -> Path:
    assert settings.company is not None
    return settings.company


def told_of(settings: Settings) -> str:
    return f"{settings.company} (CHURN_COMPANY) has changed since the platform was started: start it again"


def edits(settings: Settings, instance: dg.DagsterInstance) -> list[str]:
    """The events of the alerts about a changed declaration."""
    found = news.alerts(Home(settings), instance, date(2024, 1, 1))
    return [alert.event for alert in found if alert.body == told_of(settings)]


def test_nothing_is_started_by_a_declaration_that_was_changed(settings: Settings) -> None:
    company, told = file_of(settings), told_of(settings)
    foreign.club(settings.drops, 1, 30)
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(settings, instance)
        assert daemon.requested("drops").partition_key == "2024-01"
        company.write_text(CHANGED)
        assert {daemon.skipped(sensor) for sensor in SENSORS} == {told}
        (alert,) = news.alerts(Home(settings), instance, date(2024, 1, 1))
        assert (alert.title, alert.body) == ("The declaration of Club has changed", told)
        (happening, *_) = news.happening(Home(settings), instance, date(2024, 1, 1))
        assert [one.event for one in happening] == [alert.event]

        company.unlink()
        assert {daemon.skipped(sensor) for sensor in SENSORS} == {told}
        company.write_text(foreign.CLUB)  # as it was
        assert daemon.requested("drops").partition_key == "2024-01"

        company.write_text(CHANGED)
        declared.cache_clear()  # the platform is started again
        assert Daemon(settings, instance).requested("drops").partition_key == "2024-01"
        assert list(news.alerts(Home(settings), instance, date(2024, 1, 1))) == []


def test_a_process_that_starts_later_knows_what_the_platform_was_started_with(settings: Settings) -> None:
    foreign.club(settings.drops, 1, 30)
    started = settings.model_copy(update={"company_sha256": environment(settings)["CHURN_COMPANY_SHA256"]})
    with dg.DagsterInstance.ephemeral() as instance:
        assert Daemon(started, instance).requested("drops").partition_key == "2024-01"
        file_of(settings).write_text(CHANGED)
        declared.cache_clear()  # a month is delivered, or the code server has crashed: another process reads the file
        again = Daemon(started, instance)
        assert {again.skipped(sensor) for sensor in SENSORS} == {told_of(settings)}
        assert len(edits(started, instance)) == 1
        file_of(settings).write_text(foreign.CLUB)
        assert again.requested("drops").partition_key == "2024-01"


def test_programs_find_a_declaration_that_was_named_from_the_current_folder(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file_of(settings).parent)
    named = settings.model_copy(update={"company": Settings(company=Path("company.toml")).company})
    assert environment(named)["CHURN_COMPANY"] == str(file_of(settings))
    assert environment(Settings())["CHURN_COMPANY"] == ""


def test_nothing_is_loaded_again_while_the_declaration_is_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reloaded, told = list[str](), list[str]()

    async def reload(address: str, method: str, seconds: float) -> bool:
        reloaded.append(method)
        return True

    async def follow() -> None:
        task = asyncio.create_task(following.deliveries(settings, told.append, seconds=0.01))
        await asyncio.sleep(0.1)
        file_of(settings).write_text("[company")  # half of it
        foreign.club(settings.drops, 2, 30)
        await asyncio.sleep(0.3)
        assert reloaded == []
        file_of(settings).write_text(foreign.CLUB)
        async with asyncio.timeout(20):
            while not told:
                await asyncio.sleep(0.01)
        task.cancel()

    monkeypatch.setattr(following, "ask_grpc", reload)
    environment(settings)
    asyncio.run(follow())
    assert reloaded == ["ReloadCode"]
    assert told == ["2024-02 was delivered: Dagster offers it now"]


def test_each_edit_is_told_and_one_that_cannot_be_read_keeps_nothing_back(settings: Settings) -> None:
    company, home = file_of(settings), Home(settings)
    assert home.contract
    with dg.DagsterInstance.ephemeral() as instance:
        seen = []
        for text in (CHANGED, foreign.CLUB, CHANGED, foreign.CLUB):
            company.write_text(text)
            seen += edits(settings, instance)
        assert len(seen) == len(set(seen)) == 2

        company.unlink()
        company.symlink_to(company)  # nobody can read it, not even root
        assert len(edits(settings, instance)) == 1


def test_a_link_that_leads_elsewhere_is_a_change(settings: Settings, tmp_path: Path) -> None:
    for name, text in (("v1", foreign.CLUB), ("v2", CHANGED)):
        (tmp_path / name).write_text(text)
    link = file_of(settings)
    link.unlink()
    link.symlink_to(tmp_path / "v1")
    linked = homes.settings_of(tmp_path, company=link, settle_seconds=0)
    foreign.club(linked.drops, 1, 30)
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(linked, instance)
        assert daemon.requested("drops").partition_key == "2024-01"
        link.unlink()
        link.symlink_to(tmp_path / "v2")
        assert daemon.skipped("drops") == told_of(settings)


def test_the_schedule_waits_too(settings: Settings) -> None:
    foreign.club(settings.drops, 1, 30)
    monthly_closing = build_defs(settings).resolve_schedule_def("monthly_closing")
    file_of(settings).write_text(CHANGED)
    with (
        open_instance(settings) as instance,  # a schedule's context does not accept an ephemeral one
        dg.build_schedule_context(instance=instance, resources={"home": Home(settings)}) as context,
    ):
        skipped = monthly_closing(context)
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == told_of(settings)
