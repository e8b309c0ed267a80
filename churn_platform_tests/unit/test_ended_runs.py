"""A run ends where some of its steps fail and others are skipped, which Dagster alone does not do."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from churn_platform.automation.dagster_private import end_every_run


@dg.multi_asset(specs=[dg.AssetSpec("labels", skippable=True), dg.AssetSpec("customers", skippable=True)])
def landed() -> Iterator[dg.MaterializeResult]:
    yield dg.MaterializeResult(asset_key="customers")  # labels are not known yet


@dg.asset(deps=["customers"])
def features() -> None:
    raise dg.Failure("the disk is full", allow_retries=False)


@dg.asset(deps=["features"])
def scores() -> None: ...


@dg.asset(deps=["labels", "scores"])
def realised() -> None: ...


@dg.asset(deps=["realised"])
def page() -> None: ...


def test_a_run_ends_whatever_fails_and_is_skipped() -> None:
    end_every_run()
    end_every_run()
    result = dg.materialize(
        [landed, features, scores, realised, page],
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert not result.success
    ended = {event.step_key: event.event_type_value for event in result.all_events if event.step_key}
    assert ended["features"] == "STEP_FAILURE"
    assert ended["realised"] == ended["page"] == "STEP_SKIPPED"
