"""Code: a name for all that can change an answer, so that answers are kept exactly as long as they hold.

Here: which modules a study can run, and what of them counts. Not here: keeping answers (`kept`).

What counts are the modules that `asking` imports, and those that they import, anywhere in them; without what is only
imported for types, without comments and docstrings, and without how lines are broken. So the command line, the pages,
the assets and these rates may change while hours of answers stay. The declarations that are shipped count, too, and the
versions of Python and the libraries.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

from churn_platform.files import sha256
from churn_platform.modelling.recipe import libraries

ROOT = Path(__file__).parents[2]

ASKED = "benchmarks.evidence.asking"

PACKAGES = ("benchmarks", "churn_platform")


def name(root: Path = ROOT) -> str:
    """The name of the code below this folder: other code, other libraries or other declarations have another one."""
    found = {module: _meaning(path) for module, path in reached(ASKED, root).items()}
    shipped = {path.name: path.read_text() for path in sorted((root / "churn_platform").rglob("*.toml"))}
    return sha256(json.dumps([found, shipped, libraries()], sort_keys=True).encode())[:12]


def reached(start: str, root: Path = ROOT) -> dict[str, Path]:
    """The modules, with their files, that running a module's functions can load."""
    found: dict[str, Path] = {}
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module not in found and (path := _file(module, root)):
            found[module] = path
            waiting += [*_imported(path), *_packages(module)]
    return dict(sorted(found.items()))


def _file(module: str, root: Path) -> Path | None:
    """A module's file; None where it is no module of PACKAGES, such as a name that is imported from one."""
    if module.partition(".")[0] not in PACKAGES:
        return None
    place = root.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()), None)


def _packages(module: str) -> Iterator[str]:
    """Those that the module is in: they are loaded before it."""
    while module := module.rpartition(".")[0]:
        yield module


def _imported(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for_types = {id(inner) for node in ast.walk(tree) if _is_for_types(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names))


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _meaning(path: Path) -> str:
    """A module's code without what changes no answer."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    """A docstring, or one below a constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
