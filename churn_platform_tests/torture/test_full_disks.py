"""Full disks: work that finds no room fails in words, and is done once there is room again, as if nothing had been."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from churn_platform.champion.agreement import findings
from churn_platform.home import Home
from churn_platform.settings import Settings
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.torture import leftovers

SCRIPT = """
set -e
place=$1 small=$2 room=$3; shift 3
mkdir -p "$place" "$small"
mount -t tmpfs -o size=$(( $(du -sk "$place" | cut -f1) + 512 ))k none "$small"
cp -a "$place/." "$small"
dd if=/dev/zero of="$small/.filler" bs=1k 2>/dev/null || true   # until nothing is left
truncate -s "-${room}k" "$small/.filler"
mount --bind "$small" "$place"
set +e
"$@"; code=$?
set -e
rm "$small/.filler"
umount "$place"
cp -a "$small/." "$place"
exit $code
"""
"""Gives a folder a disk of its own with a little room while a command runs. No privileges are needed: the mounts are
seen only in there."""

PLACES = [
    ("lake", 64, ("close", "2024-03")),
    ("dagster", 16, ("close", "2024-03")),
    ("mlflow", 256, ("retrain", "2024-03")),
    ("receipts", 0, ("rollback", "--reason", "it calls the wrong customers")),
    ("receipts", 0, ("promote", "3", "--reason", "it is preferred")),
]


def churn(settings: Settings, *arguments: str, full: tuple[Path, Path, int] | None = None) -> tuple[int, str]:
    """Call the command line in a process, on a full disk where one is named; its exit code and what it says."""
    command = [sys.executable, "-c", "from churn_platform.cli import main; main()", *arguments]
    if full is not None:
        place, small, room = full
        command = ["unshare", "-rm", "sh", "-c", SCRIPT, "sh", str(place), str(small), str(room), *command]
    environment = {"CHURN_HOME": str(settings.home), "CHURN_DROPS": str(settings.drops), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "room", "arguments"), PLACES)
def test_a_full_disk_is_told_and_nothing_is_lost(
    name: str, room: int, arguments: tuple[str, ...], trained: Platform, tmp_path: Path
) -> None:
    undisturbed, settings = (trained.copy(tmp_path / copy).settings for copy in ("undisturbed", "full"))
    for copy in (undisturbed, settings):
        for path in copy.lake.rglob("2024-03.*") if arguments[0] == "close" else ():
            path.unlink()
    assert churn(undisturbed, *arguments)[0] == 0

    code, said = churn(settings, *arguments, full=(settings.home / name, tmp_path / "small", room))
    assert code != 0, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("Error: ")  # after the steps that were done
    code, said = churn(settings, *arguments)
    assert code == 0, said
    home, wanted = Home(settings), Home(undisturbed)
    assert homes.repeatable(settings.lake) == homes.repeatable(undisturbed.lake)
    assert [r.verdict for r in home.ledger.all()] == [r.verdict for r in wanted.ledger.all()]
    assert home.registry.champion() is not None
    assert findings(home.registry, home.ledger) == []
    assert leftovers.of(settings) == []
