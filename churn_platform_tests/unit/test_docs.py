"""The documentation: generated where it can be, and its links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from churn_platform.settings.__main__ import page

ROOT = Path(__file__).parents[2]
PAGES = [path for places in ("*.md", "docs/*.md", "examples/*/*.md") for path in sorted(ROOT.glob(places))]
EVERYTHING = "\n".join(page.read_text() for page in PAGES)


def test_the_settings_page_is_what_the_settings_say() -> None:
    assert (ROOT / "docs/settings.md").read_text() == page(), "run `make docs`"


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing


def test_what_a_page_quotes_of_the_example_stands_there() -> None:
    said = list(sections((ROOT / "examples/gym/company.toml").read_text()))
    (quoted,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/companies.md").read_text(), re.DOTALL)
    places = [said.index(line) for line in sections(quoted)]
    assert places == sorted(places)
    assert len(places) > 3


def sections(toml: str) -> Iterator[tuple[str, str]]:
    """Every line with the header that it stands under."""
    header = ""
    for line in filter(None, toml.splitlines()):
        header = line if line.startswith("[") else header
        yield header, line


def test_no_page_names_a_command_that_is_not_there() -> None:
    from churn_platform.cli import main

    named = set(re.findall(r"(?:`|^)churn ([a-z]+)", EVERYTHING, re.MULTILINE))
    assert {"up", "close", "rollback"} <= named <= set(main.commands)


def test_no_page_names_a_make_target_that_is_not_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    calls = re.findall(r"(?:`|^)make ([a-z -]*[a-z])", EVERYTHING + (ROOT / ".ci/run").read_text(), re.MULTILINE)
    named = {word for call in calls for word in call.split()}
    assert {"run", "test", "lint", "types"} <= named <= targets
