"""Layers: arrows point one way, serving stays small, and loading the definitions stays cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import churn_platform

PLATFORM = Path(churn_platform.__file__).parent
ROOT = PLATFORM.parent

GROUND = ("contracts", "months", "settings", "faults", "bundle")
STORES = ("lake", "registry", "online_store", "online_postgres")
DAGSTER = ("assets", "automation")
ENTRIES = ("cli", "up", "first_start", "replay", "replay_screen", "status_screen")
"""What people start; nothing imports them but each other."""


def layer_of(name: str) -> int:
    """The layer of a module, from the ground up: a module imports from lower layers and its own, never a higher one."""
    top = name.partition(".")[0]
    if top in GROUND:
        return 0
    if top in STORES:
        return 1
    if top in DAGSTER:
        return 3
    if top == "definitions":
        return 4
    return 5 if top in ENTRIES else 2  # 2: table logic, models, decisions


# Running a job needs the definitions, which are built at the first run and not at load.
LATE = {("automation.runs", "definitions")}

SERVING_MAY_USE = {"contracts", "months", "settings", "faults", "online_store", "bundle"}
HEAVY = (
    "pandas", "ibis", "duckdb", "sklearn", "mlflow", "great_expectations", "evidently", "matplotlib", "onnx",
    "skl2onnx", "scipy", "pyarrow", "onnxruntime", "dagster_mlflow",
)  # fmt: skip


def modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every module under a folder with its name below it, such as `assets.landing`."""
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(path: Path, package: str, *, at_load: bool = False) -> set[str]:
    """The modules of a package that a file imports, anywhere or at load alone; names below the package."""
    tree, found = ast.parse(path.read_text()), set()
    deferred: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            deferred |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if at_load and id(node) in deferred:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}: write imports in full, so that they can be read")
    return {name.removeprefix(f"{package}.") for name in found if name.startswith(f"{package}.")}


MODULES = {name: path for name, path in modules(PLATFORM) if name}


@pytest.mark.parametrize("name", MODULES)
def test_arrows_point_one_way(name: str) -> None:
    used = {other for other in imported(MODULES[name], "churn_platform") if other in MODULES}
    assert {o for o in used if layer_of(o) > layer_of(name) and (name, o) not in LATE} == set()


def test_nothing_imports_in_circles() -> None:
    graph = {
        name: {other for other in imported(path, "churn_platform", at_load=True) if other in MODULES}
        for name, path in MODULES.items()
    }

    def circle(trail: tuple[str, ...]) -> tuple[str, ...] | None:
        for other in sorted(graph[trail[-1]]):
            if other in trail:
                return (*trail[trail.index(other) :], other)
            if other not in sound and (found := circle((*trail, other))):
                return found
        sound.add(trail[-1])
        return None

    sound: set[str] = set()
    assert [found for name in graph if (found := circle((name,)))] == []
    assert all(graph[first] for first, _ in pairwise(["cli", "status"]))  # the graph was really read


def test_logic_knows_no_dagster() -> None:
    for name, path in MODULES.items():
        if layer_of(name) <= 2:
            text = ast.parse(path.read_text())
            names = {a.name for n in ast.walk(text) if isinstance(n, ast.Import) for a in n.names}
            names |= {n.module or "" for n in ast.walk(text) if isinstance(n, ast.ImportFrom)}
            assert not {n for n in names if n.partition(".")[0].startswith("dagster")}, name


def test_serving_uses_little_of_the_platform() -> None:
    folder = ROOT / "serving"
    used = {
        name: {other.partition(".")[0] for other in imported(path, "churn_platform")} for name, path in modules(folder)
    }
    known = {name.partition(".")[0] for name in MODULES}
    assert {n: u & known - SERVING_MAY_USE for n, u in used.items() if u & known - SERVING_MAY_USE} == {}
    assert set().union(*used.values()) & SERVING_MAY_USE  # it was really read


def test_the_platform_does_not_know_serving() -> None:
    for name, path in MODULES.items():
        assert imported(path, "serving") == set(), name


def test_loading_the_definitions_imports_nothing_heavy() -> None:
    code = "import sys, churn_platform.definitions; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "dagster" in loaded
    assert loaded & set(HEAVY) == set()
