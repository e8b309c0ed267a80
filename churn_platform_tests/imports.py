"""Imports: which module of a package imports which, read from the source without running it.

Here: the graph, arrows that point the wrong way, and circles. Not here: which way is right (`unit/test_layers`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

Graph = Mapping[str, set[str]]
"""Every module, named below its package, with the modules of the package that it imports."""


def modules(package: Path) -> dict[str, Path]:
    """The modules of a package's folder, each with its file; the package itself is left out."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if name := ".".join(parts[:-1] if parts[-1] == "__init__" else parts):
            found[name] = path
    return found


def graph(package: Path, *, at_load: bool = False) -> Graph:
    """What imports what in a package: anywhere, or only `at_load`, which leaves out functions and types."""
    known = modules(package)
    return {name: imported(path, package.name, at_load=at_load) & known.keys() for name, path in known.items()}


def imported(path: Path, package: str, *, at_load: bool = False) -> set[str]:
    """What a file imports from a package, named below the package."""
    tree, found = ast.parse(path.read_text()), set()
    deferred = {id(inner) for node in ast.walk(tree) if _waits(node) for inner in ast.walk(node)} if at_load else set()
    for node in ast.walk(tree):
        if id(node) in deferred:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write imports in full, so that they can be read"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name.removeprefix(f"{package}.") for name in found if name.startswith(f"{package}.")}


def _waits(node: ast.AST) -> bool:
    """Whether the code inside is not run when the module is loaded."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def upward(found: Graph, rooms: Sequence[Sequence[str]]) -> Iterator[str]:
    """The arrows that point up, in words. `rooms` holds the names of each row's rooms, the lowest row first.

    A module may import from its own room and from rows below. A module in no room is reported too.
    """
    row_of = {room: row for row, names in enumerate(rooms) for room in names}
    for name, others in sorted(found.items()):
        room = name.partition(".")[0]
        if room not in row_of:
            yield f"{name} is in no room"
            continue
        for other in sorted(others):
            their = other.partition(".")[0]
            if their != room and row_of.get(their, len(rooms)) > row_of[room]:
                yield f"{name} imports {other}"


def circle(found: Graph) -> list[str]:
    """The modules of some circle in order, with the first one repeated at the end; empty if there is none."""
    sound: set[str] = set()

    def look(trail: list[str]) -> list[str]:
        for other in sorted(found[trail[-1]]):
            if other in trail:
                return [*trail[trail.index(other) :], other]
            if other not in sound and (round_trip := look([*trail, other])):
                return round_trip
        sound.add(trail[-1])
        return []

    return next((round_trip for name in sorted(found) if (round_trip := look([name]))), [])
