"""The workflow of continuous integration: parsed strictly, and made of commands that exist here."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import Any

import pytest
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner

from churn_platform_tests.compose import FILE as FILE_OF_COMPOSE
from churn_platform_tests.compose import ROOT, strictly

FILE = ROOT / ".github/workflows/ci.yml"
WORKFLOW = strictly(FILE.read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
MATRIX: list[dict[str, Any]] = JOBS["check"]["strategy"]["matrix"]["include"]


def commands(job: str) -> str:
    return "\n".join(step.get("run", "") for step in JOBS[job]["steps"])


def test_it_keeps_the_schema() -> None:
    done = CliRunner().invoke(check_jsonschema, ["--builtin-schema", "vendor.github-workflows", str(FILE)])
    assert done.exit_code == 0, done.output


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


def test_it_checks_what_has_to_pass_before_a_change_lands() -> None:
    """It runs what `.ci/run` makes, with all targets in parallel, and so has the time to count the lines that ran."""
    asked = {word for call in re.findall(r"^make (.+)", (ROOT / ".ci/run").read_text(), re.M) for word in call.split()}
    assert asked > {"test", "test-containers"}
    # Containers need a job of their own: root, and other programs.
    assert {entry["what"] for entry in MATRIX} == asked - {"test-containers", "test"} | {"coverage"}
    assert "make ${{ matrix.what }}" in commands("check")
    assert "make test-containers" in commands("containers")


def test_it_makes_up_every_password() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", FILE_OF_COMPOSE.read_text()))
    assert required <= set(re.findall(r"(?:'|\\n)(\w+)=%s", commands("smoke")))


def test_the_cache_is_of_one_lock() -> None:
    (cache,) = [step["with"] for step in STEPS if step.get("uses", "").startswith("actions/cache@")]
    (lock,) = re.findall(r"hashFiles\('(.+)'\)", cache["key"])
    assert (ROOT / lock).is_file()


def test_expressions_name_what_there_is() -> None:
    found = {e.strip() for e in re.findall(r"\$\{\{(.+?)\}\}", FILE.read_text())}
    asked = {e.removeprefix("matrix.") for e in found if e.startswith("matrix.")}
    assert asked
    assert all(asked == entry.keys() for entry in MATRIX)
    assert all(re.match(r"(matrix|github|runner)\.|hashFiles\(", e) for e in found)


def test_the_smoke_job_uses_files_of_ours_and_leaves_its_logs() -> None:
    steps = JOBS["smoke"]["steps"]
    named = re.findall(r"python3 (\S+) (\S+)", commands("smoke"))
    assert named
    assert [path for paths in named for path in paths if not (ROOT / path).exists()] == []
    always = [step for step in steps if step.get("if") == "always()"]
    assert steps[-len(always) :] == always  # nothing comes between a failure and the end
    (upload,) = (step["with"]["path"] for step in always if "upload-artifact" in step.get("uses", ""))
    written = re.findall(r"> (\S+)", "\n".join(step.get("run", "") for step in always))
    assert written
    assert all(fnmatch(path, upload) for path in written)
