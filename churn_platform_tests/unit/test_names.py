"""Names: no two classes have the same name, and every exception is a `Fault` whose name ends in Error.

Here: the names in `churn_platform/` and `serving/`, read from the source without running it.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import churn_platform

ROOT = Path(churn_platform.__file__).parents[1]

EXCEPTIONS = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)}

Classes = Sequence[tuple[str, str, tuple[str, ...]]]
"""For every class: its file, its name, and the last part of the names that it inherits from."""


def classes(*folders: Path) -> Classes:
    """Every class in these folders, inner ones included."""
    return [
        (path.name, node.name, tuple(ast.unparse(base).rpartition(".")[2] for base in node.bases))
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]


def repeated(found: Classes) -> set[str]:
    """The names that more than one class has."""
    return {name for name, count in Counter(name for _, name, _ in found).items() if count > 1}


def misnamed(found: Classes) -> Iterator[str]:
    """The exceptions that are not a `Fault`, or whose name does not end in Error."""
    bases = {name: above for _, name, above in found}
    for file, name, _ in found:
        above = ancestors(name, bases)
        if name != "Fault" and above & EXCEPTIONS:
            if "Fault" not in above:
                yield f"{file}: {name} is no Fault"
            if not name.endswith("Error"):
                yield f"{file}: {name} does not end in Error"


def ancestors(name: str, bases: Mapping[str, Sequence[str]]) -> set[str]:
    """Everything that a class inherits from, by name."""
    return {found for base in bases.get(name, ()) for found in (base, *ancestors(base, bases))}


def test_no_two_classes_have_the_same_name() -> None:
    found = classes(ROOT / "churn_platform", ROOT / "serving")
    assert "Settings" in {name for _, name, _ in found}  # they were really read
    assert repeated(found) == set()


def test_every_exception_is_a_fault_that_is_called_an_error() -> None:
    assert list(misnamed(classes(ROOT / "churn_platform", ROOT / "serving"))) == []


def test_what_breaks_the_rules_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "class Fault(Exception): ...\nclass DropError(faults.Fault): ...\nclass LateError(DropError): ...\n"
        "class Refused(Fault): ...\nclass State: ...\n"
    )
    (tmp_path / "b.py").write_text("class OddError(ValueError): ...\nclass State: ...\n")
    found = classes(tmp_path)
    assert repeated(found) == {"State"}
    assert list(misnamed(found)) == ["a.py: Refused does not end in Error", "b.py: OddError is no Fault"]
