"""Promoting: every evaluation that was won is settled, the newest first, however often that fails."""

from __future__ import annotations

from dataclasses import replace

from churn_platform.automation.promoting import WonFacts, next_promotion
from churn_platform.automation.triggers import PAUSES, PROMOTE
from churn_platform.months import Month
from churn_platform_tests.trigger_cases import failed, launched, none, only, waits

FEB, MAR = Month(2024, 2), Month(2024, 3)
WON = WonFacts(FEB, 2, "digest")


def test_an_evaluation_that_was_won_is_settled() -> None:
    launch = launched(next_promotion([WON], none))
    assert (launch.job, launch.month, launch.why) == (PROMOTE, FEB, "version 2 won the evaluation of 2024-02")
    assert launched(next_promotion([replace(WON, digest="other")], none)).run_key != launch.run_key
    assert waits(next_promotion([], none)) == "every evaluation that was won is settled"


def test_a_promotion_that_failed_is_tried_again_without_end() -> None:
    event = launched(next_promotion([WON], none)).event
    run = failed(event, "MLflow does not answer")
    assert waits(next_promotion([WON], only(run))).endswith("MLflow does not answer")
    for failures in range(1, 2 * len(PAUSES)):
        launch = launched(next_promotion([WON], only(*[replace(run, ago=PAUSES[-1])] * failures)))
        assert launch.attempt == failures + 1


def test_a_failed_check_blocks_its_promotion_alone() -> None:
    blocked = WonFacts(MAR, 3, "newer", failed=("delta_rule",))
    assert waits(next_promotion([blocked], none)) == (
        "version 3 won the evaluation of 2024-03, but a check blocks its promotion: delta_rule"
    )
    assert launched(next_promotion([WON, blocked], none)).month == FEB


def test_the_newest_evaluation_is_settled_first_and_older_ones_wait_for_it() -> None:
    newer = WonFacts(MAR, 3, "newer")
    launch = launched(next_promotion([WON, newer], none))
    assert launch.month == MAR
    failing = {MAR: [failed(launch.event, "MLflow does not answer")]}
    decision = next_promotion([WON, newer], lambda month: failing.get(month, []))
    assert waits(decision).startswith("promote of 2024-03 failed and is tried again")
    stopped = {MAR: [failed(launch.event, "cancelled", lasting=True)]}
    assert launched(next_promotion([WON, newer], lambda month: stopped.get(month, []))).month == FEB
