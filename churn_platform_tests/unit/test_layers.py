"""Layers: arrows point one way, serving stays small, and files and functions stay short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import churn_platform
from churn_platform_tests.imports import circle, graph, imported, modules, upward

PLATFORM = Path(churn_platform.__file__).parent
ROOT = PLATFORM.parent

GROUND = (
    *("bundle", "company", "contracts", "day", "erasure_requests", "faults", "files", "lake"),
    *("members", "months", "progress", "saying", "secrets", "settings", "shown", "telling", "tombstones"),
)
ROOMS = (
    GROUND,
    ("web",),
    ("modelling",),
    ("reasons",),
    ("online",),
    ("intake",),
    ("proposing",),
    ("simulation",),
    ("tables",),
    ("champion",),
    ("home",),
    ("erasure",),
    ("backup",),
    ("monitoring",),
    ("cards",),
    ("assets",),
    ("automation",),
    ("definitions",),
    ("local",),
    ("replay",),
    ("cli",),
    ("__main__",),
)
"""The rooms of the platform from the ground up. Each imports only from itself and from those before it."""

DAGSTER = ("assets", "automation", "definitions", "local", "replay", "cli", "__main__")
"""The rooms that may know Dagster."""

SERVING_MAY_USE = {
    "bundle",
    "company",
    "contracts",
    "erasure_requests",
    "faults",
    "files",
    "months",
    "online",
    "reasons",
    "secrets",
    "settings",
    "web",
}


def test_arrows_point_one_way() -> None:
    found = graph(PLATFORM)
    assert list(upward(found, ROOMS)) == []
    assert "tables.names" in found["monitoring.status"]  # it was really read


def test_nothing_imports_in_circles() -> None:
    assert circle(graph(PLATFORM)) == []
    assert circle(graph(ROOT / "serving")) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from churn_platform.home import Home", "tables.names imports home"),
        ("import churn_platform.cli", "tables.names imports cli"),
        ("def f():\n    from churn_platform import cli", "tables.names imports cli"),
        ("from churn_platform.lake import Lake", None),
    ],
)
def test_an_arrow_that_points_up_is_found(tmp_path: Path, line: str, told: str | None) -> None:
    package = made(tmp_path, {"home": "", "cli": "", "lake": "", "tables.names": line})
    assert list(upward(graph(package), ROOMS)) == ([told] if told else [])


def test_a_module_in_no_room_is_found(tmp_path: Path) -> None:
    assert list(upward(graph(made(tmp_path, {"helpers": ""})), ROOMS)) == ["helpers is in no room"]


def test_a_circle_is_found_within_a_room_too(tmp_path: Path) -> None:
    package = made(
        tmp_path,
        {
            "online.store": "def f():\n    from churn_platform.online import postgres",
            "online.postgres": "from churn_platform.online.store import url",
        },
    )
    assert circle(graph(package)) == ["online.postgres", "online.store", "online.postgres"]


def made(folder: Path, sources: dict[str, str]) -> Path:
    """A package of this name with these modules."""
    package = folder / "churn_platform"
    for name, source in sources.items():
        path = package / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return package


def test_logic_knows_no_dagster() -> None:
    for name, path in modules(PLATFORM).items():
        if name.partition(".")[0] not in DAGSTER:
            text = ast.parse(path.read_text())
            names = {a.name for n in ast.walk(text) if isinstance(n, ast.Import) for a in n.names}
            names |= {n.module or "" for n in ast.walk(text) if isinstance(n, ast.ImportFrom)}
            assert not {n for n in names if n.partition(".")[0].startswith("dagster")}, name


def test_serving_uses_little_of_the_platform() -> None:
    files = modules(ROOT / "serving").values()
    used = {name.partition(".")[0] for path in files for name in imported(path, "churn_platform")}
    assert used - SERVING_MAY_USE == set()
    assert used


def test_serving_reaches_nothing_that_makes_models() -> None:
    found = graph(PLATFORM)
    reached, ahead = set[str](), {n for p in modules(ROOT / "serving").values() for n in imported(p, "churn_platform")}
    while ahead := {name for name in ahead if name in found} - reached:
        reached |= ahead
        ahead = set[str]().union(*(found[name] for name in ahead))
    assert "reasons.telling" in reached
    assert {name.partition(".")[0] for name in reached} & {"modelling", "tables", "champion", "lake"} == set()


def test_the_platform_does_not_know_serving() -> None:
    for name, path in modules(PLATFORM).items():
        assert imported(path, "serving") == set(), name


# Sizes: whatever outgrows them does two things.

FOLDERS = {"churn_platform": 300, "serving": 300, "benchmarks": 300, "deploy": 300, "churn_platform_tests": 450}
"""The most lines that a file may have."""

FUNCTION = 60
"""The most lines that a function may have, including its docstring."""


def too_long(path: Path, lines: int) -> Iterator[str]:
    """Whatever in a file is longer than it may be."""
    text = path.read_text()
    if (count := len(text.splitlines())) > lines:
        yield f"{path.name}: {count} lines"
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if (count := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION:
            yield f"{path.name}: {node.name} has {count} lines"


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_and_functions_are_short(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    assert [told for path in files for told in too_long(path, FOLDERS[folder])] == []


def test_what_is_too_long_is_found(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def f():\n" + "    pass\n" * FUNCTION + "x = 1\n" * 240)
    assert list(too_long(path, 300)) == ["long.py: 301 lines", f"long.py: f has {FUNCTION + 1} lines"]
