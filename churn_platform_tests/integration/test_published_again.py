"""The online store is published again by itself, by what it holds, whoever lost or changed it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.automation import refreshing
from churn_platform.months import Month
from churn_platform.online.store import published
from churn_platform_tests.conftest import Platform
from churn_platform_tests.daemon import Daemon
from churn_platform_tests.online import publish_as_earlier

MARCH = Month(2024, 3)


@pytest.fixture
def served(trained: Platform, tmp_path: Path) -> Iterator[Daemon]:
    """A platform with three closed months and a champion, whose runs are forgotten."""
    settings = trained.copy(tmp_path).settings.model_copy(update={"settle_seconds": 0.0})
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(settings, instance)


def test_a_store_that_an_earlier_version_published_is_published_again_by_itself(served: Daemon) -> None:
    assert served.launch(served.requested("refreshing")).success
    url = served.settings.online_store
    made = published(url)
    publish_as_earlier(url, MARCH)
    request = served.requested("refreshing")
    assert (request.job_name, request.partition_key) == ("refresh", "2024-03")
    assert request.tags["churn/cause"].endswith("what the online store holds was published by an earlier version")
    assert served.launch(request).success
    assert (again := published(url)) is not None and made is not None
    assert (again.month, again.customers, again.schema) == ("2024-03", made.customers, made.schema)
    assert served.requested("refreshing").job_name != "refresh"


def test_a_store_that_is_lost_is_published_again_but_not_over_something_else(
    served: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshing, "PUBLISHED_SECONDS", 0.0)
    assert served.launch(served.requested("refreshing")).success
    url = served.settings.online_store
    for _ in range(2):
        Path(url.removeprefix("sqlite:///")).unlink()  # or another database is set
        request = served.requested("refreshing")
        assert request.tags["churn/cause"] == "serving cannot look up 2024-03: the online store is empty"
        assert served.launch(request).success
        assert published(url) is not None
    Path(url.removeprefix("sqlite:///")).write_bytes(b"no database at all, but bytes" * 99)
    assert served.requested("refreshing").job_name != "refresh"  # publishing would fail
