"""A backtest's figures, page and refusals, without living through anything."""

from __future__ import annotations

from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from churn_platform.automation.retraining import ChampionFacts, DriftFacts, Limits, ModelFacts, RealisedFacts, cause
from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform.day import living_on, today
from churn_platform.local.making import RefusedError
from churn_platform.months import Month
from churn_platform.replay import backtesting_page, screen
from churn_platform.replay.backtest import months_of
from churn_platform.replay.worth import BacktestedMonth, Worth, summary, worth
from churn_platform_tests import foreign
from churn_platform_tests.streamflow import STREAMFLOW

LABELS = np.array([True, False, True, False, False, False, False, False, False, False])
CAUSE = "RETRAINING_TRIGGERED "
FEES = np.array([30.0, 10, 20, 10, 10, 10, 10, 10, 10, np.nan])


def month_of(month: str, **auc: float | None) -> BacktestedMonth:
    found = {name: Worth(value, 2.0, 30.0) if value is not None else Worth() for name, value in auc.items()}
    return BacktestedMonth(month, None, (), (), f"{month}-28", 0, version=1, customers=10, **found)


def test_the_worth_of_a_ranking() -> None:
    best = worth(LABELS.astype(float), LABELS, FEES)
    assert (best.auc, best.fees) == (1.0, 30.0)  # of the one customer in ten who would be called
    assert best.lift == pytest.approx(5.0)
    worst = worth(-LABELS.astype(float), LABELS, FEES)
    assert (worst.auc, worst.lift, worst.fees) == (0.0, 0.0, 0.0)
    assert worth(LABELS.astype(float), LABELS, None).fees is None
    assert worth(FEES, np.zeros(10, dtype=bool), FEES) == Worth()


def test_only_months_that_all_three_have_are_compared() -> None:
    months = [
        month_of("2024-01", platform=None, never=None, each_month=None),
        month_of("2024-02", platform=0.8, never=0.6, each_month=0.7),
        month_of("2024-03", platform=0.6, never=0.6, each_month=None),
        replace(month_of("2024-04", platform=0.7, never=0.6, each_month=0.7), promotions=2, causes=("x",)),
    ]
    found = summary(months)
    assert found is not None
    assert (found.compared, found.months, found.retrainings, found.promotions) == (2, 4, 1, 2)
    assert found.platform == Worth(pytest.approx(0.75), 2.0, 60.0)  # type: ignore[arg-type]
    assert summary(months[:1]) is None


def test_a_backtest_in_words() -> None:
    months = [month_of("2024-01", platform=0.8, never=0.6, each_month=0.7)]
    told = list(screen.tested(months, summary(months), "USD"))
    assert told[1].split() == ["2024-01", "-", "version", "1", "0.8000", "0.6000", "0.7000", "2.00"]
    assert told[2] == "1 month, 0 retrainings, 0 promotions; 1 of the months can be compared"
    assert told[3].startswith("1 month can be compared: too few to say which way is better. ")
    assert told[4].endswith("of the holdout, a quarter of all, paid 30.00 USD a month")
    assert list(screen.tested([], None, ""))[-1] == "no month had a champion and labels: nothing can be compared"


DRIFTS = (
    DriftFacts(Month(2024, 2), frozenset("ab"), 10, None),
    DriftFacts(Month(2024, 3), frozenset("abcdef"), 10, "0.200 -> 0.300"),
)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"champion": None}, "first training"),
        (
            {"drifts": DRIFTS},
            "trained again: the share of features that drifted in 2024-03 was 0.60, and 0.3 is enough",
        ),
        (
            {"drifts": DRIFTS, "trained": frozenset({Month(2024, 2)})},
            "trained again: the share of features that drifted in 2024-03 beyond the 2 columns seen before was 0.40, "
            "and 0.3 is enough",
        ),
        (
            {"drifts": (replaced(DRIFTS[1], drifted=frozenset()),)},
            "trained again: the share of customers who left went from 0.200 to 0.300 in 2024-03",
        ),
        (
            {"realised": RealisedFacts(Month(2024, 3), 1, 0.7)},
            "trained again: the AUC was 0.7000 in 2024-03, and 0.8000 was promised",
        ),
    ],
)
def test_causes_are_told_in_words(facts: dict[str, Any], words: str) -> None:
    champion = ChampionFacts(1, Month(2024, 1), 0.8)
    known = {"champion": champion, "matured": Month(2024, 3), "content": "", "drifts": (), "realised": None}
    found = cause(ModelFacts(**{**known, "trained": frozenset(), **facts}), Limits(0.3, 0.03, 0))
    months = [replace(month_of("2024-01", platform=None, never=None, each_month=None), causes=(f"{CAUSE}{found}",))]
    line = list(screen.tested([replace(months[0], version=None, customers=0)], None, ""))[1]
    assert line.split(maxsplit=7) == ["2024-01", "-", "nobody", *["not", "yet"] * 2, f"not yet     -      {words}"]


def test_a_page_shows_values_and_never_runs_them(tmp_path: Path) -> None:
    hostile = foreign.CLUB.replace('name = "Club"', "name = '<script>alert(1)</script>'")
    months = [
        month_of("2024-01", platform=0.8, never=0.6, each_month=0.7),
        replace(month_of("2024-02", platform=None, never=None, each_month=None), faults=("<b>no</b>",)),
        month_of("2024-03", platform=0.7, never=0.6, each_month=0.7),
    ]
    backtesting_page.write(Contract(parse(hostile, "company.toml")), months, summary(months), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;no" in page
    assert page.count('<polyline class="platform"') == 2  # a month without a figure breaks the line
    assert "fees found" not in page
    assert "<td>none</td>" in page and "<td></td>" not in page
    assert "<p>2 months can be compared: too few to say which way is better. " in page
    backtesting_page.write(STREAMFLOW, [], None, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "nothing can be compared" in page
    assert "AUC of each month" not in page


def test_a_backtest_needs_every_month(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="there is no drop in"):
        months_of(tmp_path, Month(2024, 1))
    for month in ("2024-01", "2024-03"):
        (tmp_path / month).mkdir()
    with pytest.raises(RefusedError, match=r"^2024-02 has no drop in"):
        months_of(tmp_path, Month(2024, 1))
    assert list(months_of(tmp_path, Month(2024, 3))) == [Month(2024, 3)]


def test_a_day_is_lived_once_and_over_afterwards() -> None:
    real = today()
    day = real.replace(year=2001, day=1)
    with living_on(day):
        assert today() == day
        with pytest.raises(AssertionError), living_on(real):
            pass
    assert today() == real
