"""Backups of a platform in files: what comes back is what was there, at the same place or another one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from churn_platform.automation import restored
from churn_platform.automation.instance import open_instance
from churn_platform.automation.launcher import PROCESS_TAG
from churn_platform.automation.triggers import CLOSE
from churn_platform.backup import archive, making, restoring
from churn_platform.files import modes
from churn_platform.files.owners import own_process
from churn_platform.settings import RESTORING
from churn_platform_tests import homes, processes
from churn_platform_tests.conftest import Platform


@pytest.fixture
def backup(trained: Platform, tmp_path: Path) -> Path:
    """A platform's backup, of a home that is gone."""
    platform = trained.copy(tmp_path)
    made = platform.churn("backup", str(tmp_path / "one.tar"))
    assert made.exit_code == 0, made.output
    shutil.move(platform.settings.home, tmp_path / "before")
    return tmp_path / "one.tar"


def at(tmp_path: Path, home: Path) -> Platform:
    """A platform with another home and the same drops."""
    return Platform(homes.settings_of(tmp_path).model_copy(update={"home": home}))


def files(home: Path) -> dict[str, bytes]:
    """What is in a home, but for what is made anew, and for databases, whose bytes may be in another order."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.name[0] != "." and path.suffix not in (".db", ".db-wal", ".db-shm")
    }


def rows(home: Path) -> dict[str, list[str]]:
    """What every database says."""
    found = {}
    for path in home.rglob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            found[str(path.relative_to(home))] = list(database.iterdump())
    return found


def said(platform: Platform, *arguments: str) -> str:
    result = platform.churn(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_at_the_same_place_all_of_it_is_as_it_was(backup: Path, tmp_path: Path) -> None:
    platform = at(tmp_path, tmp_path / "home")
    said(platform, "restore", str(backup))
    assert files(platform.settings.home) == files(tmp_path / "before")
    assert rows(platform.settings.home) == rows(tmp_path / "before")


def test_at_another_place_it_goes_on(trained: Platform, backup: Path, tmp_path: Path) -> None:
    platform = at(tmp_path, tmp_path / "elsewhere" / "home")
    assert said(platform, "restore", str(backup)).startswith(f"{platform.settings.home}: restored as of ")
    for name, content in files(platform.settings.home).items():
        assert os.fsencode(tmp_path / "home") not in content, name
    assert str(tmp_path / "home/") not in "".join(rows(platform.settings.home)["mlflow/mlflow.db"])
    assert said(platform, "status") == said(trained.copy(tmp_path / "copy"), "status")
    assert said(platform, "receipts").endswith("each as it was written\n")
    assert said(platform, "receipt", "2", "--verify").endswith("receipt 2: verified\n")
    assert "not the same" not in said(platform, "rebuild", "2")
    assert "version 4" in said(platform, "retrain", "2024-02")
    champion = platform.home.registry.champion()
    assert champion is not None
    assert platform.home.registry.bundle(champion)


def test_a_backup_is_its_owners_alone(backup: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    platform = at(tmp_path, tmp_path / "home")
    said(platform, "restore", str(backup))
    found = {stat.S_IMODE(path.stat().st_mode) for path in platform.settings.home.rglob("*") if path.is_file()}
    assert found == {0o600}


def test_a_token_stays_its_owners_alone(begun: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = begun.copy(tmp_path)
    platform.settings.token_file.write_text("t0ken")
    platform.settings.token_file.chmod(0o600)
    monkeypatch.setenv("CHURN_FILE_MODE", "640")
    said(platform, "backup", str(tmp_path / "one.tar"))
    assert stat.S_IMODE((tmp_path / "one.tar").stat().st_mode) == 0o600  # it has the token in it
    restored_platform = at(tmp_path, tmp_path / "elsewhere")
    said(restored_platform, "restore", str(tmp_path / "one.tar"))
    token = restored_platform.settings.token_file
    assert (token.read_text(), stat.S_IMODE(token.stat().st_mode)) == ("t0ken", 0o600)
    assert stat.S_IMODE((restored_platform.settings.lake / "features/2024-01.parquet").stat().st_mode) == 0o640


def test_links_are_files_of_their_own(begun: Platform, tmp_path: Path) -> None:
    platform = begun.copy(tmp_path)
    lake = platform.settings.lake
    shutil.move(lake, tmp_path / "big")
    lake.symlink_to(tmp_path / "big")
    one = lake / "features" / "2024-01.parquet"
    (lake / "second.parquet").hardlink_to(one)
    (lake / "third.parquet").symlink_to(one)
    said(platform, "backup", str(tmp_path / "one.tar"))
    content = one.read_bytes()

    elsewhere = at(tmp_path, tmp_path / "elsewhere")
    said(elsewhere, "restore", str(tmp_path / "one.tar"))
    for name in ("features/2024-01.parquet", "second.parquet", "third.parquet"):
        assert (elsewhere.settings.lake / name).read_bytes() == content

    linked = at(tmp_path, tmp_path / "linked")
    linked.settings.home.mkdir()
    linked.settings.lake.symlink_to(tmp_path / "big")
    refused = linked.churn("restore", str(tmp_path / "one.tar"))
    assert (refused.exit_code, "is in use, since it has lake/" in " ".join(refused.output.split())) == (1, True)


def test_only_mlflows_own_places_move(tmp_path: Path) -> None:
    move = restoring.Move(Path("/srv/a b"), Path("/srv/a b/new"))
    for text, moved in {
        "/srv/a b/mlflow/1": "/srv/a b/new/mlflow/1",
        "file:///srv/a%20b/mlflow/1": "file:///srv/a%20b/new/mlflow/1",
        '{"path": "/srv/a b/x", "note": "see /srv/a bc/x"}': '{"path": "/srv/a b/new/x", "note": "see /srv/a bc/x"}',
        "https://x.example/srv/a b/page": "https://x.example/srv/a b/page",
        "/data/srv/a b/x": "/data/srv/a b/x",
    }.items():
        assert move.text(text) == moved


def test_a_backup_of_another_format_names_its_version(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "FORMAT", 2)  # as what was made before
    refused = at(tmp_path, tmp_path / "new").churn("restore", str(backup))
    assert "was made by version 0.2.0 of the platform: restore it with that one" in " ".join(refused.output.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("backup", "{0}/new/one.tar"), "CHURN_HOME) is not there"),
        (("restore", "{0}/two.tar"), "two.tar is not a file"),
        (("restore", "{0}/drops"), "is a directory"),
        (("restore", "{0}/drops/month_000/users.csv"), "users.csv is no backup"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], told: str, backup: Path, tmp_path: Path) -> None:
    assert backup.exists()
    platform = at(tmp_path, tmp_path / "new")
    done = platform.churn(*(word.format(tmp_path) for word in arguments))
    assert done.exit_code != 0
    assert told in " ".join(done.output.split())
    assert not list(platform.settings.home.rglob("*"))


def test_nothing_is_overwritten(begun: Platform, backup: Path, tmp_path: Path) -> None:
    before, platform = backup.read_bytes(), begun.copy(tmp_path / "copy")
    again = platform.churn("backup", str(backup))
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    inside = platform.churn("backup", str(platform.settings.home / "one.tar"))
    assert (inside.exit_code, "would be lost with it" in inside.output) == (1, True)
    used = platform.churn("restore", str(backup))
    assert (used.exit_code, "is in use, since it has" in used.output) == (1, True)
    assert backup.read_bytes() == before


def test_a_backup_that_has_changed_is_refused(backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    place = whole.index(b"PAR1") + 100  # within a table
    home = whole.index(b'"home": "') + 12
    cases = {
        "inventory changed": whole[:home] + bytes([whole[home] ^ 1]) + whole[home + 1 :],
        "changed": whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
        "cut": whole[: len(whole) // 2],
        "no inventory": whole[: whole.index(b"inventory.json") // 512 * 512],
        "empty": b"",
    }
    for name, data in cases.items():
        backup.write_bytes(data)
        platform = at(tmp_path, tmp_path / name)
        refused = platform.churn("restore", str(backup))
        assert (refused.exit_code, "use another one" in " ".join(refused.output.split())) == (1, True), name
        assert not list(platform.settings.home.rglob("*")), name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("home/more.txt", tarfile.REGTYPE),
        ("../outside.txt", tarfile.REGTYPE),
        ("/outside.txt", tarfile.REGTYPE),
        ("home/lake/../../../outside.txt", tarfile.REGTYPE),
        ("home/link", tarfile.SYMTYPE),
        ("home/link", tarfile.LNKTYPE),
        ("home/pipe", tarfile.FIFOTYPE),
        ("inventory.json", tarfile.REGTYPE),
        ("inventory.json/below", tarfile.REGTYPE),
        ("home/" + "deep/" * 3000 + "file", tarfile.REGTYPE),
        ("home/" + "x" * 300, tarfile.REGTYPE),
        ("home/large", tarfile.GNUTYPE_SPARSE),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else value.decode(),
)
def test_a_file_that_was_put_in_is_refused(name: str, kind: bytes, backup: Path, tmp_path: Path) -> None:
    with tarfile.open(backup, "a") as tar:
        more = tarfile.TarInfo(name)
        more.type, more.linkname, more.mtime = kind, "../../outside.txt", 0
        tar.addfile(more)
    refused = at(tmp_path, tmp_path / "deep" / "home").churn("restore", str(backup))
    assert (refused.exit_code, refused.output.count("\n")) == (1, refused.output.count("s\n") + 1), refused.output
    assert "use another one" in refused.output
    platform = at(tmp_path, tmp_path / "deep" / "home")
    assert not list(tmp_path.rglob("outside.txt"))
    assert not list(platform.settings.home.rglob("*"))


@pytest.mark.parametrize(
    ("module", "where"),
    [(restoring, "_prepare"), (restoring, "_merge"), (modes, "correct"), (restored, "end_runs"), (restoring, "finish")],
)
def test_cut_short_it_is_never_taken_for_a_platform(
    module: ModuleType, where: str, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = at(tmp_path, tmp_path / "home")
    with monkeypatch.context() as patched:
        patched.setattr(module, where, _interrupted)
        patched.setattr(shutil, "rmtree", lambda _: None)  # as a kill has it
        assert platform.churn("restore", str(backup)).exit_code == 1
    for command in (("close", "--all"), ("status",), ("restore", str(backup))):
        refused = platform.churn(*command)
        assert "is being restored, or a restore was cut short" in " ".join(refused.output.split()), command
    shutil.rmtree(platform.settings.home)
    said(platform, "restore", str(backup))


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_was_under_way_is_not_for_ever(trained: Platform, tmp_path: Path) -> None:
    platform = trained.copy(tmp_path)
    status = dg.DagsterRunStatus
    ends = {status.STARTED: status.FAILURE, status.CANCELING: status.CANCELED, status.NOT_STARTED: status.NOT_STARTED}
    with open_instance(platform.settings) as instance:
        runs = {
            instance.create_run_for_job(_nothing, status=now, tags={PROCESS_TAG: own_process()}).run_id: end
            for now, end in ends.items()
        }
    said(platform, "backup", str(tmp_path / "one.tar"))
    elsewhere = at(tmp_path, tmp_path / "elsewhere")
    assert "2 runs had not ended then" in said(elsewhere, "restore", str(tmp_path / "one.tar"))
    with open_instance(elsewhere.settings) as instance:
        assert {run.run_id: run.status for run in instance.get_runs() if run.run_id in runs} == runs


@dg.job(name=CLOSE)
def _nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("mlflow/mlflow.db", "file is not a database"),
        ("mlflow/artifacts/models/MLmodel", "can't decode byte"),
    ],
)
def test_what_no_platform_has_written_is_refused_in_a_sentence(
    broken: str, told: str, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "before"
    (home / broken).parent.mkdir(parents=True, exist_ok=True)
    (home / broken).write_bytes(b"\xff\xfe" * 500)
    hostile = at(tmp_path, home)
    said(hostile, "backup", str(tmp_path / "hostile.tar"))
    platform = at(tmp_path, tmp_path / "elsewhere")
    refused = platform.churn("restore", str(tmp_path / "hostile.tar"))
    assert (refused.exit_code, told in " ".join(refused.output.split())) == (1, True), refused.output
    assert not list(platform.settings.home.rglob("*"))


def test_a_killed_backup_is_cleared_away_by_the_next(begun: Platform, tmp_path: Path) -> None:
    platform, backups = begun.copy(tmp_path), tmp_path / "backups"
    backups.mkdir()
    killed = processes.run((processes.back_up_and_die, (platform.settings, backups / "one.tar")))
    assert killed == [processes.KILLED]
    assert [path.name[0] for path in backups.iterdir()] == ["."]
    said(platform, "backup", str(backups / "two.tar"))
    assert [path.name for path in backups.iterdir()] == ["two.tar"]


def test_a_backup_has_its_name_only_once_it_is_whole(
    begun: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, found = making._put, []

    def looked_at(written: Path, file: Path) -> None:
        found.append(written.read_bytes())
        put(written, file)

    monkeypatch.setattr(making, "_put", looked_at)
    said(begun.copy(tmp_path), "backup", str(tmp_path / "one.tar"))
    assert found == [(tmp_path / "one.tar").read_bytes()]


def test_two_backups_under_one_name_are_one(begun: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, put = tmp_path / "one.tar", making._put

    def beaten(written: Path, target: Path) -> None:
        target.write_text("another's")
        put(written, target)

    monkeypatch.setattr(making, "_put", beaten)
    refused = begun.copy(tmp_path).churn("backup", str(file))
    assert (refused.exit_code, "choose another name" in " ".join(refused.output.split())) == (1, True)
    assert file.read_text() == "another's"


def test_serving_does_not_begin_either(tmp_path: Path) -> None:
    (tmp_path / RESTORING).mkdir()
    environment = {**os.environ, "CHURN_HOME": str(tmp_path)}
    serving = [sys.executable, "-m", "serving"]
    done = subprocess.run(serving, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "is being restored, or a restore was cut short" in done.stderr) == (1, True), done.stderr
