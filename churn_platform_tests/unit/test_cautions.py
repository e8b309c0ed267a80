"""Cautions: whether a win can be trusted, each with its figures in a sentence, and what may only warn."""

from __future__ import annotations

import msgspec
import pytest

from churn_platform.modelling.cautions import BRIER_MARGIN, WORST_MARGIN
from churn_platform.modelling.facts import Contender, Segment
from churn_platform.modelling.gate import GATES, decide
from churn_platform.settings import Settings
from churn_platform.settings.kinds import WARNING_GATES
from churn_platform_tests.gate_cases import facts, gate_of


@pytest.mark.parametrize(
    ("changes", "name", "told"),
    [
        (
            {"looks": 24, "rows": 250, "interval": (-0.02, 0.0622)},
            "looks",
            "24 candidates compared on 2024-02, 250 customers: luck alone stays below 0.0601 (95 %), and the win,"
            " 0.0211, is not above that",
        ),
        (
            {},
            "looks",
            "1 candidate compared on 2024-02, 1,780 customers: luck alone stays below 0.0113 (95 %), and the win,"
            " 0.0211, is above that",
        ),
        (
            {"interval": (0.01, 0.03)},
            "looks",
            "1 candidate compared on 2024-02, 1,780 customers: luck alone stays below 0.0084 (95 %), and delta asks for"
            " more",
        ),
        (
            {"candidate": Contender(3, "2024-02", {"auc": 0.8150})},
            "looks",
            "1 candidate compared on 2024-02, 1,780 customers: there is no win to doubt",
        ),
        (
            {
                "segments": (
                    Segment("age", "old", 90, 40, 0.70, 0.76, (-0.1, -0.02)),
                    Segment("age", "young", 90, 40, 0.7, 0.8, (-0.3, 0.1)),
                )
            },
            "worst_segment",
            "age old has AUC 0.7000, 0.7600 by the champion, a difference of -0.1000 to -0.0200: worse by more than"
            " 0.05",
        ),
        (
            {"segments": (Segment("age", "young", 90, 40, 0.7, 0.8, (-0.3, 0.1)),)},
            "worst_segment",
            "age young has AUC 0.7000, 0.8000 by the champion, a difference of -0.3000 to 0.1000: it may be chance",
        ),
        (
            {
                "candidate": Contender(3, "2024-02", {"auc": 0.8312, "brier": 0.155}),
                "champion": Contender(2, "2024-01", {"auc": 0.8101, "brier": 0.15}),
            },
            "calibration",
            "its Brier score is 0.1550, the champion's 0.1500: within 0.01",
        ),
    ],
)
def test_each_caution_says_its_figures(changes, name, told):
    assert gate_of(facts(**changes), name).explanation == told


def test_a_gate_that_is_set_to_warn_stops_nothing():
    lucky = facts(looks=24, interval=(-0.02, 0.0622))
    assert not decide(lucky, serving=2).promote
    warned = msgspec.structs.replace(lucky, warn_only=("looks",))
    assert decide(warned, serving=2).promote
    found = gate_of(warned, "looks")
    assert (found.passed, found.blocking) == (False, False)


def test_gates_that_may_warn_are_gates_that_stop_and_their_margins_are_documented():
    told = Settings.model_fields["warn_only"].description or ""
    assert f"worse by more than {BRIER_MARGIN:g})" in told and f"by more than {WORST_MARGIN:g})" in told
    assert set(WARNING_GATES) == {gate.name for gate in GATES if gate.blocking} - {
        "delta_rule",
        "onnx_parity",
        "month_order",
    }
