"""What the volumes hold: an earlier version's go on, and a backup of a stack at work makes another stack the same.

Here: stacks of their own, without what watches them. Not here: the shared stack itself (`test_stack`).
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from churn_platform_tests import earlier, homes
from churn_platform_tests.containers.conftest import SERVICES, made, readable
from churn_platform_tests.containers.stack import PATIENCE, Stack
from churn_platform_tests.containers.test_stack import address, bearer, told

OURS = [name for name in SERVICES if name != "prometheus"]
CHURN = ("python", "-m", "churn_platform")
PSQL = ("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--host=/tmp", "--username=churn")


def test_a_backup_of_a_stack_at_work_is_the_same_stack_elsewhere(stack: Stack, backups: Path) -> None:
    if "champion: version" not in stack.ask("code-server", *CHURN, "status"):
        stack.ask("code-server", *CHURN, "close", "--all")
        stack.ask("code-server", *CHURN, "retrain", "2024-02")
    before, decided = told(stack), _receipts(stack)
    over = threading.Event()
    made_since: list[str] = []

    def decide() -> None:
        while not over.is_set():
            for command in (("pause", "--reason", "a backup is made"), ("resume",)):
                made_since.append(stack.ask("code-server", *CHURN, *command))

    with ThreadPoolExecutor() as beside:
        deciding = beside.submit(decide)
        try:
            while not made_since:
                assert not deciding.done(), deciding.result()
                time.sleep(0.1)
            answered = len(made_since)
            stack.run("backup", *CHURN, "backup", "/backups/one.tar")
        finally:
            over.set()
        deciding.result()

    others = {"POSTGRES_PASSWORD": "another", "SERVING_PASSWORD": "andanother", "CHURN_API_TOKEN": "c7d5secret"}
    with made(OURS, {"./data/seeds": Path(stack.place("./data/seeds")), "./backups": backups}, **others) as second:
        second.start("postgres")
        second.run("backup", *CHURN, "restore", "/backups/one.tar")
        second.start()
        sums, receipts, prediction = told(second)
        assert (sums, prediction) == (before[0], before[2])
        assert receipts.endswith("each as it was written\n")
        assert len(decided) + answered <= len(_receipts(second)) <= len(decided) + len(made_since)
        assert "version 2" in second.ask("code-server", *CHURN, "retrain", "2024-02")


def _receipts(stack: Stack) -> list[str]:
    return stack.ask("code-server", *CHURN, "receipts").splitlines()[:-1]


def test_the_volumes_of_the_version_before_go_on(tmp_path: Path, backups: Path) -> None:
    kept = earlier.production("0.1.0", tmp_path / "kept")
    drops = tmp_path / "drops"
    later = homes.deliver(drops, months=3, customers=400).rename(tmp_path / "later")
    logged = {line for file in (kept / "home/lake/prediction_log").iterdir() for line in file.read_text().splitlines()}
    places = {"./data/seeds": readable(drops), "./backups": backups}
    with made(OURS, places, CHURN_PREDICTION_LOG_DAYS="36500") as stack:
        stack.fill("home", kept / "home")
        stack.fill("artifacts", kept / "artifacts")
        stack.start("postgres")
        for name in ("churn", "mlflow"):
            stack.copy("postgres", kept / f"{name}.sql", f"/tmp/{name}.sql")
            stack.ask("postgres", *PSQL, f"--dbname={name}", "--output=/dev/null", f"--file=/tmp/{name}.sql")
        stack.start()

        receipts = stack.ask("code-server", *CHURN, "receipts")
        assert "version 2 appointed by root: an older version has to serve as well" in receipts
        assert receipts.endswith("3 receipts, each as it was written\n")
        assert "champion: version 2, trained for 2024-02" in stack.ask("code-server", *CHURN, "status")
        until = time.monotonic() + PATIENCE  # the daemon publishes for serving what that version published
        while httpx.get(f"{address(stack, '8000')}/ready", trust_env=False).status_code != 200:
            assert time.monotonic() < until, stack.said("serving", "dagster-daemon")
            time.sleep(1)
        for one in map(json.loads, logged):
            asked = {"user_id": one["user_id"]}
            answer = httpx.post(f"{address(stack, '8000')}/predict", json=asked, headers=bearer(), trust_env=False)
            assert (answer.status_code, answer.json()["model_version"]) == (200, 2)
            assert answer.json()["probability"] == one["probability"]
        moved = stack.ask("serving", "sh", "-c", "cat /churn/serving/prediction_log/*.jsonl")
        assert len(logged) == 3
        assert logged <= set(moved.splitlines())
        later.rename(drops / "month_002")
        readable(drops)
        assert "2024-03 closed" in stack.ask("code-server", *CHURN, "close", "2024-03")
        assert "version 3" in stack.ask("code-server", *CHURN, "retrain", "2024-03")
