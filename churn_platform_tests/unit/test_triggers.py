"""Triggers: months close in order and once, retrainings have one cause each, what fails is tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn_platform.automation.closing import MonthFacts, next_closing
from churn_platform.automation.retraining import (
    ChampionFacts,
    DriftFacts,
    Limits,
    ModelFacts,
    RealisedFacts,
    Unanswered,
    awaited,
    cause,
    next_retraining,
)
from churn_platform.automation.triggers import (
    CLOSE,
    MATURE,
    PAUSES,
    RETRAIN,
    Action,
    Launch,
    Run,
    RunState,
    Wait,
)
from churn_platform.months import Month
from churn_platform_tests.trigger_cases import failed, launched, none, only, waits

JAN = Month(2024, 1)
FEB, MAR, APR = JAN + 1, JAN + 2, JAN + 3
TODAY = Month(2024, 12)


def delivered(month: Month, **changes: object) -> MonthFacts:
    """A month that was delivered with labels and is not closed."""
    facts = MonthFacts(month, None, f"state {month}", f"labels {month}", None, None, False, False, f"basis {month}")
    return replace(facts, **changes)  # type: ignore[arg-type]


def closed(month: Month, **changes: object) -> MonthFacts:
    """The same after it was closed."""
    facts = delivered(month)
    facts = replace(facts, landed=facts.state, landed_labels=facts.labels, closed=True)
    return replace(facts, **changes)  # type: ignore[arg-type]


def ask(*months: MonthFacts, history: Callable[[Month], Sequence[Run]] = none) -> Action:
    return next_closing(months, JAN, TODAY, history)


# Closing


def test_the_oldest_month_comes_first_whatever_the_order() -> None:
    launch = launched(ask(delivered(FEB), delivered(JAN)))
    assert (launch.job, launch.month, launch.attempt, launch.why) == (CLOSE, JAN, 1, "2024-01 was delivered")
    assert launched(ask(closed(JAN), delivered(FEB))).month == FEB
    assert waits(ask(closed(JAN), closed(FEB))) == "every delivered month is closed"


def test_the_same_facts_give_the_same_key_and_other_content_another() -> None:
    key = launched(ask(delivered(JAN))).run_key
    assert launched(ask(delivered(JAN))).run_key == key
    for change in ({"state": "other"}, {"labels": "other"}, {"labels": None}, {"basis": "other"}):
        assert launched(ask(delivered(JAN, **change))).run_key != key


def test_a_month_waits_for_its_files_and_holds_the_next_ones_up() -> None:
    decision = ask(delivered(JAN, unready="2024-01 waits: month_000 has no file yet for users"), delivered(FEB))
    assert waits(decision) == (
        "2024-01 waits: month_000 has no file yet for users; 2024-02 waits for 2024-01 to be closed"
    )


def test_a_month_that_was_never_delivered_is_waited_for() -> None:
    assert waits(ask(closed(JAN), delivered(MAR))) == "2024-03 waits for 2024-02 to be closed"


def test_a_month_that_is_not_over_waits() -> None:
    assert waits(next_closing([delivered(JAN)], JAN, JAN, none)) == (
        "2024-01 ends on 2024-01-31: it can be closed after that day"
    )


def test_a_corrected_month_is_closed_again_and_then_what_is_built_on_it() -> None:
    corrected = closed(JAN, landed="older")
    assert launched(ask(corrected, closed(FEB))).why == "the drop of 2024-01 has changed"
    launch = launched(ask(closed(JAN), closed(FEB, stale=True), closed(MAR, stale=True)))
    assert (launch.job, launch.month, launch.why) == (CLOSE, FEB, "2024-02 is stale")


def test_a_closed_month_that_is_being_written_again_holds_nobody_up() -> None:
    rewritten = closed(JAN, unready="2024-01 waits: month_000 is still being written", state="", labels=None)
    assert launched(ask(rewritten, delivered(FEB))).month == FEB
    assert waits(ask(rewritten, closed(FEB))) == "2024-01 waits: month_000 is still being written"


def test_late_and_corrected_labels_only_mature_their_month() -> None:
    for before, why in ((None, "labels of 2024-01 have arrived"), ("older", "labels of 2024-01 were corrected")):
        launch = launched(ask(closed(JAN, landed_labels=before), closed(FEB)))
        assert (launch.job, launch.month, launch.why) == (MATURE, JAN, why)
    assert isinstance(ask(closed(JAN, labels=None, landed_labels=None)), Wait)


def test_withdrawn_labels_are_taken_out_of_their_month() -> None:
    launch = launched(ask(closed(JAN, labels=None), closed(FEB)))
    assert (launch.job, launch.month, launch.why) == (MATURE, JAN, "labels of 2024-01 were withdrawn")
    assert isinstance(ask(closed(JAN, labels=None, unready="it is being written")), Wait)


def test_lost_files_are_made_again_by_the_smallest_run() -> None:
    done = launched(ask(delivered(JAN))).event
    for lost, changes, job in (
        ("landed/labels", {"landed_labels": None}, MATURE),
        ("quarantine/users", {"landed": None}, CLOSE),
    ):
        facts = closed(JAN, lost=(lost,), **changes)
        launch = launched(ask(facts, history=only(Run("a", done, RunState.SUCCEEDED))))
        assert (launch.job, launch.why) == (job, f"files of 2024-01 are lost and made again: {lost}")
        gone = replace(facts, unready="2024-01 is not whole in the lake", state="", labels=None)
        assert waits(ask(gone, closed(FEB))) == "2024-01 is not whole in the lake"
        assert launched(ask(gone, delivered(FEB))).month == FEB


def test_a_withdrawal_that_was_cut_short_is_finished() -> None:
    facts = closed(JAN, labels=None, landed_labels=None, lost=("landed/labels",))
    launch = launched(ask(facts))
    assert (launch.job, launch.why) == (MATURE, "labels of 2024-01 were withdrawn")


def test_a_broken_drop_stops_its_month_until_it_changes() -> None:
    broken = failed(launched(ask(delivered(JAN))).event, "users: no rows", lasting=True, ago=1e9)
    decision = ask(delivered(JAN), delivered(FEB), history=only(broken))
    assert waits(decision) == (
        "2024-01 stopped because month_close failed: users: no rows; 2024-02 waits for 2024-01 to be closed"
    )
    again = launched(ask(delivered(JAN, state="corrected"), delivered(FEB), history=only(broken)))
    assert (again.month, again.attempt) == (JAN, 1)


def test_a_correction_that_stops_leaves_the_sound_state_to_go_on_from() -> None:
    broken = closed(JAN, landed="older")
    history = {JAN: [failed(launched(ask(broken)).event, lasting=True)]}
    assert launched(ask(broken, delivered(FEB), history=lambda m: history.get(m, []))).month == FEB
    stale = replace(broken, stale=True)
    assert "2024-02 waits" in waits(ask(stale, delivered(FEB), history=lambda m: history.get(m, [])))


def test_broken_labels_that_came_with_the_drop_are_not_tried_again_alone() -> None:
    broken = failed(launched(ask(delivered(JAN))).event, "labels.csv: broken", lasting=True)
    assert waits(ask(closed(JAN, landed_labels=None), history=only(broken))).endswith("labels.csv: broken")


def test_a_closing_that_failed_for_another_reason_is_tried_again_without_end() -> None:
    event = launched(ask(delivered(JAN))).event
    runs: list[Run] = []
    keys = set()
    for attempt, pause in enumerate((0.0, *PAUSES, PAUSES[-1], PAUSES[-1]), start=1):
        runs = [replace(run, ago=pause - 1) for run in runs]
        if runs:
            assert waits(ask(delivered(JAN), history=only(*runs))).endswith("the disk is full")
        runs = [replace(run, ago=pause) for run in runs]
        launch = launched(ask(delivered(JAN), history=only(*runs)))
        assert (launch.event, launch.attempt) == (event, attempt)
        keys.add(launch.run_key)
        runs.insert(0, failed(event))
    assert len(keys) == len(PAUSES) + 3


def test_a_pause_is_told_in_words_that_do_not_change_while_it_passes() -> None:
    run = failed(launched(ask(delivered(JAN))).event)
    reasons = {waits(ask(delivered(JAN), history=only(replace(run, ago=ago)))) for ago in (0.0, 3.0, 9.0)}
    assert reasons == {"month_close of 2024-01 failed and is tried again within 10 seconds: the disk is full"}
    thrice = waits(ask(delivered(JAN), history=only(run, run, run)))
    assert "failed 3 times and is tried again within 5 minutes" in thrice


def test_failures_for_other_content_or_by_hand_do_not_lengthen_the_pause() -> None:
    event = launched(ask(delivered(JAN))).event
    for between in (failed("other"), failed(""), Run("a", event, RunState.SUCCEEDED)):
        runs = [failed(event, ago=PAUSES[0]), between, *[failed(event)] * 4]
        assert launched(ask(delivered(JAN), history=only(*runs))).month == JAN


def test_a_drop_that_was_put_back_is_closed_again_with_another_key() -> None:
    back = closed(JAN, landed="the correction")
    event = launched(ask(back)).event
    runs = only(Run("b", "2024-01 correction", RunState.SUCCEEDED), Run("a", event, RunState.SUCCEEDED))
    launch = launched(ask(back, history=runs))
    assert (launch.event, launch.attempt) == (event, 2)


def test_a_run_under_way_is_waited_for() -> None:
    for event in ("", launched(ask(delivered(JAN))).event):
        assert "under way" in waits(ask(delivered(JAN), history=only(Run("a", event, RunState.UNDER_WAY))))


def test_a_closing_by_hand_that_failed_does_not_count() -> None:
    assert launched(ask(delivered(JAN), history=only(Run("a", "", RunState.FAILED)))).attempt == 1


def test_a_run_that_settled_nothing_is_not_repeated_for_ever() -> None:
    done = Run("a", launched(ask(delivered(JAN))).event, RunState.SUCCEEDED)
    assert "run it by hand" in waits(ask(delivered(JAN), history=only(done)))


@dataclass
class World:
    """A platform in memory: drops come and change, closings succeed or fail, and only facts remain."""

    months: dict[Month, MonthFacts] = field(default_factory=dict)
    good: dict[str, bool] = field(default_factory=dict)
    runs: dict[Month, list[Run]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    def deliver(self, month: Month, content: int, good: bool) -> None:
        state = f"{month} {content}"
        self.good[state] = good
        self.months[month] = replace(self.months.get(month, delivered(month)), state=state)

    def live(self) -> None:
        """Launch until there is nothing to launch."""
        for _ in range(40):
            decision = next_closing(
                list(self.months.values()), JAN, TODAY, lambda month: list(reversed(self.runs.get(month, [])))
            )
            if isinstance(decision, Wait):
                return
            assert decision == next_closing(
                list(self.months.values()), JAN, TODAY, lambda month: list(reversed(self.runs.get(month, [])))
            )
            self.run(decision)
        raise AssertionError("it launches for ever")

    def run(self, launch: Launch) -> None:
        assert launch.run_key not in self.keys
        self.keys.append(launch.run_key)
        facts = self.months[launch.month]
        before = self.months.get(launch.month - 1)
        assert launch.month == JAN or (before is not None and before.closed and not before.stale)
        good = launch.job == MATURE or self.good[facts.state]
        ended = RunState.SUCCEEDED if good else RunState.FAILED
        self.runs.setdefault(launch.month, []).append(Run("r", launch.event, ended, lasting=not good))
        if not good:
            return
        changed = facts.landed != facts.state
        self.months[launch.month] = replace(
            facts, landed=facts.state, landed_labels=facts.labels, closed=True, stale=False
        )
        later = self.months.get(launch.month + 1)
        if later and (changed or facts.stale):
            basis = f"{facts.state} {facts.basis}"
            self.months[later.month] = replace(later, stale=later.closed, basis=basis)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), max_size=12))
def test_whatever_is_delivered_all_sound_months_end_up_closed(deliveries: list[tuple[int, int, bool]]) -> None:
    world = World()
    for ago, content, good in deliveries:
        world.deliver(JAN + ago, content, good)
        world.live()
    for ago in range(4):
        world.deliver(JAN + ago, 3 + ago, good=True)
        world.live()
    assert all(f.closed and not f.stale and f.landed == f.state for f in world.months.values())


# Retraining

LIMITS = Limits(drift_share=0.02, realised_margin=0.03, cooldown=1)
CHAMPION = ChampionFacts(1, JAN, 0.83)
QUIET = DriftFacts(FEB, frozenset(), 40, None)


def model(**changes: object) -> ModelFacts:
    """A champion for January, February matured, nothing drifted."""
    facts = ModelFacts(CHAMPION, FEB, "content", (QUIET,), RealisedFacts(FEB, 1, 0.83), frozenset({JAN}))
    return replace(facts, **changes)  # type: ignore[arg-type]


def drift(month: Month, *columns: str, target: str | None = None) -> DriftFacts:
    return DriftFacts(month, frozenset(columns), 40, target)


def next_of(facts: ModelFacts, history: Callable[[Month], Sequence[Run]] = none, limits: Limits = LIMITS) -> Action:
    return next_retraining(facts, limits, history)


def test_quiet_months_train_nothing() -> None:
    assert waits(next_of(model())) == "nothing calls for a retraining"


def test_labels_that_nothing_is_trained_on_are_waited_for() -> None:
    found = waits(next_of(model(champion=None, refused="the labels of 2024-01 lack reason")))
    assert found == "no champion yet, but the labels of 2024-01 lack reason"


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (model(champion=None, drifts=()), "RETRAINING_TRIGGERED no champion yet"),
        (
            model(drifts=(drift(FEB, "monthly_fee", "fee_to_past_fee"),)),
            "RETRAINING_TRIGGERED drift_share=0.05 >= 0.02 month=2024-02",
        ),
        (
            model(drifts=(drift(FEB, target="0.210 -> 0.262"),)),
            "RETRAINING_TRIGGERED target_drift 0.210 -> 0.262 month=2024-02",
        ),
        (
            model(realised=RealisedFacts(FEB, 1, 0.7)),
            "RETRAINING_TRIGGERED realised_auc=0.7000 < 0.8300 - 0.03 month=2024-02",
        ),
    ],
)
def test_each_cause_is_told_in_one_line(facts: ModelFacts, line: str) -> None:
    launch = launched(next_of(facts))
    assert (launch.job, launch.month, launch.why) == (RETRAIN, FEB, line)
    assert launch.tags["churn/cause"] == line


@pytest.mark.parametrize("columns", [(), ("one",)])
def test_drift_counts_from_its_threshold_on(columns: tuple[str, ...]) -> None:
    facts = model(drifts=(drift(FEB, *columns),))
    share = len(columns) / 40
    assert (cause(facts, replace(LIMITS, drift_share=0.025)) is not None) == (share >= 0.025)
    assert cause(facts, replace(LIMITS, drift_share=0.026)) is None


def test_the_scores_of_another_version_accuse_nobody() -> None:
    assert cause(model(realised=RealisedFacts(FEB, 2, 0.5)), LIMITS) is None
    assert cause(model(realised=RealisedFacts(FEB, 1, 0.801)), LIMITS) is None


def test_a_month_is_trained_for_once() -> None:
    facts = model(drifts=(drift(FEB, "monthly_fee"),), realised=RealisedFacts(FEB, 1, 0.5))
    trained = replace(facts, trained=frozenset({JAN, FEB}))
    assert waits(next_of(trained)) == (
        "realised_auc=0.5000 < 0.8300 - 0.03 month=2024-02, but a candidate was trained for 2024-02:"
        " the next can be for 2024-03"
    )


def test_what_the_champion_was_trained_on_is_no_drift() -> None:
    promoted = model(
        champion=ChampionFacts(2, FEB, 0.8), drifts=(drift(FEB, "monthly_fee"),), trained=frozenset({JAN, FEB})
    )
    assert waits(next_of(promoted)) == "nothing calls for a retraining"


def test_lasting_drift_that_no_training_can_use_is_trained_on_once() -> None:
    lost = model(matured=MAR, drifts=(drift(FEB, "watch", "skips"), drift(MAR, "watch")), trained=frozenset({JAN, FEB}))
    assert isinstance(next_of(lost), Wait)
    more = replace(lost, drifts=(lost.drifts[0], drift(MAR, "watch", "monthly_fee")))
    assert launched(next_of(more)).why == (
        "RETRAINING_TRIGGERED drift_share=0.03 >= 0.02 month=2024-03 beyond the 1 column seen before"
    )
    assert isinstance(next_of(replace(lost, drifts=(drift(FEB, target="x"), drift(MAR, target="x")))), Wait)


def test_drift_waits_for_the_labels_of_its_month() -> None:
    early = model(drifts=(QUIET, drift(MAR, "monthly_fee")))
    told = (
        "drift_share=0.03 >= 0.02 month=2024-03, but no version can learn from it before the labels of that month are"
    )
    assert waits(next_of(early)).startswith(told)
    line = "drift_share=0.03 >= 0.02 month=2024-03"
    assert awaited(early, LIMITS) == Unanswered(MAR, frozenset({"monthly_fee"}), line)
    known = replace(early, matured=MAR)
    assert launched(next_of(known)).month == MAR
    assert awaited(known, LIMITS) is None
    fallen = replace(early, realised=RealisedFacts(FEB, 1, 0.7))  # what is known already may call for one
    assert launched(next_of(fallen)).month == FEB
    assert awaited(fallen, LIMITS) is not None  # whatever else calls for one
    assert isinstance(next_of(replace(early, drifts=(QUIET, drift(MAR, "fee")), trained=frozenset({MAR}))), Wait)


def test_a_shift_is_learned_from_although_the_month_after_shows_it_no_more() -> None:
    shift = replace(drift(MAR), shifted=frozenset({"contract_type"}))
    both_known = model(matured=APR, drifts=(QUIET, shift, drift(APR)))
    assert launched(next_of(both_known)).month == APR
    passed = model(matured=APR, drifts=(QUIET, drift(MAR, "contract_type"), drift(APR)))
    assert isinstance(next_of(passed), Wait)  # a distance from what the champion learned that is gone again
    answered = replace(both_known, trained=frozenset({JAN, MAR}))
    assert isinstance(next_of(answered), Wait)
    again = replace(answered, drifts=(QUIET, shift, replace(shift, month=APR)))  # against March, it is another one
    assert launched(next_of(again)).month == APR
    far = replace(answered, drifts=(QUIET, shift, drift(APR, "contract_type")))  # what was small before is large now
    assert launched(next_of(far)).month == APR


def test_what_is_told_of_a_shift_is_its_month() -> None:
    shift = DriftFacts(MAR, frozenset(), 40, None, frozenset({"contract_type"}))
    found = awaited(model(drifts=(QUIET, shift, drift(APR))), LIMITS)
    line = "drift_share=0.03 >= 0.02 month=2024-03"
    assert found == Unanswered(MAR, frozenset({"contract_type"}), line)


def test_nothing_is_trained_without_a_newer_matured_month() -> None:
    assert "no month has labels yet" in waits(next_of(model(champion=None, matured=None)))
    facts = model(matured=JAN, drifts=(drift(FEB, "monthly_fee"),))
    assert "no version can learn from it before the labels of that month are known" in waits(next_of(facts))
    fallen = replace(facts, drifts=(), realised=RealisedFacts(JAN, 1, 0.5))
    assert "no month after 2024-01" in waits(next_of(fallen))


def test_the_cooldown_counts_months() -> None:
    facts = model(matured=MAR, drifts=(drift(MAR, "monthly_fee"),), trained=frozenset({JAN, FEB}))
    assert launched(next_of(facts)).month == MAR
    assert "the next can be for 2024-04" in waits(next_of(facts, limits=replace(LIMITS, cooldown=2)))
    assert launched(next_of(replace(facts, champion=None), limits=replace(LIMITS, cooldown=2))).month == MAR


def test_a_failed_retraining_is_tried_again() -> None:
    facts = model(drifts=(drift(FEB, "monthly_fee"),))
    launch = launched(next_of(facts))
    # The comparison may have been written before the run failed; then the promotion has not seen it.
    compared = replace(facts, trained=frozenset({JAN, FEB}))
    again = launched(next_of(compared, only(failed(launch.event, ago=PAUSES[0]))))
    assert (again.event, again.attempt, again.run_key != launch.run_key) == (launch.event, 2, True)


def test_a_retraining_that_its_rows_make_impossible_waits_for_others() -> None:
    facts = model(drifts=(drift(FEB, "monthly_fee"),))
    one_class = failed(launched(next_of(facts)).event, "one class only", lasting=True, ago=1e9)
    assert waits(next_of(facts, only(one_class))) == "2024-02 stopped because retrain failed: one class only"
    assert launched(next_of(replace(facts, content="corrected labels"), only(one_class))).attempt == 1


def test_a_candidate_that_lost_without_a_champion_is_not_trained_again() -> None:
    facts = model(champion=None)
    done = Run("a", launched(next_of(facts)).event, RunState.SUCCEEDED)
    assert isinstance(next_of(facts, only(done)), Wait)
    assert launched(next_of(replace(facts, content="corrected labels"), only(done))).attempt == 1
