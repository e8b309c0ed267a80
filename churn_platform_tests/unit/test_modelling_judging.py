"""Metrics, the bootstrap, the gate and the evaluation."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from churn_platform.bundle import Feature, Manifest
from churn_platform.modelling import evaluation as evaluations
from churn_platform.modelling.comparison import auc_difference_interval, weighted_aucs
from churn_platform.modelling.encoding import encode_frame
from churn_platform.modelling.evaluation import Evaluation, VersionScores, evaluate, score_versions, segment_aucs
from churn_platform.modelling.facts import Contender, Segment
from churn_platform.modelling.gate import decide, should_promote
from churn_platform.modelling.metrics import MeasurementError, auc, lift, measure
from churn_platform_tests.gate_cases import facts, gate_of
from churn_platform_tests.modelling_cases import SCHEMA, customers

NAN = float("nan")


def scores(count: int, strength: float, seed: int = 0, digits: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Labels, 30 % of them churned, and probabilities: the greater the strength, the better they are."""
    labels = np.random.default_rng(1).random(count) < 0.3
    noise = np.random.default_rng([seed, 2]).normal(size=count)
    return labels, np.round(1 / (1 + np.exp(-(noise + strength * labels))), digits)


def test_measures_are_those_of_a_case_counted_by_hand():
    labels = np.array([True, False, True, False, False, False, False, False, False, False])
    probabilities = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
    found = measure(labels, probabilities, threshold=0.6)
    assert found["auc"] == pytest.approx(15 / 16)
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["f1"] == pytest.approx(2 * 2 / (4 + 2))
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["brier"] == pytest.approx((0.01 + 0.64 + 0.09 + 0.36 + 0.25 + 0.16 + 0.09 + 0.04 + 0.01) / 10)
    assert found["lift_at_10"] == pytest.approx(1 / 0.2)
    assert all(type(value) is float for value in found.values())


def test_lift_takes_ties_by_their_mean_in_any_order():
    labels = np.array([True, False, False, True, False, False, False, False, False, False])
    probabilities = np.array([0.9, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    # The first two of ten: the one with 0.9, who churned, and one of the three with 0.5, of whom one churned.
    assert lift(labels, probabilities, 0.2) == pytest.approx((1 + 1 / 3) / 2 / 0.2)
    assert lift(labels[::-1], probabilities[::-1], 0.2) == lift(labels, probabilities, 0.2)
    assert lift(labels, np.full(10, 0.5), 0.2) == pytest.approx(1)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([True, True], [0.1, 0.2], "2 of 2 customers churned: "),
        ([False, False], [0.1, 0.2], "0 of 2 customers churned"),
        ([], [], "0 of 0 customers churned"),
    ],
)
def test_labels_that_nothing_can_be_measured_against_are_refused(labels, probabilities, message):
    with pytest.raises(MeasurementError, match=message):
        measure(np.array(labels, dtype=bool), np.array(probabilities), 0.5)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([True, False], [0.1, NAN], "1 of 2 probabilities are unknown"),
        ([True, False], [0.1], "do not match"),
    ],
)
def test_probabilities_that_cannot_be_right_are_a_bug(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        measure(np.array(labels, dtype=bool), np.array(probabilities), 0.5)


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_weighted_aucs_are_those_of_the_resamples_written_out(seed, distinct_scores):
    rng = np.random.default_rng(seed)
    labels, ties = rng.random(40) < 0.4, rng.integers(distinct_scores, size=40) / 10
    taken = rng.integers(40, size=(5, 40))
    counts = np.array([np.bincount(draw, minlength=40) for draw in taken])
    for draw, found in zip(taken, weighted_aucs(labels, ties, counts), strict=True):
        if len(set(labels[draw])) == 2:
            assert found == pytest.approx(roc_auc_score(labels[draw], ties[draw]))
        else:
            assert math.isnan(found)


def test_the_interval_is_that_of_a_paired_bootstrap():
    labels, new = scores(300, 1.5, seed=1, digits=2)
    _, old = scores(300, 1.0, seed=2, digits=2)
    rng, differences = np.random.default_rng(0), []
    for _ in range(1000):
        draw = rng.integers(300, size=300)
        new_auc, old_auc = auc(new[draw], labels[draw]), auc(old[draw], labels[draw])
        assert new_auc is not None and old_auc is not None
        differences.append(new_auc - old_auc)
    expected = np.quantile(differences, [0.025, 0.975])
    assert auc_difference_interval(labels, new, old, seed=7) == pytest.approx(tuple(expected), abs=0.01)


def test_the_interval_of_a_model_against_itself_is_nothing_and_a_seed_repeats():
    labels, one = scores(400, 1.0, seed=1)
    _, other = scores(400, 1.0, seed=2)
    assert auc_difference_interval(labels, one, one, seed=7) == (0, 0)
    first = auc_difference_interval(labels, one, other, seed=7)
    assert first == auc_difference_interval(labels, one, other, seed=7)
    assert first != auc_difference_interval(labels, one, other, seed=8)
    narrower = auc_difference_interval(labels, one, other, seed=7, level=0.5)
    assert first[0] < narrower[0] < narrower[1] < first[1]


@pytest.mark.parametrize(
    ("new", "prod", "delta", "expected"),
    [
        (0.83, 0.81, 0.01, True),
        (0.81, 0.81, 0.01, False),
        (0.75, 0.5, 0.25, False),  # equal to the bar, exactly, in binary
        (0.8, 0.81, 0.0, False),
        (0.81, 0.80, 0.0, True),
        (0.1, None, 0.01, True),
        (0.1, NAN, 0.01, True),
        (NAN, 0.5, 0.01, False),
        (NAN, None, 0.01, False),
        (NAN, NAN, 0.01, False),
    ],
)
def test_should_promote(new, prod, delta, expected):
    assert should_promote(new, prod, delta) is expected


def test_the_default_delta_is_a_hundredth():
    assert should_promote(0.8201, 0.81)
    assert not should_promote(0.8199, 0.81)


def test_a_win_is_promoted_and_said():
    answer = decide(facts(), serving=2)
    assert answer.promote
    assert all(gate.passed for gate in answer.gates)
    assert [gate.name for gate in answer.gates if gate.blocking] == [
        "delta_rule",
        "onnx_parity",
        "month_order",
        "looks",
        "implausible_jump",
        "lone_feature",
        "telling_gaps",
        "calibration",
        "worst_segment",
    ]
    assert gate_of(facts(), "delta_rule").explanation == (
        "0.8312 > 0.8101 + 0.01: version 3 wins by 0.0211 (95 % interval 0.0040 to 0.0310)"
    )
    assert answer.decision.startswith("version 3 is promoted: 0.8312 > 0.8101")


@pytest.mark.parametrize(
    ("interval", "told"),
    [
        ((0.0003, 0.0081), "0.0003 to 0.0081"),
        ((0.00002, 0.008), "0.00002 to 0.00800"),
        ((-0.00004, 0.00812), "-0.00004 to 0.00812"),
        ((0.0, 0.5), "0.0000 to 0.5000"),
        ((-1e-12, 0.5), "0.00000000 to 0.50000000"),
    ],
)
def test_the_ends_of_an_interval_show_on_which_side_of_zero_they_are(interval, told):
    asked = facts(interval=interval)
    assert gate_of(asked, "delta_rule").explanation.endswith(f"(95 % interval {told})")
    assert f"lies between {told.replace(' to ', ' and ')} (95 %)" in gate_of(asked, "interval_above_zero").explanation


def test_a_loss_keeps_the_champion_and_says_so():
    answer = decide(facts(new=0.8150), serving=2)
    assert not answer.promote
    assert "0.8150 <= 0.8101 + 0.01: version 2 stays" in answer.decision


def test_a_close_call_shows_enough_digits():
    assert "0.82012000 > 0.81010000 + 0.01" in gate_of(facts(new=0.82012), "delta_rule").explanation
    assert "0.82008000 <= 0.81010000 + 0.01" in gate_of(facts(new=0.82008), "delta_rule").explanation


def test_the_first_version_has_nobody_to_beat():
    answer = decide(facts(old=None), serving=None)
    assert answer.promote
    assert "there is no champion to beat" in answer.decision


def test_an_unknown_auc_never_wins():
    for old, serving in ((0.8101, 2), (None, None)):
        answer = decide(facts(new=NAN, old=old), serving)
        assert not answer.promote
        assert "unknown" in answer.decision


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"parity": 1.1e-5}, "onnx_parity"),
        ({"parity": NAN}, "onnx_parity"),
        ({"champion": Contender(2, "2024-03", {"auc": 0.8101})}, "month_order"),
        ({"champion": Contender(2, "2024-02", {"auc": 0.8301})}, "delta_rule"),
        ({"interval": (0.0001, 0.0511)}, "looks"),  # a small holdout
        ({"looks": 24, "interval": (0.004, 0.036)}, "looks"),
        (
            {
                "candidate": Contender(3, "2024-02", {"auc": 0.8312, "brier": 0.1601}),
                "champion": Contender(2, "2024-01", {"auc": 0.8101, "brier": 0.15}),
            },
            "calibration",
        ),
        ({"segments": (Segment("user_gender", "Male", 880, 210, 0.78, 0.831, (-0.08, -0.01)),)}, "worst_segment"),
    ],
)
def test_each_blocking_gate_blocks_alone(changes, failed):
    answer = decide(facts(**changes), serving=2)
    assert not answer.promote
    assert [gate.name for gate in answer.gates if not gate.passed] == [failed]
    assert gate_of(facts(**changes), failed).explanation in answer.decision


@pytest.mark.parametrize(
    ("changes", "warned", "said"),
    [
        ({"interval": (-0.002, 0.031)}, "interval_above_zero", "around zero"),
        ({"interval": (-0.02, -0.01)}, "interval_above_zero", "below zero"),
        ({"segments": (Segment("user_gender", "Male", 880, 210, 0.73),)}, "segments", "Male with AUC 0.7300"),
    ],
)
def test_warnings_do_not_block(changes, warned, said):
    answer = decide(facts(**changes), serving=2)
    assert answer.promote
    assert [gate.name for gate in answer.gates if not gate.passed] == [warned]
    assert said in gate_of(facts(**changes), warned).explanation


def test_groups_left_out_are_said():
    small = facts(segments=(Segment("user_is_senior", "True", 40, 8, None),))
    assert gate_of(small, "segments").passed
    assert "too few customers of a class to tell: user_is_senior True" in gate_of(small, "segments").explanation


@pytest.mark.parametrize(
    ("old", "serving", "said"),
    [
        (0.8101, 4, "evaluated against version 2, but version 4 serves now: evaluate again"),
        (0.8101, None, "evaluated against version 2, but no version serves now: evaluate again"),
        (None, 4, "evaluated without a champion, but version 4 serves now: evaluate again"),
        (0.8101, 3, "version 3 serves already: nothing to promote"),
    ],
)
def test_a_comparison_with_another_champion_promotes_nobody(old, serving, said):
    answer = decide(facts(old=old), serving=serving)
    assert not answer.promote
    assert answer.decision == said


def test_an_evaluation_is_one_record_that_survives_json_and_can_be_asked_again():
    labels, new = scores(800, 1.5, seed=1)
    _, old = scores(800, 0.8, seed=2)
    segments = pd.DataFrame(
        {"user_gender": np.where(np.arange(800) % 2, "Male", "Female"), "user_is_senior": np.arange(800) < 20}
    )
    evaluation = evaluate(
        "2024-02",
        labels,
        VersionScores(3, "2024-02", 0.5, new),
        VersionScores(2, "2024-01", 0.6, old),
        parity=1e-7,
        segments=segments,
        delta=0.01,
        seed=7,
        looks=3,
        warn_only=["calibration"],
    )
    assert evaluation.candidate.metrics == measure(labels, new, 0.5)
    assert evaluation.champion is not None
    assert evaluation.champion.metrics == measure(labels, old, 0.6)
    assert evaluation.interval == auc_difference_interval(labels, new, old, 7)
    assert (evaluation.rows, evaluation.positives) == (800, int(labels.sum()))
    assert evaluation.promote

    again = msgspec.json.decode(msgspec.json.encode(evaluation), type=Evaluation)
    assert again == evaluation
    asked = decide(again, serving=2)
    assert (asked.promote, asked.decision, asked.gates) == (evaluation.promote, evaluation.decision, evaluation.gates)
    assert not decide(again, serving=4).promote


def test_an_evaluation_without_a_champion():
    labels, new = scores(200, 1.0)
    none = pd.DataFrame(index=range(200))
    evaluation = evaluate(
        "2024-01",
        labels,
        VersionScores(1, "2024-01", 0.5, new),
        None,
        parity=0.0,
        segments=none,
        delta=0.01,
        seed=7,
        looks=1,
    )
    assert (evaluation.champion, evaluation.interval, evaluation.promote) == (None, None, True)


class Constant:
    """A bundle and a pipeline in one: gives everyone the same probability, and counts how often it is asked."""

    def __init__(self, probability: float, schema: tuple[Feature, ...] = SCHEMA) -> None:
        self.schema = schema
        self.manifest = Manifest(1, "2024-02", ("2024-02",), "blend", 0.4, {}, {})
        self.asked = 0
        self._probability = probability

    def predict_proba(self, encoded: np.ndarray) -> np.ndarray:
        self.asked += 1
        return np.full((len(encoded), 2), self._probability)

    def score(self, encoded: np.ndarray) -> np.ndarray:
        assert encoded.shape[1] == len(self.schema)
        return self.predict_proba(encoded)[:, 1]


@pytest.mark.parametrize(("champions_schema", "encodings"), [(SCHEMA, 1), (SCHEMA[:3], 2)])
def test_each_schema_is_encoded_once_and_each_model_asked_once(champions_schema, encodings, monkeypatch):
    encoded = []

    def encode(schema, frame):
        encoded.append(schema)
        return encode_frame(schema, frame)

    monkeypatch.setattr(evaluations, "encode_frame", encode)
    candidate: Any = Constant(0.3)
    champion: Any = Constant(0.2, champions_schema)
    pipeline: Any = Constant(0.31)
    found, parity = score_versions(customers(40), {3: candidate, 2: champion}, 3, pipeline, {})
    assert len(encoded) == encodings
    assert [model.asked for model in (candidate, champion, pipeline)] == [1, 1, 1]
    assert parity == pytest.approx(0.01)
    assert (found[3].version, found[3].month, found[3].threshold) == (3, "2024-02", 0.4)
    assert (found[3].probabilities == 0.3).all()
    assert (found[2].probabilities == 0.2).all()


def test_segments_leave_out_who_is_unknown_and_groups_that_are_too_small():
    labels, probabilities = scores(400, 1.0)
    frame = pd.DataFrame({"gender": ["Female", "Male", None, "Female"] * 100, "senior": [True] + [False] * 399})
    found = {(s.column, s.value): s for s in segment_aucs(labels, probabilities, None, frame, 7)}
    assert list(found) == [("gender", "Female"), ("gender", "Male"), ("senior", "False"), ("senior", "True")]
    female = (frame["gender"] == "Female").to_numpy()
    assert found["gender", "Female"].auc == pytest.approx(roc_auc_score(labels[female], probabilities[female]))
    assert found["gender", "Female"].rows == 200
    assert found["senior", "True"] == Segment("senior", "True", 1, int(labels[0]), None)
