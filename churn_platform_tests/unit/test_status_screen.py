"""The status in words: each thing that a person has to know is a plain line where there is no terminal."""

from __future__ import annotations

import msgspec
import pytest

from churn_platform.monitoring.rejected import Rejected
from churn_platform.monitoring.screen import show
from churn_platform.monitoring.standing import ChampionStatus, Estimated, Reached
from churn_platform.monitoring.status import Candidate, MonthStatus, NextMonth, Status, Stopped

MONTH = MonthStatus(
    month="2024-01",
    as_of="2024-01-31",
    landed={"users": 1},
    quarantined={"users": 1},
    snapshots={},
    active_customers=1,
    matured=True,
    candidate=Candidate(3, 0.81234, 0.80001, promoted=False),
    drift_share=None,
    other_engine=None,
    notes=("something is odd",),
)
PROMISE = "champion: version 2, trained for 2024-01, AUC 0.8100 at that time; "


def shown(capsys: pytest.CaptureFixture[str], found: Status) -> list[str]:
    show(found)
    return capsys.readouterr().out.splitlines()


def test_each_thing_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    long = " ".join(["a very long sentence"] * 20)
    found = Status(
        months=(MONTH,),
        champion=None,
        stopped=(Stopped("2024-02", long),),
        rollbacks=("one", "two", "three", "four"),
        next=NextMonth("2024-02", "2024-02-29", "2024-03-10", overdue=False),
        declaration=("a column ends",),
    )
    assert shown(capsys, found) == [
        "2024-01: 1 active customer, labels landed, 1 row in quarantine, "
        "candidate version 3 with AUC 0.8123 against 0.8000 not promoted",
        f"2024-02 stopped: {long}",
        "something is odd",
        "a column ends",
        "champion: none yet",
        *("two", "three", "four"),
        "next: 2024-02 ends on 2024-02-29 and is to be closed by 2024-03-10",
    ]


@pytest.mark.parametrize(
    ("promoted", "told"), [(True, "promoted"), (False, "not promoted"), (None, "wins, and is not promoted yet")]
)
def test_what_became_of_a_candidate_is_told(
    promoted: bool | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    month = msgspec.structs.replace(MONTH, candidate=Candidate(3, 0.8, None, promoted))
    found = Status((month,), champion=None, next=NextMonth("2024-02", "2024-02-29", "2024-03-10", overdue=False))
    assert shown(capsys, found)[0].endswith(f"candidate version 3 with AUC 0.8000 {told}")


@pytest.mark.parametrize(
    ("reached", "told"),
    [
        (None, "how good it is on a later month with labels is not known yet"),
        (
            Reached("2024-03", 0.79, served=True, as_promised=True),
            "on 2024-03: AUC 0.7900, as served: still as good as promised (CHURN_REALISED_MARGIN)",
        ),
        (
            Reached("2024-03", 0.7, served=False, as_promised=False),
            "on 2024-03: AUC 0.7000, had it served that month: no longer as good as promised (CHURN_REALISED_MARGIN)",
        ),
        (
            Reached(
                "2024-03", 0.79, True, as_promised=True, estimate="0.8, give or take 0.02 (95 %)", as_expected=True
            ),
            "on 2024-03: AUC 0.7900, as served: still as good as promised (CHURN_REALISED_MARGIN); without its labels "
            "0.8, give or take 0.02 (95 %) was to be expected: the truth lies within",
        ),
        (
            Reached("2024-03", None, served=True, as_promised=None),
            "on 2024-03: no AUC, since everyone or nobody churned, as served",
        ),
    ],
)
def test_whether_the_champion_is_as_good_as_promised(
    reached: Reached | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Status(months=(), champion=ChampionStatus(2, "2024-01", 0.81, reached))
    assert shown(capsys, found) == [PROMISE + told]


def test_what_is_expected_and_who_was_rejected_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = Estimated("2024-03", 0.8, (0.78, 0.82), ("2024-02",), "0.8000, give or take 0.0200 (95 %)")
    lost = Rejected("2024-02", 2, 3, "2024-01", why_not="everyone or nobody churned")
    found = Status(months=(), champion=ChampionStatus(2, "2024-01", 0.81, expected=estimate, rejected=lost))
    assert shown(capsys, found)[1:] == [
        "estimate for 2024-03, before its labels: AUC 0.8000, give or take 0.0200 (95 %)",
        f"version 3, which was not promoted, cannot be compared with the champion on 2024-02: {lost.why_not}",
    ]


def test_an_overdue_month_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    overdue = NextMonth("2024-02", "2024-02-29", "2024-03-10", overdue=True)
    found = Status(months=(), champion=None, next=overdue)
    assert shown(capsys, found)[-1] == (
        "next: 2024-02 is overdue: it ended on 2024-02-29 and was to be closed by 2024-03-10"
    )


def test_a_delivered_month_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    late = NextMonth("2024-02", "2024-02-29", "2024-03-10", overdue=True, delivered=True)
    told = {
        False: "next: 2024-02 is delivered, and is to be closed by 2024-03-10",
        True: "next: 2024-02 is overdue: it is delivered, and was to be closed by 2024-03-10",
    }
    for overdue, sentence in told.items():
        month = msgspec.structs.replace(late, overdue=overdue)
        assert shown(capsys, Status(months=(), champion=None, next=month))[-1] == sentence
