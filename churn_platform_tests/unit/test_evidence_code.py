"""The name under which evidence is kept: it changes with what can change an answer, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.evidence import code

ASKS = "def ask():\n    from churn_platform.deep.facts import FACT\n    return FACT\n"
SOURCES = {
    "benchmarks/__init__.py": "",
    "benchmarks/evidence/__init__.py": "",
    "benchmarks/evidence/asking.py": (
        "from typing import TYPE_CHECKING\nfrom churn_platform import gate\n"
        "if TYPE_CHECKING:\n    from churn_platform.cli import Command\n"
    ),
    "churn_platform/__init__.py": "",
    "churn_platform/gate.py": f'"""Gates."""\n{ASKS}',
    "churn_platform/deep/__init__.py": "",
    "churn_platform/deep/facts.py": 'FACT = 1\n"""A fact."""\n',
    "churn_platform/cli.py": "class Command: pass\n",
    "churn_platform/company.toml": "[company]\n",
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_functions_import_is_reached_and_what_is_for_types_is_not(sources: Path) -> None:
    found = code.reached(code.ASKED, sources)
    assert {*found} == {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in SOURCES} - {
        "churn_platform.cli",
        "churn_platform.company.toml",
    }


@pytest.mark.parametrize(
    ("file", "text", "same"),
    [
        ("churn_platform/cli.py", "class Command: text = 1\n", True),
        ("churn_platform/deep/facts.py", '# why\nFACT = (\n    1)\n"""A well known fact."""\n', True),
        (
            "churn_platform/gate.py",
            "def ask():\n    from churn_platform.deep.facts import FACT\n    return FACT\n",
            True,
        ),
        ("churn_platform/deep/facts.py", "FACT = 2\n", False),
        ("churn_platform/company.toml", "[other]\n", False),
    ],
)
def test_only_what_can_change_an_answer_changes_the_name(sources: Path, file: str, text: str, same: bool) -> None:
    before = code.name(sources)
    (sources / file).write_text(text)
    assert (code.name(sources) == before) is same


def test_commands_pages_and_runs_change_no_answer() -> None:
    found = code.reached(code.ASKED)
    assert {"churn_platform.modelling.training", "churn_platform.simulation.hazard"} <= {*found}
    rooms = {name.split(".")[1] for name in found if name.startswith("churn_platform.")}
    assert not rooms & {"cli", "assets", "local", "replay", "cards", "web", "home"}
    assert not {"benchmarks.evidence.page", "benchmarks.evidence.rates", "benchmarks.evidence.__main__"} & {*found}
