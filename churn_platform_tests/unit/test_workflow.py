"""The workflow of continuous integration: parsed strictly, and made of commands that exist here."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from churn_platform_tests.compose import ROOT, strictly

FILE = ROOT / ".github/workflows/ci.yml"
WORKFLOW = strictly(FILE.read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
TARGETS = [entry["what"] for entry in JOBS["check"]["strategy"]["matrix"]["include"]]


def commands(job: str) -> str:
    return "\n".join(step.get("run", "") for step in JOBS[job]["steps"])


def makefile() -> dict[str, str]:
    """Each target with its recipe."""
    return dict(re.findall(r"^([a-z-]+):.*\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(), re.M))


def test_it_keeps_the_schema() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(FILE)]
    done = subprocess.run(checker, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_may_only_read() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in JOBS.values())
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True


@pytest.mark.parametrize("job", JOBS)
def test_jobs_end_and_run_somewhere_known(job: str) -> None:
    assert JOBS[job]["timeout-minutes"]
    assert re.fullmatch(r"ubuntu-\d\d\.\d\d", JOBS[job]["runs-on"])


def test_actions_are_pinned_and_keep_no_credentials() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action)] == []
    for step in STEPS:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_checks_are_what_make_knows() -> None:
    assert TARGETS == ["lint", "types", "test-unit", "test-integration", "test-system", "test-browser"]
    assert set(TARGETS) <= makefile().keys()
    assert "make ${{ matrix.what }}" in commands("check")
    assert "hadolint deploy/Dockerfile" in makefile()["lint"]


def test_the_two_halves_of_the_tests_are_all_of_them() -> None:
    recipes = makefile()
    (unit,) = re.findall(r"\$\(PYTEST\) (\S+)", recipes["test-unit"])
    assert recipes["test"] == "\t$(PYTEST)\n"
    assert recipes["test-integration"] == f"\t$(PYTEST) --ignore {unit}\n"
    assert (ROOT / unit).is_dir()


def test_the_cache_is_of_one_lock() -> None:
    (cache,) = [step["with"] for step in STEPS if step.get("uses", "").startswith("actions/cache@")]
    (lock,) = re.findall(r"hashFiles\('(.+)'\)", cache["key"])
    assert (ROOT / lock).is_file()


def test_expressions_name_what_there_is() -> None:
    known = {"github.ref", "matrix.what", "matrix.minutes", "runner.os"}
    found = {e.strip() for e in re.findall(r"\$\{\{(.+?)\}\}", FILE.read_text())}
    assert {e for e in found if not e.startswith("hashFiles(")} == known


def test_the_smoke_job_uses_the_stack_and_leaves_its_logs() -> None:
    steps = JOBS["smoke"]["steps"]
    script = commands("smoke")
    order = ["docker compose up --build --detach --wait", "deploy/smoke.py", "docker compose logs", "compose down"]
    places = [script.index(words) for words in order]
    assert places == sorted(places)
    for path in re.findall(r"python3 (\S+) (\S+)", script)[0]:
        assert (ROOT / path).exists()
    last = [step for step in steps if step.get("if") == "always()"]
    assert [step.get("uses", "run").partition("@")[0] for step in last] == ["run", "actions/upload-artifact", "run"]
    assert steps[-len(last) :] == last
    assert JOBS["smoke"]["needs"] == "check"
