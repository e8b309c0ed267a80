"""Evidence: rates have exact intervals, and a run that was cut off goes on where it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.evidence import __main__ as evidence
from benchmarks.evidence.rates import Mean, Rate, summed


@pytest.mark.parametrize(
    ("rate", "interval"),
    [(Rate(0, 20), (0.0, 0.168)), (Rate(20, 20), (0.832, 1.0)), (Rate(1, 60), (0.0004, 0.0894))],
)
def test_intervals_are_exact(rate: Rate, interval: tuple[float, float]) -> None:
    assert rate.interval == pytest.approx(interval, abs=5e-4)


def test_numbers_are_averaged_and_answers_counted() -> None:
    assert summed([True, False]) == Rate(1, 2)
    found = summed([0.1, 0.2, 0.3])
    assert found == Mean((0.1, 0.2, 0.3))
    assert found.figures == pytest.approx({"mean": 0.2, "trials": 3})
    assert found.interval == pytest.approx((-0.0484, 0.4484), abs=1e-4)  # t(2) = 4.303 times 0.1 / sqrt(3)
    assert Mean((0.5,)).interval == (0.5, 0.5) and str(found) == "0.2000 on average (-0.0484 to 0.4484)"


def test_what_was_worked_out_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, int]] = []

    def study(customers: int, seed: int) -> dict[str, bool]:
        asked.append((customers, seed))
        return {"happened": seed == 1}

    monkeypatch.setattr(evidence, "STUDIES", {"study": evidence.Study(study)})
    table = tmp_path / "table.md"
    monkeypatch.setattr(sys, "argv", ["evidence", "--quick", "--kept", str(tmp_path), "--table", str(table)])
    (kept := tmp_path / evidence.code()).mkdir()
    (kept / "study-1000-0.json").write_text(json.dumps({"happened": False}))
    for _ in range(2):
        evidence.main()
        told = json.loads(capsys.readouterr().out)
        assert told == [{"question": "happened", "customers": 1000, "hits": 1, "trials": 2}]
    assert asked == [(1000, 1)]
    assert "| happened | 1,000 | 1 of 2 (0.013 to 0.987) |" in table.read_text()


def test_a_broken_promise_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {"new plan found": [False] * 20, "quiet month stopped as leaking": [False] * 20}
    monkeypatch.setattr(evidence, "STUDIES", {"study": evidence.Study(lambda *_: answers)})
    monkeypatch.setattr(sys, "argv", ["evidence", "--quick", "--kept", str(tmp_path)])
    with pytest.raises(
        SystemExit, match=r"^not as promised: new plan found, 1,000 customers: 0 of 40 \(0.000 to 0.088\)$"
    ):
        evidence.main()
