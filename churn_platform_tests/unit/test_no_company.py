"""No company: what the shipped declaration declares is named nowhere in the code that serves every company.

Here: the names and texts of `churn_platform/` (but for `simulation/`, which is the shipped company's) and of
`serving/`, read from their syntax trees, and the pages among them. Docstrings may give examples.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import churn_platform
from churn_platform.simulation import company
from churn_platform_tests.streamflow import WORDS

ROOT = Path(churn_platform.__file__).parents[1]
ITS_OWN = Path(company.__file__).parent
PAGES = (".html", ".js", ".css")

WORD = re.compile(r"\w+")
NAMES = ("id", "attr", "arg", "name", "asname", "module")
"""Where the nodes of a syntax tree keep a name."""


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name and every text of a syntax tree but for docstrings, each with its line."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and id(node) not in told and isinstance(node.value, str | bytes):
            yield line, node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield line, " ".join(node.names)
        for name in NAMES:
            if isinstance(text := getattr(node, name, None), str):
                yield line, text


def named(path: Path, words: set[str]) -> list[str]:
    """Where a file names one of the words."""
    if path.suffix == ".py":
        found = texts(ast.parse(path.read_text()))
    else:
        found = ((number, line) for number, line in enumerate(path.read_text().splitlines(), 1))
    return [
        f"{path.name}:{line}: {word}" for line, text in found for word in sorted(words.intersection(WORD.findall(text)))
    ]


def test_nothing_of_the_shipped_company_is_named() -> None:
    assert {"user_id", "monthly_fee", "users", "churn_label", "USD"} <= WORDS  # it was really read
    files = [
        path
        for folder in ("churn_platform", "serving")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", *PAGES) and not path.is_relative_to(ITS_OWN)
    ]
    assert {"problems.py", "docs.html", "postgres.py"} <= {path.name for path in files}
    assert [place for path in files for place in named(path, WORDS)] == []


def test_what_names_a_company_is_found(tmp_path: Path) -> None:
    """By every kind of name, and as a word in any text."""
    code = (
        'def rows(user_id, *, key=1): ...\nrows(1, user_id=2)\nrow.user_id = b"a user_id"\nimport user_id.x as y\n'
        'class A:\n    "Of user_id."\n    user_id: int\nsql = f"SELECT c.user_id FROM {y}"\n'
        "from a import b as user_id\n"
        "def user_id():\n    '''Of user_id.'''\n    global user_id\nmy_user_id = 'user_ids'\n"
    )
    (tmp_path / "a.py").write_text(code)
    (tmp_path / "a.html").write_text("<p>\nuser_id")
    lines = (1, 2, 3, 3, 4, 7, 8, 9, 10, 12)
    assert sorted(named(tmp_path / "a.py", {"user_id"})) == sorted(f"a.py:{line}: user_id" for line in lines)
    assert named(tmp_path / "a.html", {"user_id"}) == ["a.html:2: user_id"]
