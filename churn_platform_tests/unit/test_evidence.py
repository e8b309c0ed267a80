"""Evidence: rates have exact intervals, promises are held to, and the page leaves nothing out."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.evidence import __main__ as evidence
from benchmarks.evidence import asking, page
from benchmarks.evidence.claims import CLAIMS, broken
from benchmarks.evidence.rates import Mean, Measured, Rate, measured, summed
from churn_platform.cards.evidence import RULES, EvidenceRecord, kept

Printed = pytest.CaptureFixture[str]


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
    assert found.interval == pytest.approx((-0.0484, 0.4484), abs=1e-4)  # t(2) = 4.303 times 0.1 / sqrt(3)
    assert Mean((0.5,)).interval == (0.5, 0.5) and str(found) == "0.2000 on average (-0.0484 to 0.4484)"


def test_answers_are_summed_by_size_and_yes_and_no_over_all() -> None:
    found = measured([(1_000, {"a": [True, False], "b": 0.5}), (7_043, {"a": True, "b": 0.7})])
    assert [(one.question, one.customers, one.what) for one in found] == [
        ("a", 1_000, Rate(1, 2)),
        ("a", None, Rate(2, 3)),
        ("a", 7_043, Rate(1, 1)),
        ("b", 1_000, Mean((0.5,))),
        ("b", 7_043, Mean((0.7,))),
    ]
    assert msgspec.to_builtins(found[1].finding) == {
        "question": "a",
        "customers": None,
        "trials": 3,
        "low": pytest.approx(0.0943, abs=1e-4),
        "high": pytest.approx(0.9916, abs=1e-4),
        "hits": 2,
    }


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Measured("new plan found", 1_000, Rate(0, 40)), "new plan found, 1,000 customers: 0 of 40 (0.000 to 0.088)"),
        (Measured("new plan found", 1_000, Rate(19, 20)), None),
        (
            Measured("quiet month stopped as leaking", None, Rate(1, 60)),
            "quiet month stopped as leaking, all sizes: 1 of 60 (0.000 to 0.089), and 180 were to be seen",
        ),
        (Measured("quiet month stopped as leaking", 1_000, Rate(1, 60)), None),
        (Measured("nobody promised that", None, Rate(0, 60)), None),
    ],
)
def test_a_broken_promise_is_told(found: Measured, told: str | None) -> None:
    assert list(broken([found], quick=False)) == ([told] if told else [])


def test_what_was_worked_out_is_kept_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    asked: list[tuple[str, int]] = []

    def study(name: str, made: object) -> dict[str, bool]:
        seed: int = made.world.seed  # type: ignore[attr-defined]
        asked.append((name, seed))
        return {f"{name} happened": seed == 1}

    monkeypatch.setattr(asking, "STUDIES", {name: lambda made, name=name: study(name, made) for name in ("one", "two")})
    monkeypatch.setattr(asking, "WORLDS", {1_000: 2})
    monkeypatch.setattr(evidence, "commit", lambda: "1234567")
    monkeypatch.setattr(evidence, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(evidence, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(sys, "argv", ["evidence", "--kept", str(tmp_path)])
    monkeypatch.setattr("benchmarks.evidence.code.name", lambda: "code")
    (folder := tmp_path / "code" / "all").mkdir(parents=True)
    (folder / "1000-0-one.json").write_text('[{"one happened": true}, 1800]')
    for _ in range(2):
        evidence.main()
        record = msgspec.json.decode(capsys.readouterr().out, type=EvidenceRecord)
        assert record.worlds == {1_000: 2} and record.code == "code"
        assert (found := record.found("one happened", 1_000)) and (found.hits, found.trials) == (2, 2)
        assert (found := record.found("two happened", None)) and (found.hits, found.trials) == (1, 2)
    assert asked == [("two", 0), ("one", 1), ("two", 1)]
    assert record == msgspec.json.decode((tmp_path / "record.json").read_bytes(), type=EvidenceRecord)
    text = (tmp_path / "page.md").read_text()
    assert "| two happened | 1 of 2 (0.013 to 0.987) | 1 of 2 (0.013 to 0.987) |  |" in text and "0.5 hours" in text


def test_a_page_of_what_is_known_so_far_asks_nothing_and_leaves_out_half_a_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(asking, "STUDIES", {"one": None, "two": None})
    monkeypatch.setattr("benchmarks.evidence.code.name", lambda: "code")
    (folder := tmp_path / "code" / "all").mkdir(parents=True)
    for answered in ("1000-0-one", "1000-0-two", "1000-1-one"):
        (folder / f"{answered}.json").write_text('[{"it happened": true}, 1800]')
    monkeypatch.setattr(evidence, "commit", lambda: "1234567")
    monkeypatch.setattr(evidence, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(evidence, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(sys, "argv", ["evidence", "--so-far", "--kept", str(tmp_path)])
    evidence.main()
    record = msgspec.json.decode(capsys.readouterr().out, type=EvidenceRecord)
    assert record.worlds == {1_000: 1} and record.findings[0].trials == 2
    assert (tmp_path / "page.md").exists()


def test_each_promise_has_its_place_on_the_page() -> None:
    shown = [question for group in page.GROUPS for question in group.questions]
    assert set(CLAIMS) <= set(shown) and len(shown) == len(set(shown))


def test_the_page_says_what_delta_costs() -> None:
    answers: dict[str, bool | float | list[bool]] = {}
    for number, rule in enumerate(RULES):
        answers |= {f"regret, {rule}": 0.01 * number, f"promotions, {rule}": 3.0}
        answers |= {f"regret beyond that of delta 0.01, {rule}": 0.01 * number}
    found = tuple(one.finding for one in measured([(1_000, answers)]))
    text = page.written(EvidenceRecord("code", "1234567", 16, {1_000: 1}, {1_000: 60}, found))
    assert "| delta 0 | 0.0200 (0.0200 to 0.0200) | 0.0200 (0.0200 to 0.0200) | 3.0 |" in text
    assert "60 s for a world of 1,000" in text and "## Others" not in text
    assert "45 worlds are missing" in text


def test_the_page_is_what_the_record_of_the_last_run_says() -> None:
    record = kept()
    assert page.written(record) == evidence.PAGE.read_text()
    assert record is None or all(found.customers in (*record.worlds, None) for found in record.findings)
