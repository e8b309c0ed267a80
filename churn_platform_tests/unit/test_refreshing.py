"""Refreshing: the newest month is delivered again where that is called for, and a new champion is measured."""

from __future__ import annotations

from dataclasses import replace

from churn_platform.automation.refreshing import PUBLISHED_SECONDS, next_measure, next_refresh
from churn_platform.automation.triggers import PAUSES, REFRESH, Run, RunState, Wait
from churn_platform.months import Month
from churn_platform_tests.trigger_cases import failed, launched, none, only, waits

JAN = Month(2024, 1)
FEB = JAN + 1


def test_scores_of_another_version_are_made_again_once() -> None:
    launch = launched(next_refresh(FEB, 2, True, None, none))
    assert (launch.month, launch.why) == (FEB, "scores of 2024-02 are not version 2's")
    assert launched(next_refresh(FEB, 3, True, None, none)).run_key != launch.run_key
    assert isinstance(next_refresh(FEB, 2, True, None, only(Run("a", launch.event, RunState.UNDER_WAY))), Wait)
    assert launched(next_refresh(FEB, 2, True, None, only(failed(launch.event, ago=PAUSES[0])))).attempt == 2
    for quiet in (
        next_refresh(FEB, 2, False, None, none),
        next_refresh(None, 2, True, None, none),
        next_refresh(FEB, None, True, None, none),
    ):
        assert isinstance(quiet, Wait)


def test_a_month_that_serving_cannot_look_up_is_delivered_again_once() -> None:
    """Whatever the champion, and whether there is one."""
    earlier = "what the online store holds was published by an earlier version"
    for champion, stale in ((None, False), (2, False), (2, True)):
        launch = launched(next_refresh(FEB, champion, stale, earlier, none))
        assert (launch.job, launch.month) == (REFRESH, FEB)
        assert launch.why == f"serving cannot look up 2024-02: {earlier}"
        done = only(Run("a", launch.event, RunState.SUCCEEDED))
        assert isinstance(next_refresh(FEB, champion, stale, earlier, done), Wait)
        assert launched(next_refresh(FEB, champion, stale, "the online store is empty", done)).attempt == 1
    assert isinstance(next_refresh(None, 2, False, earlier, none), Wait)


def test_a_store_that_is_lost_again_is_published_again() -> None:
    empty = "the online store is empty"
    runs: list[Run] = []
    keys = set()
    for attempt in range(1, 4):
        launch = launched(next_refresh(FEB, 2, False, empty, only(*runs)))
        assert launch.attempt == attempt
        keys.add(launch.run_key)
        runs.insert(0, Run("a", launch.event, RunState.SUCCEEDED))
        for ago in (0.0, PUBLISHED_SECONDS - 1):  # it did not help, so that it is not run without end
            runs[0] = replace(runs[0], ago=ago)
            assert waits(next_refresh(FEB, 2, False, empty, only(*runs))) == (
                "refresh of 2024-02 has already run for this and changed nothing: run it by hand, or wait: it is run"
                " again within 5 minutes"
            )
        runs[0] = replace(runs[0], ago=PUBLISHED_SECONDS)
    assert len(keys) == 3


def test_scores_that_a_run_did_not_change_are_not_made_again_however_long_ago_it_was() -> None:
    launch = launched(next_refresh(FEB, 2, True, None, none))
    done = only(Run("a", launch.event, RunState.SUCCEEDED, ago=1e9))
    assert waits(next_refresh(FEB, 2, True, None, done)).endswith("run it by hand")


def test_a_champion_is_measured_on_the_newest_month_first_and_again_when_that_changes() -> None:
    launch = launched(next_measure({JAN: "a", FEB: "b"}, 2, none))
    assert (launch.job, launch.month, launch.why) == ("measure", FEB, "version 2 has not been measured on 2024-02")
    for other in (next_measure({FEB: "b"}, 3, none), next_measure({FEB: "c"}, 2, none)):
        assert launched(other).run_key != launch.run_key
    done = {FEB: [Run("a", launch.event, RunState.SUCCEEDED)]}  # nobody of that month has a label, say
    assert launched(next_measure({JAN: "a", FEB: "b"}, 2, lambda month: done.get(month, []))).month == JAN
    assert isinstance(next_measure({}, 2, none), Wait)
