"""Leaks: what features by themselves tell, and the gates that stop a candidate which knows too much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace

from churn_platform.bundle import Feature, FeatureKind
from churn_platform.champion import usual
from churn_platform.lake import Lake
from churn_platform.modelling.alone import rank
from churn_platform.modelling.canaries import CANARIES, NEW, drawn, perch
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Contender, Earlier, Facts, Lone, Marked, Watched
from churn_platform.modelling.gate import GateAnswer, decide
from churn_platform.modelling.leaks import error_of
from churn_platform.modelling.metrics import auc, auc_error
from churn_platform.modelling.tripwires import Labelled, watch
from churn_platform.months import Month
from churn_platform.tables import training_set
from churn_platform.tables.names import EVALUATION
from churn_platform_tests.gate_cases import facts, gate_of

SCHEMA = (
    Feature("visits", "number", "How often they came.", nullable=True),
    Feature("plan", "category", "What they pay for.", nullable=True, categories=("a", "b")),
    Feature("reason", "category", "Why they called.", nullable=True, open=True),
)
ROWS = 4000
RISEN = Lone("visits", 0.79, 0.52, 0.01, of=40)
FADED = Lone("plan", 0.51, 0.7, 0.01, of=40)


def a_month(seed: int, *, plan: float = 0.3, visits: float = 0.0) -> Labelled:
    """Customers of whom a fifth leave; the plan tells something about who, and so do the visits if asked to."""
    rng = np.random.default_rng(seed)
    labels = rng.random(ROWS) < 0.2
    plans = np.where(rng.random(ROWS) < 0.5 + np.where(labels, plan, -plan), "a", "b")
    frame = pd.DataFrame({"visits": rng.normal(size=ROWS) + visits * labels, "plan": plans, "reason": None})
    return frame, labels


def ranked(values: pd.Series, labels: np.ndarray, kind: FeatureKind = "number") -> float:
    found = rank(values, kind, labels)
    assert found is not None
    return found.auc


def test_one_feature_is_ranked_by_itself_whatever_the_relation():
    rng = np.random.default_rng(1)
    labels = rng.random(ROWS) < 0.3
    nothing = pd.Series(rng.normal(size=ROWS))
    both_ends = pd.Series(np.where(labels, rng.choice([-3.0, 3.0], ROWS), rng.normal(size=ROWS)))
    unknown = nothing.where(~labels | (rng.random(ROWS) < 0.5))
    words = pd.Series(np.where(labels, "left", "stayed"))
    assert ranked(nothing, labels) == pytest.approx(0.5, abs=0.04)
    assert ranked(both_ends, labels) > 0.95
    assert ranked(unknown, labels) == pytest.approx(0.75, abs=0.03)
    assert ranked(words, labels, "category") == 1.0
    assert rank(pd.Series([None] * ROWS), "number", labels) is None
    assert rank(nothing, "number", np.zeros(ROWS, dtype=bool)) is None


def test_the_error_of_an_auc_is_the_spread_of_many_samples():
    rng = np.random.default_rng(2)
    errors, found = [], []
    for _ in range(400):
        labels = rng.random(300) < 0.25
        scores = (rng.normal(size=300) + 1.2 * labels).round(1)  # ties
        found.append(auc(scores, labels) or 0.0)
        errors.append(auc_error(scores, labels))
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.1)
    counted = error_of(Contender(1, "2024-01", {"auc": float(np.mean(found))}), 300, 75)
    assert counted == pytest.approx(np.std(found), rel=0.15)


def test_what_tells_more_and_what_tells_less_is_seen():
    then = [a_month(seed) for seed in (1, 2)]
    quiet = watch(SCHEMA, a_month(3), then)
    assert quiet.lone[0].auc - (quiet.lone[0].before or 1.0) < 3 * quiet.lone[0].error
    changed = watch(SCHEMA, a_month(3, plan=0.0, visits=1.2), then)
    assert changed.lone[0].feature == "visits"
    assert changed.faded is not None
    assert changed.faded.feature == "plan"
    assert changed.highest is not None
    assert changed.highest[0] == pytest.approx(changed.faded.before, abs=0.03)
    assert watch(SCHEMA, a_month(3), []).lone[0].before is None
    frame, labels = a_month(3)
    nobody = frame[:0], labels[:0]
    assert watch(SCHEMA, a_month(3), [nobody]) == watch(SCHEMA, a_month(3), [])
    assert watch(SCHEMA, nobody, [a_month(3)]).lone == ()


def test_a_feature_that_no_earlier_month_knows_is_compared_with_any():
    frame, labels = a_month(3)
    now = frame.assign(reason=np.where(labels, "gone", "here")), labels
    [found, *_] = watch(SCHEMA, now, [a_month(1)]).lone
    assert (found.feature, found.new) == ("reason", True)
    assert (watch(SCHEMA, now, [a_month(1)]).highest or (0, 0))[0] == found.before


def test_who_is_known_is_counted_in_earlier_months_too():
    frame, labels = a_month(3)
    now = frame.assign(reason=pd.Series("gone", frame.index).where(labels)), labels
    [found, *_] = watch(SCHEMA, now, [now, now]).marked
    left = int(labels.sum())
    assert found == Marked("reason", True, left, left, labels.mean(), 2, 2 * left, 2 * left)


@pytest.mark.parametrize(
    ("watched", "passed", "told"),
    [
        (Watched(), True, "no feature was measured by itself"),
        (Watched(lone=(replace(RISEN, auc=0.55),), highest=(0.7, 0.005)), True, "visits alone has AUC 0.5500"),
        (Watched(lone=(RISEN,), highest=(0.78, 0.005)), False, "was it known at the end of 2024-02?"),
        (
            Watched(lone=(RISEN,), highest=(0.78, 0.005), faded=FADED),
            True,
            "plan tells less, 0.5100 after at least 0.7000",
        ),
        (Watched(lone=(RISEN,), highest=(0.7, 0.005), faded=FADED), False, "more than any feature did"),
        (
            Watched(lone=(replace(RISEN, new=True),), highest=(0.52, 0.005)),
            False,
            "0.5200 of any feature in earlier months",
        ),
        (Watched(lone=(replace(RISEN, before=None),)), True, "there is no earlier month to compare with"),
        (Watched(lone=(replace(RISEN, before=None, auc=0.93),)), False, "there is no earlier month to compare with"),
    ],
)
def test_a_lone_feature_stops_unless_customers_have_changed(watched: Watched, passed: bool, told: str):
    answer = gate_of(facts(watched=watched), "lone_feature")
    assert answer.passed is passed
    assert told in answer.explanation
    assert decide(facts(watched=watched), serving=2).promote is passed


@pytest.mark.parametrize(("new", "passed"), [(0.86, True), (0.9, False), (0.976, False)])
def test_a_jump_above_every_earlier_month_is_implausible(new: float, passed: bool):
    earlier_months = (Earlier("2023-12", 0.85, 0.01), Earlier("2024-01", 0.81, 0.01))
    asked = facts(new, earlier=earlier_months, watched=Watched(lone=(RISEN,), highest=(0.9, 0.005)))
    answer = gate_of(asked, "implausible_jump")
    assert answer.passed is passed
    assert "the best of 2 earlier months was 0.8500 (2023-12)" in answer.explanation
    assert ("look at visits first" in answer.explanation) is not passed
    assert gate_of(facts(0.99), "implausible_jump").passed  # nobody knows what is usual


@pytest.mark.parametrize(
    ("marked", "passed"),
    [
        (Marked("reason", True, 212, 203, 0.2, 40), False),
        (Marked("reason", False, 212, 203, 0.2, 40), False),
        (Marked("reason", True, 5, 5, 0.2, 40), True),  # too few to be sure
        (Marked("reason", True, 200, 110, 0.2, 40), True),  # more often than others, but not mostly
        (Marked("reason", True, 212, 203, 0.2, 40, 400, 390), True),  # as ever
    ],
)
def test_a_feature_that_is_filled_or_empty_for_who_left_stops(marked: Marked, passed: bool):
    answer = gate_of(facts(watched=Watched(marked=(marked,))), "telling_gaps")
    assert answer.passed is passed
    if not passed:
        assert f"{'known' if marked.known else 'unknown'} for 212 customers, and 203 of them left" in answer.explanation


def evaluated(lake: Lake, month: Month, new: float, *, stopped: str = "") -> None:
    gates = (GateAnswer(stopped, False, True, ""),) if stopped else ()
    found: Facts = facts(new, month=str(month))
    known = {name: getattr(found, name) for name in found.__struct_fields__}
    lake.write_document(EVALUATION, month, Evaluation(**known, gates=gates, promote=not stopped, decision=""))


def test_a_month_that_was_stopped_is_no_measure_unless_somebody_appointed_it(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
):
    months = [Month(2024, number) for number in (1, 2, 3, 4)]
    monkeypatch.setattr(training_set, "judging", lambda _: tuple(months))
    evaluated(lake, months[0], 0.82)
    evaluated(lake, months[1], 0.97, stopped="lone_feature")
    evaluated(lake, months[2], 0.83, stopped="delta_rule")
    for appointed, known in (((), [0.82, 0.83]), ((3,), [0.82, 0.97, 0.83])):
        assert [e.auc for e in usual.of_versions(lake, months[3], appointed.__contains__)] == known
    assert usual.of_versions(lake, months[0], ().__contains__) == ()


def test_canaries_are_the_same_for_a_customer_in_whatever_order():
    churned = pd.Series([True, False, True, False], index=list("dbca"))
    for canary in CANARIES:
        values = drawn(canary, churned, 7)
        pd.testing.assert_series_equal(values, drawn(canary, churned[::-1], 7))
    frame, labels = a_month(1, visits=1.0)
    assert perch(SCHEMA, frame, labels).name == "visits"
    assert perch(SCHEMA[1:], frame, labels) is NEW
