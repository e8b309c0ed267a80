"""Model cards: what a version's page says, that nothing from outside means anything in it, and that it fits MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from churn_platform.bundle import Feature, Manifest
from churn_platform.cards import evidence
from churn_platform.cards.evidence import EvidenceRecord, Finding
from churn_platform.cards.keeping import MOST, description
from churn_platform.cards.known import HoldoutFigures, KnownVersion
from churn_platform.cards.page import page
from churn_platform.champion.receipts import Receipt
from churn_platform.champion.registry import Version
from churn_platform.company.declaration import Declaration, DeclaredCompany, DeclaredInvoluntary, DeclaredLeaves
from churn_platform.contracts import Contract
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Contender, Facts, Segment
from churn_platform.modelling.gate import decide
from churn_platform.modelling.metrics import approximate_auc_error, auc, auc_error, mean_errors, measure
from churn_platform.modelling.recipe import KeptRows, Recipe, Source
from churn_platform.monitoring.performance import Bin, Expected, Outcome, Realised
from churn_platform.monitoring.rejected import Rejected
from churn_platform.months import Month
from churn_platform_tests.gate_cases import facts
from churn_platform_tests.hostile_values import HOSTILE, dangers
from churn_platform_tests.streamflow import STREAMFLOW

FIGURES = {"auc": 0.8312, "auc_error": 0.01, "brier": 0.15, "log_loss": 0.4, "lift_at_10": 2.5}
SCHEMA = (Feature("fee", "number", "The fee.", True), Feature("contract", "category", "It.", False, ("a",), open=True))
RECIPE = Recipe(
    month="2024-02",
    training=KeptRows("a" * 64, 5000, "b" * 64),
    holdout=KeptRows("c" * 64, 1780, "d" * 64),
    months={month: Source(5000, "e" * 64, "f" * 64) for month in ("2024-01", "2024-02")},
    key="user_id",
    label="churn_label",
    estimator="blend",
    seed=7,
    windows=(1, 3),
    libraries={"numpy": "2.4"},
)


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EvidenceRecord]]:
    """What `make evidence` has measured: nothing, unless a test says otherwise."""
    records: list[EvidenceRecord] = []
    monkeypatch.setattr(evidence, "kept", lambda: records[-1] if records else None)
    yield records


def compared(**changes: Any) -> Evaluation:
    """Version 3 against version 2."""
    contenders = {"candidate": Contender(3, "2024-02", FIGURES), "champion": Contender(2, "2024-01", {"auc": 0.8101})}
    found: Facts = facts(**{**contenders, **changes})
    answer = decide(found, found.champion.version if found.champion else None)
    return Evaluation(**msgspec.structs.asdict(found), **msgspec.structs.asdict(answer))


def receipt(number: int, version: int, before: int | None, after: int, **changes: Any) -> Receipt:
    """Receipt of a decision that made `after` champion."""
    made = Receipt(
        number=number,
        decided_at=f"2024-04-0{number}T08:00:00+00:00",
        verdict="promoted",
        decided_by="the gate",
        reason="it was better",
        version=version,
        month="2024-02",
        champion_before=before,
        champion=after,
        bundle_sha256="",
        dagster_run_id="",
        evaluation=None,
        evaluation_sha256=None,
        previous_sha256=None,
    )
    return msgspec.structs.replace(made, **changes)


def known(**changes: Any) -> KnownVersion:
    """What is known of version 3, unless the changes say otherwise."""
    found: dict[str, Any] = {
        "contract": STREAMFLOW,
        "version": Version(3, Month(2024, 2), 0.8312, "run", "file:///bundle", "0" * 64),
        "manifest": Manifest(1, "2024-02", ("2024-02",), "blend", 0.28, FIGURES, {}),
        "schema": SCHEMA,
        "recipe": RECIPE,
        "evaluation": compared(),
        "receipts": (receipt(2, 3, 2, 3, evaluation=compared()),),
        "holdout": HoldoutFigures({"brier": 0.005}, (Bin(890, 0.1, 0.12), Bin(890, 0.4, 0.35))),
        "later": (),
        "rejected": (),
        "challenged": (),
    }
    return KnownVersion(**{**found, **changes})


def test_a_card_says_all_that_a_person_should_know() -> None:
    text = page(known())
    for part in (
        "# Model card: version 3, trained for 2024-02\n",
        "customer of **StreamFlow**",
        '`churn_label`, declared as "Churned in the window after as_of". That is known 30 days after the month\'s end.',
        "It has been champion since 2024-04-02T08:00:00+00:00.",
        "- receipt 2, 2024-04-02T08:00:00+00:00: version 3 promoted by the gate. Reason: it was better\n",
        "11 of 11 gates passed.",
        "On 1,780 holdout customers of 2024-02, 410 of whom churned (23.0 %).",
        "It learned from other customers of 2024-02, so a change from month to month is not in these figures.",
        "A customer counts as churning from a probability of 0.280 on.",
        "| AUC | 0.8312 | 0.8116 to 0.8508 | 0.8101 |\n",
        "| Brier score, lower is better | 0.1500 | 0.1402 to 0.1598 |  |\n",
        "| lift of the top 10 % | 2.5000 |  |  |\n",
        "- AUC difference +0.0211, 95 % interval +0.0040 to +0.0310, delta 0.01\n",
        "| user_gender: Female | 900 | 200 | 0.8200 | 0.7826 to 0.8574 |\n",
        "giving everyone the same probability, 23.0 %, would have 0.1773.",
        "| 890 | 40.0 % | 35.0 % |\n",
        "It has not been measured on a month after those that it learned from",
        "| 2024-01 | 5,000 | not in the window |\n| 2024-02 | 5,000 | learned from |\n",
        "It knows 2 features: 1 number, 1 category.",
        "1 of its 2 features may be unknown for a customer",
        "A category that it has not learned is unknown to it.",
        f"- its training rows are `{'a' * 64}`, root `{'b' * 64}`\n",
        "- `churn rebuild 3` trains it again",
        "- `churn receipt 2` shows its comparison in full",
    ):
        assert part in text, part
    assert all(line.count("|") == head.count("|") for head, line in rows(text))


def rows(text: str) -> list[tuple[str, str]]:
    """Each row of a table with the one before it."""
    lines = text.split("\n")
    return [(a, b) for a, b in pairwise(lines) if a.startswith("|") and b.startswith("|")]


@pytest.mark.parametrize(
    ("receipts", "told"),
    [
        ((receipt(1, 3, 2, 2, verdict="kept"),), "It was never champion."),
        ((receipt(1, 3, 2, 3), receipt(2, 4, 3, 4)), "It was champion until 2024-04-02T08:00:00+00:00."),
        ((receipt(1, 3, 2, 3), receipt(2, 4, 3, 4), receipt(5, 3, 4, 3)), "It has been champion since 2024-04-05"),
    ],
)
def test_whether_it_serves(receipts: tuple[Receipt, ...], told: str) -> None:
    text = page(known(receipts=receipts))
    assert told in text
    assert ("version 4 promoted by the gate; version 3 served until then" in text) is (len(receipts) > 1)


def test_before_there_is_a_decision() -> None:
    text = page(known(receipts=()))
    assert "Nobody has decided yet. The gates say: " in text
    text = page(known(receipts=(), evaluation=None))
    assert "It was not compared with a champion yet, and there is no receipt about it." in text
    assert "On 1,780 holdout customers of 2024-02." in text
    assert "| AUC | 0.8312 | 0.8116 to 0.8508 |\n" in text
    assert "Not compared within groups of customers." in text


def test_a_version_of_an_earlier_platform() -> None:
    figures = {"auc": 0.8312}
    old = compared(candidate=Contender(3, "2024-02", figures))
    text = page(known(recipe=None, evaluation=old, holdout="nobody kept the rows"))
    assert text.count("An earlier version of the platform trained it and did not keep from what: it cannot be") == 3
    assert "`churn retrain 2024-02 --again` trains one that can be rebuilt." in text
    assert "`churn rebuild 3`" not in text
    assert f"| AUC | 0.8312 | {0.8312 - 0.02557:.4f} to {0.8312 + 0.02557:.4f} |" in text  # by the approximation
    assert "How its probabilities compare with what happened is not known: nobody kept the rows." in text
    assert "Its Brier score is not known." in text


def test_what_a_gate_says_against_it_and_groups_that_are_too_small() -> None:
    groups = (Segment("region", "north", 40, 3, None), Segment("region", "south", 9, 1, None))
    found = compared(interval=(-0.004, 0.031), segments=groups)
    text = page(known(evaluation=found))
    assert "10 of 11 gates passed:\n\n- interval_above_zero warned: the AUC difference lies between -0.0040" in text
    assert "| region: north | 40 | 3 | too few of a class |\n" in text
    assert "Nobody knows how well it ranks region north, region south: fewer than 30 of them churned or stayed." in text


def test_later_months_are_told_whether_it_served_or_lost() -> None:
    promised = Expected("2024-03", 3, "2024-02", 0.83, 7000, 0.82, 0.25, error=0.01)
    none, tenths = Outcome(0, None), (Bin(10, 0.2, 0.3), Bin(30, 0.4, 0.25))
    served = Realised(promised, False, 0.28, 0.26, {"auc": 0.81, "auc_error": 0.005}, tenths, none, none, none)
    lost = compared(
        month="2024-04", candidate=Contender(5, "2024-04", {"auc": 0.8}), champion=Contender(3, "2024-02", {"auc": 0.5})
    )
    beside = Rejected("2024-03", 4, 3, "2024-02", 7000, 0.8, 0.79, (-0.02, 0.001), "chance")
    text = page(known(later=(served,), rejected=(beside,), challenged=(lost,)))
    assert f"\n\n- {beside.sentence}\n" in text
    assert (
        "| 2024-03 | served | 7,000 | 0.8100 | 0.8002 to 0.8198 | 0.8200, give or take 0.0196 (95 %)"
        " | 35.0 % | 26.0 % |\n"
        "| 2024-04 | compared with version 5 | 1,780 | 0.5000 | 0.4681 to 0.5319 |  |  | 23.0 % |\n"
    ) in text


def test_how_other_companies_know_who_churned() -> None:
    label = msgspec.structs.replace(
        STREAMFLOW.declaration.label,
        leaves=DeclaredLeaves(after_months=2),
        involuntary=DeclaredInvoluntary(column="why", values=("death",)),
    )
    text = page(known(contract=Contract(msgspec.structs.replace(STREAMFLOW.declaration, label=label))))
    assert "A customer has churned if none of the next 2 months has them." in text
    assert "Customers without a choice (`why`: death) are left out of it." in text


def hostile(value: str) -> KnownVersion:
    """A version about which everything that comes from outside is this value."""
    declared: Declaration = msgspec.structs.replace(
        STREAMFLOW.declaration,
        company=DeclaredCompany(name=value),
        label=msgspec.structs.replace(
            STREAMFLOW.declaration.label, involuntary=DeclaredInvoluntary(column=value, values=(value,))
        ),
    )
    groups = tuple(Segment(value, f"{n}{value}", 900, 200, 0.8 if n % 2 else None, 0.7) for n in range(30))
    found = compared(segments=groups)
    return known(
        contract=Contract(declared),
        schema=tuple(Feature(f"{value}{n}", "number", value, True) for n in range(50)),
        recipe=msgspec.structs.replace(RECIPE, label=value, libraries={value: value}),
        evaluation=msgspec.structs.replace(
            found, gates=tuple(msgspec.structs.replace(gate, passed=False, explanation=value) for gate in found.gates)
        ),
        receipts=tuple(receipt(n, 3, 2, 2, verdict="kept", reason=value, decided_by=value) for n in range(1, 10)),
        holdout=value,
    )


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value[:20]))
def test_no_value_means_anything_and_every_card_fits(value: str) -> None:
    found = hostile(value)
    whole, short = page(found), description(found)
    assert dangers(whole) == [] and dangers(short) == []
    assert "<" not in whole.replace("<=", "") and all(b.count("|") == a.count("|") for a, b in rows(whole))
    assert len(short) <= MOST < len(whole)
    assert "## Purpose\n\nIt gives each active customer" in short
    assert short.count("Too long for this place: it is in `card.md` of the run, and `churn card 3` shows it.") >= 1
    assert "- and 4 earlier: `churn receipts`" in whole
    assert "Its receipt has 10 more groups." in whole
    assert " and 10 more." in whole


def test_a_card_that_fits_is_whole_with_gaps_between_columns() -> None:
    found = known()
    assert "| AUC | &ensp;0.8312 | &ensp;0.8116 to 0.8508 | &ensp;0.8101 |" in description(found)
    assert description(found).replace("&ensp;", "") == page(found)


def test_comparisons_are_told_as_such() -> None:
    text = page(known(receipts=(receipt(1, 3, 2, 2, reason="0.7 <= 0.8 + 0.01,\nand <b>1 > 0"),)))
    assert r"Reason: 0.7 <= 0.8 + 0.01, and \x3cb>1 > 0" in text


def test_what_delta_costs_is_told_of_the_companies_nearest_in_size(measured: list[EvidenceRecord]) -> None:
    assert "## What delta costs" not in page(known())
    figures = {1_000: 0.03, 7_043: 0.02, 50_000: 0.01}
    measured.append(
        EvidenceRecord(
            code="code",
            commit="1234567",
            months=16,
            worlds={1_000: 20, 7_043: 20, 50_000: 6},
            seconds={},
            findings=tuple(
                Finding(f"{what}, {rule}", size, 20, mean - 0.001, mean + 0.001, mean=mean)
                for size, mean in figures.items()
                for rule in ("delta 0.01", "no gate")
                for what in ("regret", "regret beyond that of delta 0.01", "promotions")
            ),
        )
    )
    text = page(known())  # 1,780 holdout customers are a quarter of 7,120
    assert "by more than delta, here 0.01 (`CHURN_DELTA`)" in text and "20 simulated companies of 7,043" in text
    assert "| delta 0.01 | 0.0200 | 0.0190 to 0.0210 |  |  | 0.0 |\n" in text
    assert "| no gate | 0.0200 | 0.0190 to 0.0210 | 0.0200 | 0.0190 to 0.0210 | 0.0 |\n" in text
    assert "companies of 50,000" in page(known(evaluation=compared(rows=40_000)))


def test_standard_errors() -> None:
    rng = np.random.default_rng(5)
    probabilities = rng.random(2000)
    labels = rng.random(2000) < probabilities
    errors, figures = mean_errors(labels, probabilities, 0.5), []
    for _ in range(300):
        drawn = rng.integers(2000, size=2000)
        figures.append(measure(labels[drawn], probabilities[drawn], 0.5))
    assert set(errors) == {"accuracy", "brier", "log_loss"}
    for name, error in errors.items():
        assert error == pytest.approx(np.std([figure[name] for figure in figures]), rel=0.12), name
    value = auc(probabilities, labels)
    assert value is not None
    about = approximate_auc_error(value, int(labels.sum()), int((~labels).sum()))
    assert about == pytest.approx(auc_error(probabilities, labels), rel=0.15)
