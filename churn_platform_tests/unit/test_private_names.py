"""Private names of libraries: few modules may use them, and each name is where it was.

If one of these fails after an upgrade, the module that it names says what the name is needed for.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from importlib.metadata import version
from inspect import getsource
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType

import pytest

import churn_platform
from churn_platform.automation import dagster_private
from churn_platform.intake import great_expectations_private
from churn_platform.modelling import sklearn_private
from churn_platform.monitoring import evidently_private
from churn_platform_tests import dagster_private as dagster_private_of_tests

PLATFORM = Path(churn_platform.__file__).parent
ROOT = PLATFORM.parent

MODULES: tuple[ModuleType, ...] = (
    dagster_private,
    dagster_private_of_tests,
    evidently_private,
    great_expectations_private,
    sklearn_private,
)
"""The modules that may use private names."""
FILES = {Path(str(module.__file__)) for module in MODULES}

DOTTED = re.compile(r"(?!churn_platform)[a-z]\w*(\.\w+)*\._[a-z]\w*(\.\w+)*")
"""A text that is the private name of a library's module, or of something in it."""


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """What a file imports as or from a private module: the module's name, and the name in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and is_private(str(node.module)):
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            yield from ((prefix + alias.name, "") for alias in node.names if is_private(prefix + alias.name))


def is_private(module: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in module.split("."))


def members(path: Path) -> Iterator[str]:
    """The private members that a file uses without defining them: they belong to another class."""
    tree = ast.parse(path.read_text())
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    own = {a.attr for a in attributes if isinstance(a.ctx, ast.Store)}
    own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for attribute in attributes:
        if is_private(attribute.attr) and attribute.attr not in own:
            yield f"{ast.unparse(attribute)}, line {attribute.lineno}"


def users(name: str) -> list[str]:
    """The files that name it."""
    files = [path for folder in ("churn_platform", "churn_platform_tests") for path in (ROOT / folder).rglob("*.py")]
    found = [path for path in files if re.search(rf"\b{re.escape(name)}\b", path.read_text())]
    return [str(path.relative_to(ROOT)) for path in found if path not in FILES]


@pytest.mark.parametrize("folder", ["churn_platform", "serving"])
def test_private_names_stand_in_one_module_a_library(folder: str) -> None:
    found = {
        str(path.relative_to(ROOT)): used
        for path in (ROOT / folder).rglob("*.py")
        if path not in FILES and (used := [*imports(path), *members(path)])
    }
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "from dagster._core.storage.tags import RUN_KEY_TAG",
        "def f():\n    import dagster._serdes",
        "from dagster import _check",
        "def f(model):\n    return model._predictors",
        "class Mine(Theirs):\n    def f(self):\n        return self._theirs",
    ],
)
def test_a_private_name_elsewhere_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "module.py").write_text(line)
    assert [*imports(tmp_path / "module.py"), *members(tmp_path / "module.py")]


@pytest.mark.parametrize(
    ("module", "name"), [found for path in sorted(FILES) for found in imports(path) if found[0].startswith("dagster")]
)
def test_what_dagster_keeps_private_is_where_it_was(module: str, name: str) -> None:
    assert has(module, name), f"Dagster {version('dagster')} has no {module}.{name}: {users(name)} need it"


def has(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("member", [found.partition(",")[0] for found in members(Path(dagster_private.__file__))])
def test_what_ours_inherits_or_uses_is_there(member: str) -> None:
    name = member.removeprefix("self.")
    is_there = hasattr(dagster_private.Launcher, name) or f"{member}:" in getsource(dagster_private.ActiveExecution)
    assert is_there, f"Dagster {version('dagster')}'s launchers and runs have no {name}"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (path.relative_to(PLATFORM), node.value)
        for path in sorted(PLATFORM.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value)
    ],
)
def test_what_is_named_in_a_text_exists(path: Path, text: str) -> None:
    try:
        resolve_name(text)
    except (ImportError, AttributeError):
        pytest.fail(f"there is no {text} any more: churn_platform/{path} needs it")
