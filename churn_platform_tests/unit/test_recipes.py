"""The recipes of docs/developers.md: what they name exists, and whoever follows them gets what they promise."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from churn_platform.contracts import declared
from churn_platform.lake import Lake
from churn_platform.modelling import gate
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Facts
from churn_platform.modelling.gate import Gate, decide
from churn_platform.tables.names import FEATURES
from churn_platform_tests import decision_cases, homes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "developers.md").read_text()


def recipe(heading: str) -> str:
    """A section of the page."""
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("heading", ["A new column", "A new feature", "A new gate"])
def test_what_a_recipe_names_is_there(heading: str) -> None:
    named = re.findall(r"`([^`\n]+)`", recipe(heading).partition("```")[0])
    files = [name for name in named if name.endswith(".py")]
    said = (ROOT / "churn_platform/company/streamflow.toml").read_text()
    folders = (ROOT / "churn_platform", ROOT / "churn_platform_tests")
    paths = [folder / name for name in files for folder in folders if (folder / name).exists()]
    assert len(paths) == len(files) > 0
    sources = "\n".join([said, *(path.read_text() for path in paths)])
    for name in set(named).difference(files):
        if not name.startswith(("make ", "churn ")):  # `test_docs` looks for these
            known = name.partition("=")[0].partition("__")[0].strip()
            assert re.search(rf"\b{re.escape(known)}\b", sources), name


def large(facts: Facts) -> tuple[bool, str]:
    return facts.rows >= 1000, f"there are {facts.rows} customers in the holdout"


def test_a_new_gate_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation, size = decision_cases.evaluation(2, 1), Gate("size", "Is the holdout large enough?", True, large)
    assert decide(evaluation, serving=1).promote
    monkeypatch.setattr(gate, "GATES", (*gate.GATES, size))
    answer = decide(evaluation, serving=1)
    assert not answer.promote
    assert answer.decision == "version 2 is not promoted: there are 100 customers in the holdout"
    assert answer.gates[-1].name == "size"
    monkeypatch.setattr(gate, "GATES", (*gate.GATES[:-1], replace(size, blocking=False)))
    assert decide(evaluation, serving=1).promote


def test_the_delta_rule_gives_the_reason_for_a_promotion() -> None:
    names = [known.name for known in gate.GATES]
    assert names[0] == "delta_rule"
    assert len(names) == len(set(names))


def test_an_evaluation_keeps_its_bytes_when_a_fact_is_added() -> None:
    written = msgspec.json.encode(decision_cases.evaluation(2, 1))
    later = msgspec.defstruct(
        "Later", [("complaints", float | None, None)], bases=(Evaluation,), frozen=True, kw_only=True
    )
    assert msgspec.json.encode(msgspec.json.decode(written, type=later)) == written


def test_a_new_feature_is_in_the_table(tmp_path: Path, drop: Path) -> None:
    company = tmp_path / "company.toml"
    shipped = resources.files("churn_platform.company").joinpath("streamflow.toml").read_text()
    line = 'tickets_doubled = { sql = "support_tickets_90d * 2", meaning = "Twice the tickets." }'
    company.write_text(shipped.replace("[features.derived]\n", f"[features.derived]\n{line}\n"))
    lake = Lake(tmp_path / "lake", declared(company))
    homes.land(lake, homes.MONTHS[0], drop)
    homes.close(lake, homes.MONTHS[0])
    frame = lake.frame(FEATURES, homes.MONTHS[0])
    assert (frame["tickets_doubled"] == frame["support_tickets_90d"] * 2).all()
